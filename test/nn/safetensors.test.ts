import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { DataError, OptionError, ShapeError } from '../../src/base/errors.ts'
import { readSafetensors, writeSafetensors, type StoredTensor } from '../../src/nn/safetensors.ts'
import { readWeights, writeWeights } from '../../src/nn/weights.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'

/** Made by test/golden/make_safetensors.py, which has PyTorch read it back. */
const golden = new Uint8Array(readFileSync(new URL('../golden/weights.safetensors', import.meta.url)))

const weightShapes: [string, number[]][] = [
  ['0.weight', [3, 2, 3, 2]],
  ['1.weight', [3]],
  ['1.bias', [3]],
  ['1.running_mean', [3]],
  ['1.running_var', [3]],
  ['3.weight', [5, 12]],
  ['3.bias', [5]],
]

const count = (shape: number[]) => shape.reduce((a, b) => a * b)

describe('a file of PyTorch', () => {
  const { tensors, metadata } = readSafetensors('weights.safetensors', golden)

  test('has its names, shapes and numbers', () => {
    expect([...tensors.keys()]).toEqual([
      '0.weight',
      '1.weight',
      '1.bias',
      '1.running_mean',
      '1.running_var',
      '1.num_batches_tracked',
      '3.weight',
      '3.bias',
      'half',
      'counts',
      'scalar',
      'empty',
    ])
    for (const [j, [name, shape]] of weightShapes.entries()) {
      expect(tensors.get(name)).toEqual({ dtype: 'F32', shape, data: hashUniform(count(shape), j, -1, 1) })
    }
    expect(tensors.get('1.num_batches_tracked')).toEqual({ dtype: 'I64', shape: [], data: BigInt64Array.of(7n) })
    expect(tensors.get('counts')).toEqual({ dtype: 'U32', shape: [3], data: Uint32Array.of(0, 1, 2 ** 32 - 1) })
    expect(tensors.get('scalar')).toEqual({ dtype: 'F32', shape: [], data: Float32Array.of(0.5) })
    expect(tensors.get('empty')).toEqual({ dtype: 'F32', shape: [0, 3], data: new Float32Array(0) })
    const half = tensors.get('half')
    expect([half?.dtype, half?.shape]).toEqual(['F16', [3, 3]])
    expect([...(half?.data ?? [])]).toEqual([1, -2, 0.0999755859375, 65504, 2 ** -24, Infinity, -0, 2 * 2 ** -24, 3])
    expect(metadata).toMatchObject({ format: 'pt', note: 'größer 图' })
  })

  test('is what writing its tensors gives, byte for byte', () => {
    expect(writeSafetensors(tensors, metadata)).toEqual(golden)
  })

  test('may begin anywhere in memory, and is copied out of it', () => {
    const shifted = new Uint8Array(golden.length + 3).subarray(3)
    shifted.set(golden)
    const read = readSafetensors('x', shifted).tensors
    shifted.fill(0)
    expect(read).toEqual(tensors)
  })

  test('holds weights: the float ones', () => {
    const { weights } = readWeights('weights.safetensors', golden)
    expect([...weights.keys()]).toEqual([...weightShapes.map(([name]) => name), 'half', 'scalar', 'empty'])
    expect(weights.get('3.bias')).toEqual({ shape: [5], data: hashUniform(5, 6, -1, 1) })
  })
})

test('metadata that is too long for a header is kept beside the weights', () => {
  const weights = new Map([['weight', { shape: [1], data: Float32Array.of(0.5) }]])
  // Escaped in a header it takes 102 MB, of which every reader refuses more than 100.
  const metadata = { log: 'ü'.repeat(17_000_001), note: 'short' }
  const read = readWeights('x', writeWeights(weights, metadata))
  expect(read.weights).toEqual(weights)
  expect(Object.keys(read.metadata).sort()).toEqual(['log', 'note'])
  expect(read.metadata.note).toBe('short')
  // Not `toBe`, which would print both texts.
  expect(read.metadata.log === metadata.log).toBe(true)
})

test('what is written is read again', () => {
  const tensors = new Map<string, StoredTensor>([
    ['b', { dtype: 'F16', shape: [3], data: Float32Array.of(0.1, 70000, Number.NaN) }],
    ['a "quoted" \u{1f600} name\n', { dtype: 'F32', shape: [1, 2], data: Float32Array.of(Number.NaN, -0) }],
    ['__proto__', { dtype: 'U32', shape: [1], data: Uint32Array.of(5) }],
    ['n', { dtype: 'I64', shape: [2], data: BigInt64Array.of(-1n, 2n ** 62n) }],
  ])
  const bytes = writeSafetensors(tensors)
  const back = readSafetensors('x', bytes)
  expect([...back.tensors.keys()]).toEqual([...tensors.keys()])
  expect([...back.tensors.get('b')!.data]).toEqual([0.0999755859375, Infinity, Number.NaN])
  for (const name of [...tensors.keys()].slice(1)) expect(back.tensors.get(name)).toEqual(tensors.get(name))
  expect(back.metadata).toEqual({})
  // The numbers begin at a multiple of eight and the widest come first.
  const headerLength = Number(new DataView(bytes.buffer).getBigUint64(0, true))
  expect(headerLength % 8).toBe(0)
  expect(bytes.length).toBe(8 + headerLength + 16 + 8 + 4 + 6)
  expect(new DataView(bytes.buffer).getBigInt64(8 + headerLength, true)).toBe(-1n)
})

test('bfloat16, as PyTorch rounds it', () => {
  // torch.tensor([…]).bfloat16().view(torch.int16), PyTorch 1.13.
  const values = [0.1, 1 / 3, 65504, 3.4028234e38, -1e-40, 1 + 2 ** -8, 1 + 3 * 2 ** -8, Infinity, -0]
  const bits = [0x3dcd, 0x3eab, 0x4780, 0x7f80, 0x8001, 0x3f80, 0x3f82, 0x7f80, 0x8000]
  const shape = [values.length + 2]
  const data = Float32Array.of(...values, NaN, NaN)
  // A NaN whose upper bits are those of infinity.
  new Uint32Array(data.buffer)[values.length + 1] = 0x7f800001
  const bytes = writeSafetensors(new Map([['a.weight', { dtype: 'BF16', shape, data }]]))
  const stored = new Uint16Array(bytes.slice(-2 * shape[0]).buffer)
  expect([...stored.subarray(0, -2)]).toEqual(bits)
  const { weights } = readWeights('x', bytes)
  const read = [...weights.get('a.weight')!.data]
  expect(read.slice(0, 3)).toEqual([0.10009765625, 0.333984375, 65536])
  expect(read[4]).toBeCloseTo(-1e-40, 40)
  expect([read[3], ...read.slice(5)]).toEqual([Infinity, 1, 1.015625, Infinity, -0, NaN, NaN])
})

test('part of a larger array is written', () => {
  const data = Float32Array.of(1, 2, 3, 4).subarray(1, 3)
  const back = readSafetensors('x', writeSafetensors(new Map([['a', { dtype: 'F32', shape: [2], data }]])))
  expect([...back.tensors.get('a')!.data]).toEqual([2, 3])
})

test('no tensors at all make a file, which has no weights', () => {
  const bytes = writeSafetensors(new Map(), { a: 'b' })
  expect(readSafetensors('x', bytes)).toEqual({ tensors: new Map(), metadata: { a: 'b' } })
  expect(() => readWeights('runs/model.safetensors', bytes)).toThrow(
    'runs/model.safetensors: there are no weights in this file',
  )
})

test('weights keep names, order and shapes', () => {
  const weights = new Map(weightShapes.map(([name, shape], j) => [name, { shape, data: hashUniform(count(shape), j) }]))
  const read = readWeights('x', writeWeights(weights, { epoch: '3' }))
  expect(read).toEqual({ weights, metadata: { epoch: '3' } })
  expect([...read.weights.keys()]).toEqual([...weights.keys()])
})

test('in half precision filters and matrices are rounded, vectors and infinities are as they were', () => {
  const huge = { shape: [2], data: Float32Array.of(1e6, -0.1) }
  const filter = { shape: [1, 1, 2, 2], data: Float32Array.of(0.1, -65504, Infinity, Number.NaN) }
  const weights = new Map([
    ['running_var', huge],
    ['filter', filter],
  ])
  const bytes = writeWeights(weights, {}, { precision: 'f16' })
  const { tensors } = readSafetensors('x', bytes)
  expect([...tensors].map(([name, { dtype }]) => [name, dtype])).toEqual([
    ['running_var', 'F32'],
    ['filter', 'F16'],
  ])
  const read = readWeights('x', bytes).weights
  expect(read.get('running_var')).toEqual(huge)
  expect([...read.get('filter')!.data]).toEqual([0.0999755859375, -65504, Infinity, Number.NaN])
  const beyond = new Map([['filter', { shape: [1, 2], data: Float32Array.of(1, 65520) }]])
  expect(() => writeWeights(beyond, {}, { precision: 'f16' })).toThrowErrorMatchingInlineSnapshot(`
    [NotFiniteError: f16: filter has a value beyond the range of half precision
      filter[1]  65520
      expected at most 65504
      Fix: write it with { precision: 'f32' }]
  `)
  expect(() => writeWeights(beyond)).not.toThrow()
})

test('what cannot be written is refused', () => {
  const data = new Float32Array(4)
  const write = (name: string, shape: number[]) => () =>
    writeSafetensors(new Map([[name, { dtype: 'F32', shape, data }]]))
  expect(write('__metadata__', [4])).toThrow(OptionError)
  expect(write('a', [2, 3])).toThrow(ShapeError)
})

describe('a file that is not right is refused with its name', () => {
  const expectRefused = (bytes: Uint8Array, message: string) => {
    const refused = () => readSafetensors('model.safetensors', bytes)
    expect(refused).toThrow(DataError)
    expect(refused).toThrow('model.safetensors: ')
    expect(refused).toThrow(message)
  }
  const text = (letters: string) => new Uint8Array(Buffer.from(letters, 'latin1'))
  /** A file with that header and so many bytes of numbers. */
  const file = (header: unknown, numbers = 0) => {
    const json = typeof header === 'string' ? header : JSON.stringify(header)
    const bytes = new Uint8Array(8 + json.length + numbers)
    new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true)
    bytes.set(text(json), 8)
    return bytes
  }
  const tensor = (begin: number, end: number, shape: unknown = [(end - begin) / 4], dtype: unknown = 'F32') => ({
    dtype,
    shape,
    data_offsets: [begin, end],
  })

  test('other formats are told apart', () => {
    expectRefused(new Uint8Array(0), 'the file is empty')
    const zip = 'not a safetensors file (starts 50 4b 03 04 20 61 6e 64, a zip archive, as torch.save and fastai write)'
    expectRefused(text('PK\x03\x04 and the rest of a zip'), zip)
    expectRefused(text('\x80\x02}q\x00(X\x0e\x00\x00\x00'), 'a pickle')
    expectRefused(text('{"epoch": 1}'), 'a JSON file')
    expectRefused(text('<!doctype html><title>home</title>'), 'a page of HTML')
    expectRefused(text('version https://git-lfs.github.com/spec/v1\noid sha256:00'), 'a pointer of Git LFS')
    expectRefused(text('\xff\xd8\xff\xe0\0\x10JFIF'), 'not a safetensors file (starts ff d8 ff e0 00 10 4a 46)')
    expectRefused(golden.subarray(0, 7), 'not a safetensors file')
    expectRefused(new Uint8Array(100), 'not a safetensors file (starts 00 00')
    expectRefused(file('[1, 2]'), 'not a safetensors file')
  })

  test('cut short, wherever', () => {
    const headerEnd = 8 + Number(new DataView(golden.buffer, golden.byteOffset).getBigUint64(0, true))
    expectRefused(golden.subarray(0, 100), 'it is truncated within its header')
    expectRefused(golden.subarray(0, headerEnd - 1), 'it is truncated within its header')
    expectRefused(golden.subarray(0, headerEnd), 'extends beyond its end')
    expectRefused(golden.subarray(0, golden.length - 1), 'it is truncated: half extends beyond its end')
    for (let length = 0; length < golden.length; length += 7) {
      expect(() => readSafetensors('x', golden.subarray(0, length)), String(length)).toThrow(DataError)
    }
  })

  test('longer than its tensors, with gaps or overlaps', () => {
    expectRefused(file({ a: tensor(0, 8) }, 12), 'bytes at its end belong to no tensor')
    expectRefused(file({ a: tensor(4, 8) }, 8), 'the bytes of a do not follow those of the tensor before')
    expectRefused(
      file({ a: tensor(0, 8), b: tensor(4, 12) }, 12),
      'the bytes of b do not follow those of the tensor before',
    )
    // JSON knows only the last of a name given twice.
    expectRefused(
      file(`{"a":${JSON.stringify(tensor(0, 4))},"a":${JSON.stringify(tensor(4, 8))}}`, 8),
      'do not follow those of the tensor before',
    )
  })

  test('but not one whose header has letters of UTF-8', () => {
    expect([
      ...readSafetensors('x', file(`{"gr\xc3\xbc\xc3\x9fe":${JSON.stringify(tensor(0, 4))}}`, 4)).tensors.keys(),
    ]).toEqual(['grüße'])
  })

  test('a header that is none', () => {
    expectRefused(file('{"a": '), 'its header is not JSON')
    expectRefused(file(`{"a": ${'['.repeat(1e6)}`), 'its header is not JSON')
    expectRefused(file(`{"a": ${'[['.repeat(60)}${']]'.repeat(60)}}`), 'the description of a is invalid')
    expectRefused(file('{"\xff": 1}'), 'its header is not JSON')
    expectRefused(file({ __metadata__: { epoch: 1 } }), 'its __metadata__ must map names to strings')
    const offsets = (...places: unknown[]) => ({ ...tensor(0, 4), data_offsets: places })
    const shapes = [1, [-1], [1.5], ['1'], null].map((shape) => tensor(0, 4, shape))
    for (const entry of [
      1,
      null,
      [],
      {},
      ...shapes,
      tensor(0, 4, [1], 7),
      offsets(0),
      offsets(0, 2, 4),
      offsets('0', '4'),
    ]) {
      expectRefused(file({ a: entry }, 4), 'the description of a is invalid')
    }
    expectRefused(file({ a: tensor(0, 4, [2]) }, 4), 'the number of bytes of a does not match its shape')
    expectRefused(file({ a: tensor(4, 0, []) }, 4), 'the number of bytes of a does not match its shape')
  })

  test('a header is read as it is, however long, up to what the format allows', () => {
    // Byte by byte this took a minute, and twice as much ended the process.
    const long = new Uint8Array(8 + 60_000_000).fill('x'.charCodeAt(0))
    new DataView(long.buffer).setBigUint64(0, 60_000_000n, true)
    long.set(text('{"__metadata__":{"history":"'), 8)
    long.set(text('"}}'), long.length - 3)
    expect(readSafetensors('x', long).metadata.history.length).toBe(60_000_000 - 31)
    const tooLong = new Uint8Array(8 + 100_000_001)
    new DataView(tooLong.buffer).setBigUint64(0, 100_000_001n, true)
    tooLong.set(text('{'), 8)
    expectRefused(tooLong, 'its header is larger than the format allows')
  })

  test('numbers of another type', () => {
    expect(() => readSafetensors('model.safetensors', file({ a: tensor(0, 2, [1], 'F8_E4M3') }, 2)))
      .toThrowErrorMatchingInlineSnapshot(`
      [DataError: model.safetensors: the type of a is not supported
        dtype  F8_E4M3
        expected I64, F32, U32, F16, BF16
        Fix: in Python, convert them before saving: tensor.float()]
    `)
    expectRefused(file({ a: tensor(0, 2, [1], 'toString') }, 2), 'the type of a is not supported')
  })

  test('the message says what was found and what to do', () => {
    expect(() => readSafetensors('model.safetensors', golden.subarray(0, 1400))).toThrowErrorMatchingInlineSnapshot(`
      [DataError: model.safetensors: a damaged safetensors file: it is truncated: half extends beyond its end
        bytes of numbers there  480
        needed                  494
        Fix: get or save the file again.]
    `)
    expect(() => readSafetensors('model.pth', text('PK\x03\x04....'))).toThrowErrorMatchingInlineSnapshot(`
      [DataError: model.pth: not a safetensors file (starts 50 4b 03 04 2e 2e 2e 2e, a zip archive, as torch.save and fastai write)
        Fix: in Python, write one: safetensors.torch.save_file(model.state_dict(), path).]
    `)
  })
})
