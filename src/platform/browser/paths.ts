import type { FileEntry } from '../platform.ts'

/** The beginning of an absolute address, up to its host. */
export const ORIGIN = /^https?:\/\/[^/]*/

export function join(...parts: string[]): string {
  const joined = parts.filter((part) => part !== '').join('/')
  const origin = ORIGIN.exec(joined)?.[0] ?? ''
  return origin + joined.slice(origin.length).replace(/\/+/g, '/')
}

/** Parts of a path, without empty ones and those that stay where they are. */
export function names(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.')
}

export function byName(a: FileEntry, b: FileEntry): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0
}
