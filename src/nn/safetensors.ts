/**
 * The safetensors format: named tensors in a file that cannot run code, read by PyTorch, NumPy and others.
 *
 *   8 bytes      length of the header, little endian
 *   header       JSON: { "__metadata__": { name: text }, "<tensor>": { dtype, shape, data_offsets: [begin, end] } }
 *   the rest     data, little endian, row-major; the offsets count from here and leave no gap
 *
 * Source: huggingface/safetensors, README.md, "Format".
 */
import { DataError, OptionError, ShapeError } from '../base/errors.ts'
import { isRecord, requireShallow } from '../base/json.ts'
import { utf8Text } from '../base/utf8.ts'
import { bfloatsToFloats, floatsToBfloats, floatToHalf, halfToFloat } from '../tensor/half.ts'
import { elementCount, isCounts, type Shape } from '../tensor/shape.ts'

/** Tensor of a safetensors file. F16 and BF16 data are rounded on writing and exact on reading. */
export type StoredTensor = { readonly shape: Shape } & (
  | { readonly dtype: 'F32' | 'F16' | 'BF16'; readonly data: Float32Array }
  | { readonly dtype: 'U32'; readonly data: Uint32Array }
  | { readonly dtype: 'I64'; readonly data: BigInt64Array }
)

/** Contents of a safetensors file: tensors in the order of the header, and metadata. */
export interface Safetensors {
  readonly tensors: ReadonlyMap<string, StoredTensor>
  readonly metadata: Readonly<Record<string, string>>
}

const ELEMENT_BYTES: Readonly<Record<StoredTensor['dtype'], number>> = { I64: 8, F32: 4, U32: 4, F16: 2, BF16: 2 }
const LENGTH_BYTES = 8
/** Most bytes of a header that readers accept. Source: huggingface/safetensors, safetensors/src/tensor.rs, MAX_HEADER_SIZE. */
const MOST_HEADER_BYTES = 100_000_000
const METADATA = '__metadata__'
/** Number of characters of an entry that an error shows. */
const SHOWN = 100
/** Alignment of the data in bytes, so that every type can be read in place. */
const ALIGNMENT = 8

/**
 * Encodes tensors as the bytes of a safetensors file. Wider types are stored first, so that all are aligned.
 *
 * @throws OptionError  if a tensor is called `__metadata__`
 * @throws ShapeError  if the number of values of a tensor does not match its shape
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const begins = new Map<string, number>()
  let end = 0
  for (const [name, tensor] of [...tensors].sort(([, a], [, b]) => ELEMENT_BYTES[b.dtype] - ELEMENT_BYTES[a.dtype])) {
    begins.set(name, end)
    end += byteCount(tensor)
  }
  const header: [string, unknown][] = Object.keys(metadata).length > 0 ? [[METADATA, metadata]] : []
  for (const [name, tensor] of tensors) {
    const { dtype, shape, data } = tensor
    if (name === METADATA) throw new OptionError('safetensors', `a tensor must not be called ${METADATA}`)
    if (data.length !== elementCount(shape)) {
      throw new ShapeError('safetensors', `the number of values of ${name} does not match its shape`, {
        given: { shape, numbers: data.length },
      })
    }
    const begin = begins.get(name) ?? 0
    header.push([name, { dtype, shape, data_offsets: [begin, begin + byteCount(tensor)] }])
  }
  const json = ascii(JSON.stringify(Object.fromEntries(header)))
  const dataStart = Math.ceil((LENGTH_BYTES + json.length) / ALIGNMENT) * ALIGNMENT
  const bytes = new Uint8Array(dataStart + end)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(dataStart - LENGTH_BYTES), true)
  // The format allows trailing spaces in the header.
  for (let i = LENGTH_BYTES; i < dataStart; i++) bytes[i] = json.charCodeAt(i - LENGTH_BYTES) || 0x20
  for (const [name, tensor] of tensors) bytes.set(bytesOf(tensor), dataStart + (begins.get(name) ?? 0))
  return bytes
}

/**
 * Decodes the tensors of a safetensors file; the data are copied.
 *
 * @param path  path of the file, for errors
 * @throws DataError  if the bytes are of another format, truncated or damaged, or hold an unsupported type
 */
export function readSafetensors(path: string, bytes: Uint8Array): Safetensors {
  const dataStart = checkStart(path, bytes)
  const { [METADATA]: metadata = {}, ...entries } = parseHeader(path, bytes.subarray(LENGTH_BYTES, dataStart))
  if (!isRecord(metadata) || !Object.values(metadata).every((value): value is string => typeof value === 'string')) {
    throw damaged(path, `its ${METADATA} must map names to strings`)
  }
  const layouts = Object.entries(entries).map(([name, entry]) => layoutOf(path, name, entry))
  checkRanges(path, layouts, bytes.length - dataStart)
  const tensors = new Map(
    layouts.map((layout) => {
      const copied = new Uint8Array(bytes.subarray(dataStart + layout.begin, dataStart + layout.end))
      return [layout.name, tensorOf(layout, copied.buffer)]
    }),
  )
  return { tensors, metadata: metadata as Record<string, string> }
}

/** Entry of the header for one tensor. */
interface Layout {
  readonly name: string
  readonly dtype: StoredTensor['dtype']
  readonly shape: Shape
  readonly begin: number
  readonly end: number
}

/** Returns the offset at which the data begin. @throws DataError  unless the bytes begin like a safetensors file */
function checkStart(path: string, bytes: Uint8Array): number {
  if (bytes.length === 0) throw new DataError(path, 'the file is empty', { expected: 'a safetensors file' })
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const headerLength = bytes.length > LENGTH_BYTES ? view.getBigUint64(0, true) : 0n
  // A real header has some kilobytes; other formats read as a length mostly give astronomical numbers.
  const plausible = headerLength >= 2n && headerLength < 2n ** 40n && bytes[LENGTH_BYTES] === '{'.charCodeAt(0)
  if (!plausible) throw foreign(path, bytes)
  const dataStart = LENGTH_BYTES + Number(headerLength)
  if (dataStart > bytes.length) {
    const given = { 'bytes there': bytes.length, 'end of the header': dataStart }
    throw damaged(path, 'it is truncated within its header', given)
  }
  if (headerLength > MOST_HEADER_BYTES) {
    throw damaged(path, 'its header is larger than the format allows', {
      bytes: headerLength,
      'at most': MOST_HEADER_BYTES,
    })
  }
  return dataStart
}

/** Signatures of other formats in which weights are distributed. */
const SIGNATURES: readonly (readonly [start: string, kind: string])[] = [
  ['PK\x03\x04', 'a zip archive, as torch.save and fastai write'],
  ['\x80\x02', 'a pickle, as older versions of torch.save write'],
  ['\x89HDF', 'an HDF5 file'],
  ['\x1f\x8b', 'a gzip archive'],
  ['GGUF', 'a GGUF file'],
  ['{', 'a JSON file'],
  ['<', 'a page of HTML, as some servers answer where they have no such file'],
  ['version https://git-lfs', 'a pointer of Git LFS, as a clone has without `git lfs pull`'],
]

function foreign(path: string, bytes: Uint8Array): DataError {
  const startsWith = (letters: string) => Array.from(letters).every((letter, i) => bytes[i] === letter.charCodeAt(0))
  const kind = SIGNATURES.find(([letters]) => startsWith(letters))?.[1]
  const start = Array.from(bytes.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0')).join(' ')
  return new DataError(path, `not a safetensors file (starts ${start}${kind === undefined ? '' : `, ${kind}`})`, {
    fix: 'in Python, write one: safetensors.torch.save_file(model.state_dict(), path).',
  })
}

function damaged(path: string, what: string, given?: Readonly<Record<string, unknown>>): DataError {
  return new DataError(path, `a damaged safetensors file: ${what}`, { given, fix: 'get or save the file again.' })
}

function parseHeader(path: string, bytes: Uint8Array): Record<string, unknown> {
  try {
    const text = utf8Text(bytes)
    requireShallow(text)
    const header: unknown = JSON.parse(text)
    if (isRecord(header)) return header
  } catch (cause) {
    if (!(cause instanceof SyntaxError || cause instanceof TypeError)) throw cause
  }
  throw damaged(path, 'its header is not JSON')
}

function layoutOf(path: string, name: string, entry: unknown): Layout {
  const wrong = () =>
    damaged(path, `the description of ${name} is invalid`, { description: JSON.stringify(entry)?.slice(0, SHOWN) })
  if (!isRecord(entry)) throw wrong()
  const { dtype, shape, data_offsets: offsets } = entry
  if (typeof dtype !== 'string' || !isCounts(shape) || !isCounts(offsets) || offsets.length !== 2) throw wrong()
  const [begin, end] = offsets
  if (!isDtype(dtype)) {
    throw new DataError(path, `the type of ${name} is not supported`, {
      given: { dtype },
      expected: Object.keys(ELEMENT_BYTES).join(', '),
      fix: `in Python, convert them before saving: tensor.float()`,
    })
  }
  const needed = elementCount(shape) * ELEMENT_BYTES[dtype]
  if (end - begin !== needed) {
    throw damaged(path, `the number of bytes of ${name} does not match its shape`, {
      dtype,
      shape,
      bytes: end - begin,
      needed,
    })
  }
  return { name, dtype, shape, begin, end }
}

/**
 * Checks that every byte of the data belongs to exactly one tensor, which detects manipulated headers and repeated
 * names.
 */
function checkRanges(path: string, layouts: readonly Layout[], byteLength: number): void {
  let covered = 0
  for (const { name, begin, end } of layouts.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (end > byteLength) {
      const given = { 'bytes of numbers there': byteLength, needed: end }
      throw damaged(path, `it is truncated: ${name} extends beyond its end`, given)
    }
    if (begin !== covered) {
      throw damaged(path, `the bytes of ${name} do not follow those of the tensor before`, { begin, expected: covered })
    }
    covered = end
  }
  if (covered !== byteLength) {
    throw damaged(path, 'bytes at its end belong to no tensor', { bytes: byteLength - covered })
  }
}

function tensorOf({ dtype, shape }: Layout, buffer: ArrayBuffer): StoredTensor {
  switch (dtype) {
    case 'I64':
      return { dtype, shape, data: new BigInt64Array(buffer) }
    case 'U32':
      return { dtype, shape, data: new Uint32Array(buffer) }
    case 'F32':
      return { dtype, shape, data: new Float32Array(buffer) }
    case 'F16':
      return { dtype, shape, data: Float32Array.from(new Uint16Array(buffer), halfToFloat) }
    case 'BF16':
      return { dtype, shape, data: bfloatsToFloats(new Uint16Array(buffer)) }
  }
}

function bytesOf({ dtype, data }: StoredTensor): Uint8Array {
  const stored = dtype === 'F16' ? Uint16Array.from(data, floatToHalf) : dtype === 'BF16' ? floatsToBfloats(data) : data
  return new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength)
}

function byteCount({ dtype, data }: StoredTensor): number {
  return data.length * ELEMENT_BYTES[dtype]
}

/** Escapes non-ASCII characters in JSON, so that characters and bytes coincide. */
function ascii(json: string): string {
  return json.replace(/[^\x20-\x7e]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function isDtype(dtype: string): dtype is StoredTensor['dtype'] {
  return Object.hasOwn(ELEMENT_BYTES, dtype)
}
