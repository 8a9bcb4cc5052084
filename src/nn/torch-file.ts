/**
 * Weights in the files of torch.save (`.pth`, `.pt`), of which nothing is executed.
 *
 *   <name>/data.pkl   a pickle of a dictionary of tensors, which refer to their numbers by key
 *   <name>/data/0 …   numbers, little endian
 *
 * Source: PyTorch torch/serialization.py, _save; torch/_utils.py, _rebuild_tensor_v2.
 */
import { DataError } from '../base/errors.ts'
import { bfloatsToFloats, halfToFloat } from '../tensor/half.ts'
import { elementCount, isCounts, type Shape } from '../tensor/shape.ts'
import { PickleGlobal, readPickle, type PickleValue } from './pickle.ts'
import type { StateDict, StateEntry } from './state-dict.ts'
import { readStoredZip, type ZipEntries } from './zip.ts'

/** A type of weights: bytes of one number, and how many are read from a copy of their bytes. */
interface WeightType {
  readonly bytes: number
  read(copy: ArrayBuffer): Float32Array
}

/** Types of tensors. Counters, masks, indices and states of random generators are no weights, and left out. */
const STORAGES: ReadonlyMap<string, WeightType | undefined> = new Map<string, WeightType | undefined>([
  ['torch.FloatStorage', { bytes: 4, read: (copy) => new Float32Array(copy) }],
  ['torch.DoubleStorage', { bytes: 8, read: (copy) => Float32Array.from(new Float64Array(copy)) }],
  ['torch.HalfStorage', { bytes: 2, read: (copy) => Float32Array.from(new Uint16Array(copy), halfToFloat) }],
  ['torch.BFloat16Storage', { bytes: 2, read: (copy) => bfloatsToFloats(new Uint16Array(copy)) }],
  ...['Long', 'Int', 'Short', 'Char', 'Byte', 'Bool'].map((type) => [`torch.${type}Storage`, undefined] as const),
])

const TENSOR = 'torch._utils._rebuild_tensor_v2'
const PARAMETER = 'torch._utils._rebuild_parameter'
const DICTIONARY = 'collections.OrderedDict'
/**
 * Classes and functions that only describe the state of an optimizer, which is left out: fastai's list of hyperparameters, and
 * NumPy's numbers in it. Source: fastai optimizer.py, Optimizer.state_dict; fastcore foundation.py; numpy, scalar.__reduce__.
 */
const IGNORED: ReadonlySet<string> = new Set([
  'fastcore.foundation.L',
  'numpy.core.multiarray.scalar',
  'numpy._core.multiarray.scalar',
  'numpy.dtype',
  '_codecs.encode',
])
const ALLOWED: ReadonlySet<string> = new Set([TENSOR, PARAMETER, DICTIONARY, ...IGNORED, ...STORAGES.keys()])

/** Entries under which a checkpoint keeps the weights beside other things. Source: fastai learner.py, save_model; timm models/_helpers.py, load_state_dict. */
const WEIGHTS = ['model', 'state_dict', 'model_state_dict']
/** Beginning of every name where the model was wrapped for several devices. Source: torch.nn.DataParallel. */
const WRAPPED = 'module.'
/** Numbers of all tensors at most, for each byte of the file: tensors may share numbers, but not by the thousand. */
const MOST_NUMBERS_PER_BYTE = 4

/** Numbers of tensors, not read yet. */
class Storage {
  readonly type: string
  readonly key: string

  constructor(type: string, key: string) {
    this.type = type
    this.key = key
  }
}

/** A view of a storage. */
class TorchTensor {
  readonly storage: Storage
  readonly offset: number
  readonly shape: Shape
  readonly stride: readonly number[]

  constructor(storage: Storage, offset: number, shape: Shape, stride: readonly number[]) {
    this.storage = storage
    this.offset = offset
    this.shape = shape
    this.stride = stride
  }
}

/** True for the first bytes of a file that torch.save wrote, of this or the format before it. */
export function isTorchFile(bytes: Uint8Array): boolean {
  const [a, b, c, d] = bytes
  return (a === 0x50 && b === 0x4b && c === 3 && d === 4) || isLegacy(bytes)
}

/** A pickled number with which files of torch.save before version 1.6 begin. Source: PyTorch torch/serialization.py, MAGIC_NUMBER. */
const MAGIC = [0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]

function isLegacy(bytes: Uint8Array): boolean {
  // Behind the protocol, from number 4 on also behind the length of a frame.
  const at = bytes[2] === 0x95 ? 11 : 2
  return bytes[0] === 0x80 && MAGIC.every((byte, i) => bytes[at + i] === byte)
}

/**
 * The weights of a file that torch.save wrote of a state dictionary, or of a checkpoint that has one under `model`, as
 * fastai's, or under `state_dict`. Whole numbers and truth values are no weights and left out.
 *
 * @param path  named in errors
 * @throws DataError  that names a function or class that the file asks for, and for damaged files and other formats
 */
export function readTorchFile(path: string, bytes: Uint8Array): StateDict {
  if (isLegacy(bytes)) {
    throw new DataError(path, 'the format of torch.save before version 1.6, which is not read', {
      fix: 'in Python, save it again: torch.save(torch.load(path), path)',
    })
  }
  const entries = readStoredZip(path, bytes)
  const pickle = [...entries.keys()].find((name) => /^[^/]+\/data\.pkl$/.test(name))
  if (pickle === undefined) {
    throw new DataError(path, 'a zip archive that torch.save has not written', {
      given: { entries: [...entries.keys()].slice(0, 5).join(', ') },
      expected: 'an entry <name>/data.pkl',
    })
  }
  const folder = pickle.slice(0, -'data.pkl'.length)
  requireLittleEndian(path, entries, folder)
  const value = readPickle(path, entryOf(path, entries, pickle), {
    allows: (name) => ALLOWED.has(name),
    call: (name, args) => called(path, name, args),
    persistent: (id) => storageOf(path, id),
  })
  return weightsOf(path, value, new Numbers(path, entries, folder, bytes.length * MOST_NUMBERS_PER_BYTE))
}

/** Results of the functions that a file may call, by their arguments. */
function called(path: string, name: string, args: readonly PickleValue[]): PickleValue {
  if (IGNORED.has(name)) return []
  if (name === DICTIONARY) {
    const [pairs = []] = args
    if (Array.isArray(pairs) && pairs.every((pair) => Array.isArray(pair) && pair.length === 2)) {
      return new Map(pairs as [PickleValue, PickleValue][])
    }
  }
  if (name === TENSOR) {
    const [storage, offset, shape, stride] = args
    const fits = isCounts(shape) && isCounts(stride) && shape.length === stride.length && isCounts([offset])
    if (storage instanceof Storage && fits) return new TorchTensor(storage, offset as number, shape, stride)
  }
  if (name === PARAMETER && args[0] instanceof TorchTensor) return args[0]
  throw new DataError(path, `a damaged file: the arguments of ${name}`, { fix: 'get the file again' })
}

/** The storage of ('storage', type, key, device, count). */
function storageOf(path: string, id: PickleValue): Storage {
  if (Array.isArray(id)) {
    const [kind, type, key] = id as PickleValue[]
    if (kind === 'storage' && type instanceof PickleGlobal && STORAGES.has(type.name) && typeof key === 'string') {
      return new Storage(type.name, key)
    }
  }
  throw new DataError(path, 'a damaged file: a reference to numbers', { fix: 'get the file again' })
}

function weightsOf(path: string, value: PickleValue, numbers: Numbers): StateDict {
  // A checkpoint may have tensors of its own beside the weights, such as the best loss so far.
  const candidates = value instanceof Map ? [...WEIGHTS.map((name) => value.get(name) as PickleValue), value] : []
  for (const candidate of candidates) {
    if (!(candidate instanceof Map)) continue
    const named = [...(candidate as Map<PickleValue, PickleValue>)].filter(
      (entry): entry is [string, TorchTensor] => typeof entry[0] === 'string' && entry[1] instanceof TorchTensor,
    )
    const wrapped = named.every(([name]) => name.startsWith(WRAPPED))
    const weights = new Map<string, StateEntry>()
    for (const [name, tensor] of named) {
      const data = numbers.of(name, tensor)
      if (data) weights.set(wrapped ? name.slice(WRAPPED.length) : name, { shape: tensor.shape, data })
    }
    if (weights.size > 0) return weights
  }
  throw new DataError(path, 'there are no weights in this file', {
    given: value instanceof Map ? { entries: [...value.keys()].slice(0, 5).map(String).join(', ') } : {},
    expected: `a state dictionary, or one under ${WEIGHTS.join(', ')}`,
    fix: 'in Python: torch.save(model.state_dict(), path)',
  })
}

/** Reads the numbers of tensors. */
class Numbers {
  private readonly path: string
  private readonly entries: ZipEntries
  private readonly folder: string
  /** Numbers that may still be read. */
  private left: number
  private readonly contents = new Map<string, Uint8Array>()

  constructor(path: string, entries: ZipEntries, folder: string, most: number) {
    this.path = path
    this.entries = entries
    this.folder = folder
    this.left = most
  }

  /** Returns the numbers of a tensor, row by row; undefined for one that holds no weights. */
  of(name: string, { storage, offset, shape, stride }: TorchTensor): Float32Array | undefined {
    const type = STORAGES.get(storage.type)
    if (!type) return undefined
    const { bytes, read } = type
    const count = elementCount(shape)
    const last = shape.reduce((at, size, axis) => at + (size - 1) * stride[axis], offset)
    const content = this.contentOf(storage.key)
    this.left -= count
    if (!(count === 0 || (last + 1) * bytes <= content.length) || !(this.left >= 0)) {
      throw new DataError(this.path, `a damaged file: ${name} has more numbers than there are`, {
        given: { shape, stride, offset, 'bytes there': content.length },
        fix: 'get the file again',
      })
    }
    if (count === 0) return new Float32Array(0)
    const copied = (from: number, to: number) => new Uint8Array(content.subarray(from * bytes, to * bytes)).buffer
    if (isDense(shape, stride)) return read(copied(offset, offset + count))
    const numbers = read(copied(0, last + 1))
    const steps = shape.map((_, axis) => elementCount(shape.slice(axis + 1)))
    return Float32Array.from({ length: count }, (_, i) => {
      return numbers[steps.reduce((at, step, axis) => at + (Math.floor(i / step) % shape[axis]) * stride[axis], offset)]
    })
  }

  private contentOf(key: string): Uint8Array {
    const known = this.contents.get(key)
    if (known) return known
    const content = entryOf(this.path, this.entries, `${this.folder}data/${key}`)
    this.contents.set(key, content)
    return content
  }
}

function entryOf(path: string, entries: ZipEntries, name: string): Uint8Array {
  const read = entries.get(name)
  if (read) return read()
  throw new DataError(path, `a damaged file: its entry ${name} is missing`, { fix: 'get the file again' })
}

/** Files of big-endian machines say so. Files before PyTorch 2.1 say nothing. */
function requireLittleEndian(path: string, entries: ZipEntries, folder: string): void {
  const order = entries.get(`${folder}byteorder`)?.()
  if (!order || String.fromCharCode(...order.subarray(0, 6)) === 'little') return
  throw new DataError(path, 'its numbers are big endian, which is not read', {
    fix: 'load and save it with PyTorch on the computer that trains',
  })
}

/** True if numbers lie row by row without gaps; the stride of an axis of one number says nothing. */
function isDense(shape: Shape, stride: readonly number[]): boolean {
  return shape.every((size, axis) => size === 1 || stride[axis] === elementCount(shape.slice(axis + 1)))
}
