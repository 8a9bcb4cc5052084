/** Name of a class as that of one folder, which leads nowhere else and is not hidden, in the letters of a label (NFC). */
export function className(typed: string): string {
  return typed
    .normalize()
    .trim()
    .replaceAll('/', '∕')
    .replace(/^\.+/, (dots) => '․'.repeat(dots.length))
}
