import { DataError } from '../../src/base/errors.ts'
import type { Files } from '../../src/platform/platform.ts'

/** Files in memory, which tests may inspect and damage. */
export function memoryFiles(): Files & { readonly contents: Map<string, Uint8Array> } {
  const contents = new Map<string, Uint8Array>()
  const read = (path: string) => {
    const bytes = contents.get(path)
    if (!bytes) throw new DataError(path, 'no such file or folder')
    return bytes
  }
  return {
    contents,
    join: (...parts) => parts.join('/'),
    list: () => Promise.reject(new Error('there are no folders in memory')),
    exists: (path) => Promise.resolve(contents.has(path)),
    read: async (path) => read(path).slice(),
    readText: async (path) => new TextDecoder().decode(read(path)),
    write: async (path, content) =>
      void contents.set(path, typeof content === 'string' ? new TextEncoder().encode(content) : content.slice()),
  }
}
