import { crc32 } from '../base/crc32.ts'
import { DataError } from '../base/errors.ts'

/** Entries of a zip archive by name, each read on demand. */
export type ZipEntries = ReadonlyMap<string, () => Uint8Array>

/** Sizes and signatures. Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16. */
const END = { signature: 0x06054b50, bytes: 22, mostComment: 0xffff }
const DIRECTORY = { signature: 0x02014b50, bytes: 46 }
const LOCAL = { signature: 0x04034b50, bytes: 30 }
const STORED = 0

/**
 * The entries of a zip archive whose contents are stored without compression, as torch.save writes them. An entry is
 * checked against its CRC-32 when it is read.
 *
 * @param path  named in errors
 * @throws DataError  for an archive that is damaged, compressed, encrypted or larger than 4 GB
 */
export function readStoredZip(path: string, bytes: Uint8Array): ZipEntries {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const end = endOfDirectory(path, view)
  const count = view.getUint16(end + 10, true)
  let at = view.getUint32(end + 16, true)
  if (count === 0xffff || at === 0xffffffff) {
    throw new DataError(path, 'zip archives of more than 4 GB are not read', {
      fix: 'in Python, save the weights as safetensors: safetensors.torch.save_file(model.state_dict(), path)',
    })
  }
  const entries = new Map<string, () => Uint8Array>()
  for (let i = 0; i < count; i++) {
    const inside = at + DIRECTORY.bytes <= end
    if (!inside || view.getUint32(at, true) !== DIRECTORY.signature) throw damaged(path, 'its directory')
    const next = at + DIRECTORY.bytes
    const nameBytes = view.getUint16(at + 28, true)
    const name = String.fromCharCode(...bytes.subarray(next, next + nameBytes))
    entries.set(name, entryReader(path, bytes, name, at))
    at = next + nameBytes + view.getUint16(at + 30, true) + view.getUint16(at + 32, true)
  }
  return entries
}

/** Returns the offset of the record that ends the archive. @throws DataError  if there is none */
function endOfDirectory(path: string, view: DataView): number {
  const last = view.byteLength - END.bytes
  for (let at = last; at >= Math.max(0, last - END.mostComment); at--) {
    if (view.getUint32(at, true) === END.signature) return at
  }
  throw damaged(path, 'its end is missing')
}

/** @param at  the entry's header in the directory */
function entryReader(path: string, bytes: Uint8Array, name: string, at: number): () => Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const encrypted = (view.getUint16(at + 8, true) & 1) === 1
  const method = view.getUint16(at + 10, true)
  const [checksum, packed, size, local] = [16, 20, 24, 42].map((field) => view.getUint32(at + field, true))
  return () => {
    if (encrypted || method !== STORED) {
      throw new DataError(path, `its entry ${name} is ${encrypted ? 'encrypted' : 'compressed'}, which is not read`, {
        expected: 'an archive as torch.save writes it, without compression',
        fix: 'in Python, save it again: torch.save(torch.load(path), path)',
      })
    }
    const wrong = damaged(path, `its entry ${name}`)
    if (packed !== size || local + LOCAL.bytes > bytes.length) throw wrong
    if (view.getUint32(local, true) !== LOCAL.signature) throw wrong
    const start = local + LOCAL.bytes + view.getUint16(local + 26, true) + view.getUint16(local + 28, true)
    const content = bytes.subarray(start, start + size)
    if (content.length !== size || crc32(content) !== checksum) throw wrong
    return content
  }
}

function damaged(path: string, what: string): DataError {
  return new DataError(path, `a damaged zip archive: ${what}`, { fix: 'get the file again' })
}
