/** Returns the plain form of a name, by which columns of tables are found: in small letters and without `_`, `-` and spaces. */
export function plainName(name: string): string {
  return name.toLowerCase().replace(/[\s_-]/g, '')
}
