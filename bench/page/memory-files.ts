import { DataError } from 'wgrad'
import type { Files } from 'wgrad/gpu'

/** Files in memory, by path, such as those of a drop or of an unpacked zip; what the library writes goes there too. */
export class MemoryFiles implements Files {
  private readonly contents = new Map<string, Blob | Uint8Array>()

  join(...parts: string[]): string {
    return names(parts.join('/')).join('/')
  }

  set(path: string, content: Blob | Uint8Array): void {
    this.contents.set(this.join(path), content)
  }

  /** Removes a file, or all files below a folder. */
  remove(path: string): void {
    const place = this.join(path)
    for (const known of this.contents.keys()) {
      if (known === place || known.startsWith(`${place}/`)) this.contents.delete(known)
    }
  }

  list(folder: string): ReturnType<Files['list']> {
    const place = names(folder)
    const entries = new Map<string, { name: string; kind: 'file' | 'folder' }>()
    for (const path of this.contents.keys()) {
      const parts = path.split('/')
      if (!place.every((name, i) => parts[i] === name) || parts.length <= place.length) continue
      const name = parts[place.length]
      entries.set(name, { name, kind: parts.length > place.length + 1 ? 'folder' : 'file' })
    }
    return Promise.resolve([...entries.values()].sort((a, b) => (a.name < b.name ? -1 : 1)))
  }

  exists(path: string): Promise<boolean> {
    const place = this.join(path)
    return Promise.resolve([...this.contents.keys()].some((known) => known === place || known.startsWith(`${place}/`)))
  }

  async read(path: string): Promise<Uint8Array> {
    const content = this.contents.get(this.join(path))
    if (content === undefined) throw new DataError(path, 'no such file or folder')
    return content instanceof Blob ? new Uint8Array(await content.arrayBuffer()) : content
  }

  async readText(path: string): Promise<string> {
    return new TextDecoder().decode(await this.read(path))
  }

  write(path: string, content: Uint8Array | string): Promise<void> {
    this.set(path, typeof content === 'string' ? new TextEncoder().encode(content) : content)
    return Promise.resolve()
  }
}

function names(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.')
}
