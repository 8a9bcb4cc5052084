/** Name of a class as that of one folder, which leads nowhere else and is not hidden. */
export function className(typed: string): string {
  return typed
    .trim()
    .replaceAll('/', '∕')
    .replace(/^\.+/, (dots) => '․'.repeat(dots.length))
}
