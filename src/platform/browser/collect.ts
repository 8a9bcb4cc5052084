import { DataError, OptionError } from '../../base/errors.ts'
import { openImage, type BlobLike, type Drawable, type PixelSource } from '../../image/image-source.ts'
import { drawablePixels } from './drawable.ts'
import { encodePng } from './png.ts'

/** An image of a page: bytes of a file, pixels, or what a page draws. */
export type PageImage = Blob | BlobLike | Uint8Array | ArrayBuffer | PixelSource | Drawable

/** A labelled image in memory, such as a frame that was recorded from a camera. */
export interface Sample {
  readonly image: PageImage
  /** Its class, which becomes the name of its folder. */
  readonly label: string
}

/**
 * Files as a page gets them: those of an `<input type="file">`, with or without `webkitdirectory`; a drop
 * (`event.dataTransfer`), folders too; a folder that was picked; samples in memory; or images by path.
 */
export type PageSource =
  | FileList
  | DataTransfer
  | DataTransferItemList
  | FileSystemDirectoryHandle
  | Blob
  | readonly (File | Sample)[]
  | ReadonlyMap<string, PageImage>

/**
 * Collects files by path: `folder/cat/1.jpg`. The contents stay where they are, on the visitor's disk; only pixels become
 * files, PNG in memory. A zip archive is one file here. The result can be posted to a Worker, which hands it to `addFiles`.
 *
 * A drop has to be collected while its event is handled: call this before any `await`.
 *
 * @throws OptionError  for something else than files, and where there are none
 */
export async function collectFiles(source: PageSource): Promise<Map<string, Blob>> {
  const found = new Map<string, Blob>()
  const add = (path: string, blob: Blob): void => {
    found.set(unused(found, cleaned(path)), blob)
  }
  if (isDrop(source)) {
    const items = 'items' in source ? source.items : source
    // The list is empty once the event is over, so all are asked for at once.
    const entries = Array.from(items, (item) => item.webkitGetAsEntry?.() ?? item.getAsFile())
    for (const entry of entries) {
      if (entry instanceof Blob) add(entry.name, entry)
      else if (entry) await walk(entry, '', add)
    }
  } else if (isKind(source, 'FileSystemDirectoryHandle')) await walkHandle(source as FileSystemDirectoryHandle, '', add)
  else if (source instanceof Blob) add(nameOf(source), source)
  else if (source instanceof Map) for (const [path, image] of source) add(String(path), await asBlob(path, image))
  else if (isList(source)) {
    let number = 0
    for (const item of source) {
      number++
      if (item instanceof Blob) add(nameOf(item), item)
      else if (isSample(item)) add(samplePath(item, number), await asBlob(`sample ${number}`, item.image))
      else throw notFiles(item)
    }
  } else throw notFiles(source)
  if (found.size > 0) return found
  throw new OptionError('collectFiles', 'there are no files', {
    fix: isDrop(source) ? 'collect a drop while its event is handled, before any await' : 'choose at least one file',
  })
}

function isDrop(source: PageSource): source is DataTransfer | DataTransferItemList {
  return isKind(source, 'DataTransfer') || isKind(source, 'DataTransferItemList')
}

/** True for an object of a class that not every place has: a Worker knows no drops. */
function isKind(source: unknown, name: string): boolean {
  const known = (globalThis as Readonly<Record<string, unknown>>)[name]
  return typeof known === 'function' && source instanceof known
}

function isList(source: unknown): source is Iterable<unknown> {
  return Array.isArray(source) || isKind(source, 'FileList')
}

function isSample(item: unknown): item is Sample {
  return typeof item === 'object' && item !== null && 'image' in item && 'label' in item
}

function notFiles(given: unknown): OptionError {
  return new OptionError('collectFiles', 'these are not files', {
    given: { source: Object.prototype.toString.call(given) },
    expected:
      'a FileList, a drop (event.dataTransfer), a folder handle, a File or Blob, a list of files or of { image, label }, or a Map of images by path',
  })
}

function nameOf(blob: Blob): string {
  if (!(blob instanceof File)) return blob.type.includes('zip') ? 'archive.zip' : 'file'
  return blob.webkitRelativePath || blob.name
}

function samplePath({ label }: Sample, number: number): string {
  // `getImageFiles` leaves out folders whose names begin with a dot.
  if (typeof label === 'string' && /^[^./][^/]*$/.test(label)) return `${label}/${number}.png`
  throw new OptionError('collectFiles', 'a sample has no label that can be a folder', {
    given: { sample: number, label },
    expected: 'a text without / that does not begin with a dot',
  })
}

/** @throws DataError  for a path that leads somewhere else */
function cleaned(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.length > 0 && !parts.includes('..')) return parts.join('/')
  throw new DataError(path, 'a path that names no file below its folder')
}

/** Files of equal names, as several folders have them, get numbers. */
function unused(found: ReadonlyMap<string, Blob>, path: string): string {
  if (!found.has(path)) return path
  const [, stem, extension] = /^(.*?)(\.[^./]*)?$/.exec(path) as unknown as [string, string, string?]
  let number = 2
  while (found.has(`${stem} (${number})${extension ?? ''}`)) number++
  return `${stem} (${number})${extension ?? ''}`
}

async function asBlob(path: string, image: PageImage): Promise<Blob> {
  if (image instanceof Blob) return image
  const opened = await openImage(image, { where: 'collectFiles', name: path, draw: drawablePixels })
  const bytes = opened.pixels ? await encodePng(opened.pixels) : (opened.bytes ?? new Uint8Array())
  return new Blob([bytes as Uint8Array<ArrayBuffer>])
}

type Add = (path: string, blob: Blob) => void

async function walk(entry: FileSystemEntry, above: string, add: Add): Promise<void> {
  const path = above === '' ? entry.name : `${above}/${entry.name}`
  if (entry.isFile) {
    add(path, await settled<File>(path, (done, failed) => (entry as FileSystemFileEntry).file(done, failed)))
    return
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader()
  for (;;) {
    // A call gives the next hundred at most, and none at the end.
    const some = await settled<FileSystemEntry[]>(path, (done, failed) => reader.readEntries(done, failed))
    if (some.length === 0) return
    for (const one of some) await walk(one, path, add)
  }
}

async function walkHandle(folder: FileSystemDirectoryHandle, above: string, add: Add): Promise<void> {
  for await (const handle of folder.values()) {
    const path = above === '' ? handle.name : `${above}/${handle.name}`
    if (handle.kind === 'file') add(path, await handle.getFile())
    else await walkHandle(handle, path, add)
  }
}

function settled<T>(path: string, start: (done: (value: T) => void, failed: (error: DOMException) => void) => void) {
  return new Promise<T>((resolve, reject) => {
    start(resolve, (cause) => reject(new DataError(path, `cannot be read: ${cause.message}`, { cause })))
  })
}
