import { crc32 } from '../../base/crc32.ts'
import { DataError } from '../../base/errors.ts'
import { formatBytes } from '../../base/format.ts'
import { utf8Text } from '../../base/utf8.ts'
import { bytesOf } from './blob-files.ts'

/** Sizes and signatures. Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16. */
const END = { signature: 0x06054b50, bytes: 22, mostComment: 0xffff }
const DIRECTORY = { signature: 0x02014b50, bytes: 46 }
const LOCAL = { signature: 0x04034b50, bytes: 30 }
const STORED = 0
const DEFLATED = 8

/**
 * Letters of the bytes from 128 on in a name that is not UTF-8, as Windows packs folders in its menu. Source: APPNOTE.TXT, appendix D
 * (code page 437); other Western ones have the letters of most languages in the same places.
 */
const LETTERS =
  'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0'

/** Largest file that is unpacked: four times the largest photograph that is decoded. */
const MOST_BYTES = 2 ** 30
/** Most files of an archive: ImageNet has 1.3 million. */
const MOST_FILES = 2_000_000
/** Folders and files that macOS and Windows pack beside a user's own. */
const LITTER = /(^|\/)(__MACOSX\/|\.DS_Store$|Thumbs\.db$)/

/**
 * The files of a zip archive by path. Only its directory is read now; a file is unpacked when it is asked for, so that an
 * archive never lies unpacked in memory, and no file becomes larger than its directory says.
 *
 * @param path  of the archive, named in errors
 * @throws DataError  for an archive that is damaged, holds absolute paths or paths that lead out of it, or has more than 4 GB
 */
export async function zipEntries(path: string, archive: Blob): Promise<Map<string, () => Promise<Blob>>> {
  const tail = await bytesOf(path, archive.slice(Math.max(0, archive.size - END.bytes - END.mostComment)))
  const end = endOfDirectory(path, tail)
  const view = viewOf(tail)
  const count = view.getUint16(end + 10, true)
  const length = view.getUint32(end + 12, true)
  const start = view.getUint32(end + 16, true)
  if (count === 0xffff || start === 0xffffffff) {
    throw new DataError(path, 'zip archives of more than 4 GB or 65,535 files are not read', {
      fix: 'unpack it, and give the page its folder',
    })
  }
  const directory = await bytesOf(path, archive.slice(start, start + length))
  if (directory.length !== length || count > MOST_FILES) throw damaged(path, 'its directory')
  const entries = new Map<string, () => Promise<Blob>>()
  let at = 0
  for (let i = 0; i < count; i++) {
    const entry = readEntry(path, directory, at)
    at = entry.next
    if (entry.name.endsWith('/') || LITTER.test(entry.name)) continue
    const name = checkedName(path, entry.name)
    const known = entries.has(name)
    if (known) throw new DataError(path, `the archive holds ${name} twice`, { fix: 'pack it again' })
    entries.set(name, () => unpack(path, archive, entry))
  }
  if (entries.size === 0) throw new DataError(path, 'the archive holds no files')
  return entries
}

interface Entry {
  readonly name: string
  readonly encrypted: boolean
  readonly method: number
  readonly checksum: number
  readonly packed: number
  readonly size: number
  readonly local: number
  readonly next: number
}

function readEntry(path: string, directory: Uint8Array, at: number): Entry {
  const view = viewOf(directory)
  const inside = at + DIRECTORY.bytes <= directory.length
  if (!inside || view.getUint32(at, true) !== DIRECTORY.signature) throw damaged(path, 'its directory')
  const flags = view.getUint16(at + 8, true)
  const from = at + DIRECTORY.bytes
  const to = from + view.getUint16(at + 28, true)
  const [checksum, packed, size, local] = [16, 20, 24, 42].map((field) => view.getUint32(at + field, true))
  return {
    name: nameOf(directory.subarray(from, to)),
    encrypted: (flags & 1) === 1,
    method: view.getUint16(at + 10, true),
    checksum,
    packed,
    size,
    local,
    next: to + view.getUint16(at + 30, true) + view.getUint16(at + 32, true),
  }
}

/** A name is read as UTF-8 also where the archive does not say so, as many that have it do not. */
function nameOf(bytes: Uint8Array): string {
  try {
    return utf8Text(bytes)
  } catch {
    return Array.from(bytes, (byte) => (byte < 128 ? String.fromCharCode(byte) : LETTERS[byte - 128])).join('')
  }
}

/** @throws DataError  for a path that is absolute or leads out of the archive */
function checkedName(path: string, name: string): string {
  const parts = name.split('/')
  const complaint = name.includes('\\')
    ? 'a backslash'
    : name.startsWith('/') || /^[A-Za-z]:/.test(name)
      ? 'an absolute path'
      : parts.includes('..')
        ? 'a path that leads out of it'
        : name.includes('\0')
          ? 'a name with a zero byte'
          : undefined
  if (complaint === undefined) return parts.filter((part) => part !== '' && part !== '.').join('/')
  throw new DataError(path, `the archive holds ${complaint}`, {
    given: { entry: name },
    expected: 'paths such as cat/1.jpg',
    fix: 'pack the folder again, with a program of this system',
  })
}

async function unpack(path: string, archive: Blob, entry: Entry): Promise<Blob> {
  const { name, method, packed, size, local, checksum, encrypted } = entry
  const place = `${path}/${name}`
  if (encrypted) {
    throw new DataError(place, 'this file of the archive is encrypted', { fix: 'pack it without a password' })
  }
  if (method !== STORED && method !== DEFLATED) {
    throw new DataError(place, 'this file of the archive is packed in a way that is not read here', {
      given: { method },
      expected: 'deflated or stored files, as every zip program writes them',
    })
  }
  if (size > MOST_BYTES) {
    throw new DataError(place, 'this file of the archive is too large', {
      given: { size: formatBytes(size) },
      expected: `at most ${formatBytes(MOST_BYTES)}`,
    })
  }
  const header = await bytesOf(place, archive.slice(local, local + LOCAL.bytes))
  const view = viewOf(header)
  if (header.length < LOCAL.bytes || view.getUint32(0, true) !== LOCAL.signature) throw damaged(path, name)
  const from = local + LOCAL.bytes + view.getUint16(26, true) + view.getUint16(28, true)
  const content = archive.slice(from, from + packed)
  const bytes = method === STORED ? await bytesOf(place, content) : await inflated(path, name, content, size)
  if (bytes.length !== size || crc32(bytes) !== checksum) throw damaged(path, name)
  return new Blob([bytes as Uint8Array<ArrayBuffer>])
}

/** Inflates exactly as many bytes as the directory says: what holds more is refused, not unpacked. */
async function inflated(path: string, name: string, content: Blob, size: number): Promise<Uint8Array> {
  const reader = content.stream().pipeThrough(new DecompressionStream('deflate-raw')).getReader()
  const bytes = new Uint8Array(size)
  let length = 0
  try {
    for (;;) {
      const { value, done } = await reader.read()
      if (done) return bytes.subarray(0, length)
      if (length + value.length > size) throw damaged(path, `${name}, which holds more than it says`)
      bytes.set(value, length)
      length += value.length
    }
  } catch (error) {
    throw error instanceof DataError ? error : damaged(path, name, error)
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

/** Where the record is that ends the archive. */
function endOfDirectory(path: string, tail: Uint8Array): number {
  const view = viewOf(tail)
  for (let at = tail.length - END.bytes; at >= 0; at--) {
    if (view.getUint32(at, true) === END.signature) return at
  }
  throw damaged(path, 'its end is missing')
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function damaged(path: string, what: string, cause?: unknown): DataError {
  return new DataError(path, `a damaged zip archive: ${what}`, { fix: 'get the archive again', cause })
}
