import { describe, expect, test } from 'vitest'
import { crc32 } from '../../src/base/crc32.ts'
import { DataError } from '../../src/base/errors.ts'
import { rng } from '../../src/base/rng.ts'
import { readPickle } from '../../src/nn/pickle.ts'
import type { StateDict } from '../../src/nn/state-dict.ts'
import { readTorchFile } from '../../src/nn/torch-file.ts'
import { readWeights } from '../../src/nn/weights.ts'
import { golden } from '../helpers/golden.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'

const { files } = golden<{ readonly files: Readonly<Record<string, string>> }>('torch_files')
const bytesOf = (name: string) => Uint8Array.from(Buffer.from(files[name], 'base64'))
const read = (name: string) => readWeights(`${name}.pth`, bytesOf(name)).weights

/** Names, shapes and numbers of the network of make_safetensors.py. */
function expectNetwork(weights: StateDict) {
  expect([...weights].map(([name, { shape }]) => `${name} [${shape.join()}]`)).toEqual([
    '0.weight [3,2,3,2]',
    '1.weight [3]',
    '1.bias [3]',
    '1.running_mean [3]',
    '1.running_var [3]',
    '3.weight [5,12]',
    '3.bias [5]',
  ])
  for (const [j, { data }] of [...weights.values()].entries()) expect(data).toEqual(hashUniform(data.length, j, -1, 1))
}

describe('files of torch.save', () => {
  test.each(['state', 'state, protocol 4', 'fastai', 'fastai with optimizer', 'lightning', 'checkpoint'])(
    '%s',
    (name) => expectNetwork(read(name)),
  )

  test('types, views and parameters', () => {
    const weights = read('odd')
    const numbers = Object.fromEntries([...weights].map(([name, { shape, data }]) => [name, [[...shape], [...data]]]))
    expect(numbers).toEqual({
      half: [
        [2, 2],
        [1, -2, 0.0999755859375, 65504],
      ],
      bfloat16: [[3], [1, -2.5, 3.140625]],
      transposed: [
        [3, 2],
        [0, 3, 1, 4, 2, 5],
      ],
      middle: [
        [3, 2],
        [6, 7, 10, 11, 14, 15],
      ],
      parameter: [[2], [0.25, 0.5]],
      scalar: [[], [7]],
      empty: [[0, 3], []],
    })
  })

  test('numbers of 64 bits are rounded; whole numbers and truth values are no weights', () => {
    expect([...read('other types')]).toEqual([['double', { shape: [3], data: Float32Array.of(0.1, -Infinity, 2) }]])
  })

  test('a call of anything else is refused by its name, and not made', () => {
    // On Linux os.system is posix.system.
    expect(() => read('evil')).toThrowErrorMatchingInlineSnapshot(`
      [DataError: evil.pth: its pickle asks for posix.system, which is not a part of weights
        asked  posix.system
        expected tensors by name alone: nothing that a file asks for is executed here
        Fix: in Python, save the tensors alone: torch.save(model.state_dict(), path), or safetensors.torch.save_file(model.state_dict(), path)]
    `)
    expect(() => read('whole model')).toThrow('asks for torch.nn.modules.container.Sequential')
  })

  test.each([2, 3, 4, 5])('the format before is refused with advice, protocol %i', (protocol) => {
    expect(() => readWeights('legacy.pth', bytesOf(`legacy, protocol ${protocol}`)))
      .toThrowErrorMatchingInlineSnapshot(`
      [DataError: legacy.pth: the format of torch.save before version 1.6, which is not read
        Fix: in Python, save it again: torch.save(torch.load(path), path)]
    `)
  })

  test('what holds no weights is refused', () => {
    expect(() => read('no weights')).toThrowErrorMatchingInlineSnapshot(`
      [DataError: no weights.pth: there are no weights in this file
        entries  epoch
        expected a state dictionary, or one under model, state_dict, model_state_dict
        Fix: in Python: torch.save(model.state_dict(), path)]
    `)
    const zip = withPickle(Uint8Array.of(0x80, 2, 'N'.charCodeAt(0), '.'.charCodeAt(0)), 'other/file.txt')
    expect(() => readTorchFile('a.zip', zip)).toThrow('a zip archive that torch.save has not written')
  })
})

describe('damaged files', () => {
  test('cut short anywhere: a DataError', () => {
    const whole = bytesOf('fastai')
    for (let length = 4; length < whole.length; length += 7) {
      expect(() => readTorchFile('cut.pth', whole.slice(0, length)), `${length} bytes`).toThrow(DataError)
    }
  })

  test('any byte changed: a DataError, or the same weights where it says nothing of them', () => {
    const whole = bytesOf('fastai')
    const random = rng(1, 'flipped')
    for (let i = 0; i < whole.length; i++) {
      const changed = whole.slice()
      changed[i] ^= 1 << random.integer(0, 7)
      const weights = errorOr(() => readTorchFile('changed.pth', changed))
      if (weights instanceof Map) expectNetwork(weights)
      else expect(weights, `byte ${i}`).toBeInstanceOf(DataError)
    }
  })

  test('a changed pickle under a right checksum: a DataError, or some weights', () => {
    const pickle = pickleOf(bytesOf('fastai'))
    const random = rng(2, 'pickle')
    let refused = 0
    for (let i = 0; i < 3000; i++) {
      const changed = pickle.slice(0, random.bernoulli(0.1) ? random.integer(0, pickle.length) : pickle.length)
      for (let k = random.integer(1, 4); k > 0 && changed.length > 0; k--) {
        changed[random.integer(0, changed.length - 1)] = random.integer(0, 255)
      }
      const weights = errorOr(() => readTorchFile('changed.pth', withPickle(changed, 'a/data.pkl')))
      if (!(weights instanceof Map)) {
        expect(weights, `change ${i}`).toBeInstanceOf(DataError)
        refused++
      }
    }
    expect(refused).toBeGreaterThan(1000)
  })

  test('a tensor of more numbers than there are is refused before memory is taken', () => {
    // A view of one number, spread over 10^12 by strides of 0.
    const pickle = [
      ...opcodes('\x80\x02}X'),
      1,
      0,
      0,
      0,
      ...opcodes('xctorch._utils\n_rebuild_tensor_v2\n((X'),
      7,
      0,
      0,
      0,
      ...opcodes('storagectorch\nFloatStorage\nX'),
      1,
      0,
      0,
      0,
      ...opcodes('0X'),
      3,
      0,
      0,
      0,
      ...opcodes('cpuK\x01tQK\x00J'),
      0,
      0x10,
      0xa5,
      0x74,
      ...opcodes('\x85K\x00\x85\x89Nt'),
      ...opcodes('Rs.'),
    ]
    const file = withPickle(Uint8Array.from(pickle), 'a/data.pkl', [['a/data/0', new Uint8Array(4)]])
    expect(() => readTorchFile('wide.pth', file)).toThrow('x has more numbers than there are')
  })

  test('instructions that build no values are refused', () => {
    const nothing = { allows: () => false, call: () => null, persistent: () => null }
    // INST and OBJ call classes, BINSTRING has bytes of no encoding.
    for (const code of ['i', 'o', 'T', '\x92']) {
      expect(() => readPickle('x', Uint8Array.from(opcodes(`\x80\x02${code}`)), nothing)).toThrow(
        'its pickle has an instruction that weights do not need',
      )
    }
  })
})

function errorOr<Result>(work: () => Result): unknown {
  try {
    return work()
  } catch (error) {
    return error
  }
}

function opcodes(text: string): number[] {
  return Array.from(text, (letter) => letter.charCodeAt(0))
}

/** The pickle of a file of torch.save, which is its first entry. */
function pickleOf(zip: Uint8Array): Uint8Array {
  const view = new DataView(zip.buffer)
  const end = zip.length - 22
  const directory = view.getUint32(end + 16, true)
  const size = view.getUint32(directory + 24, true)
  const start = 30 + view.getUint16(26, true) + view.getUint16(28, true)
  return zip.slice(start, start + size)
}

/** A zip archive of that pickle, and of numbers or other entries. */
function withPickle(pickle: Uint8Array, name: string, others: readonly (readonly [string, Uint8Array])[] = numbers()) {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let at = 0
  for (const [entry, content] of [[name, pickle] as const, ...others]) {
    const local = Buffer.alloc(30)
    local.writeUInt32LE(0x04034b50)
    local.writeUInt16LE(entry.length, 26)
    const header = Buffer.alloc(46)
    header.writeUInt32LE(0x02014b50)
    header.writeUInt32LE(crc32(content), 16)
    header.writeUInt32LE(content.length, 20)
    header.writeUInt32LE(content.length, 24)
    header.writeUInt16LE(entry.length, 28)
    header.writeUInt32LE(at, 42)
    parts.push(local, Buffer.from(entry), Buffer.from(content))
    directory.push(header, Buffer.from(entry))
    at += 30 + entry.length + content.length
  }
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50)
  end.writeUInt16LE(1 + others.length, 10)
  end.writeUInt32LE(at, 16)
  return Uint8Array.from(Buffer.concat([...parts, ...directory, end]))
}

/** As many numbers as the tensors of the network need. */
function numbers(): [string, Uint8Array][] {
  return Array.from({ length: 8 }, (_, key) => [`a/data/${key}`, new Uint8Array(400)])
}
