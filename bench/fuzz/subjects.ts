import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DataError } from '../../src/base/errors.ts'
import { decodeImage } from '../../src/image/decode.ts'
import { getImagesFromCsv } from '../../src/data/image-table.ts'
import { getImageFiles } from '../../src/data/items.ts'
import { writeSafetensors, readSafetensors, type StoredTensor } from '../../src/nn/safetensors.ts'
import { urlFiles } from '../../src/platform/browser/files.ts'
import { fileText } from '../../src/base/utf8.ts'
import { pngReader } from '../../src/platform/node/png.ts'
import type { Files, Platform } from '../../src/platform/platform.ts'
import { readModelFile, writeModelFile } from '../../src/train/files/model-file.ts'
import { parseResults } from '../lesson/results.ts'
import { bytesMutation, pngMutation, safetensorsMutation, textMutation, type Mutation } from './mutate.ts'

/** Kind of file: examples, a mutation and a reader. */
export interface Subject {
  /** Name of the file, which every refusal must contain. */
  readonly path: string
  readonly seeds: readonly Uint8Array[]
  readonly mutate: Mutation
  /** Reads the file as the library does. @returns a text by which two readings can be compared */
  read(bytes: Uint8Array): Promise<string>
}

export const KINDS = ['jpeg', 'png', 'safetensors', 'checkpoint', 'results', 'manifest', 'csv'] as const
export type Kind = (typeof KINDS)[number]

/** Returns the subjects, with examples from the tests of decoding. */
export async function subjects(): Promise<Readonly<Record<Kind, Subject>>> {
  const { cases } = JSON.parse(readFileSync(join('test', 'golden', 'decode.json'), 'utf8')) as {
    readonly cases: readonly { readonly name: string; readonly file: string }[]
  }
  const images = (kind: string) =>
    cases.filter(({ name }) => name.startsWith(kind)).map(({ file }) => new Uint8Array(Buffer.from(file, 'base64')))
  const decode = (path: string) => async (bytes: Uint8Array) => {
    const { width, height, data } = await decodeImage(path, bytes, pngReader)
    return `${width} ${height} ${digestOf(data)}`
  }
  return {
    jpeg: { path: 'train/a.jpg', seeds: images('jpeg'), mutate: bytesMutation, read: decode('train/a.jpg') },
    png: { path: 'train/a.png', seeds: images('png'), mutate: pngMutation, read: decode('train/a.png') },
    safetensors: {
      path: 'a.safetensors',
      seeds: [writeSafetensors(someTensors(), { format: 'pt', note: 'é' })],
      mutate: safetensorsMutation,
      read: async (bytes) => safetensorsText(readSafetensors('a.safetensors', bytes)),
    },
    checkpoint: {
      path: 'a.ckpt',
      seeds: [await checkpoint()],
      mutate: safetensorsMutation,
      async read(bytes) {
        const { weights, optimizer, gradients, info } = await readModelFile(
          { files: oneFile('a.ckpt', bytes), sha256: sameDigest },
          'a.ckpt',
        )
        const entries = [weights, optimizer, gradients].flatMap((part) =>
          Array.from(part, ([name, { shape, data }]) => [name, shape, digestOf(data)]),
        )
        return JSON.stringify([entries, info])
      },
    },
    results: {
      path: 'run/results.json',
      seeds: [encoded(JSON.stringify(RESULTS, null, 2))],
      mutate: textMutation,
      read: async (bytes) =>
        JSON.stringify(parseResults('run/results.json', fileText('run/results.json', bytes), 'remove it')),
    },
    manifest: {
      path: 'manifest.json',
      seeds: [MANIFEST, ADDRESSES].map((list) => encoded(JSON.stringify(list))),
      mutate: textMutation,
      async read(bytes) {
        const { fetch } = globalThis
        // A server that answers every request with these bytes.
        globalThis.fetch = async () => new Response(new Uint8Array(bytes))
        const platform = { files: urlFiles('https://host/data/'), log: () => {} } as unknown as Platform
        // A list without images is not a fault.
        const nothing = (error: unknown): string[] => {
          if (String(error).includes('there is no image')) return []
          throw error
        }
        try {
          return (await getImageFiles('', { platform }).catch(nothing)).join('\n')
        } finally {
          globalThis.fetch = fetch
        }
      },
    },
    csv: {
      path: 'set/t.csv',
      seeds: [encoded(CSV)],
      mutate: textMutation,
      async read(bytes) {
        const platform = { files: oneFile('set/t.csv', bytes) } as unknown as Platform
        const table = await getImagesFromCsv('set', { file: 't.csv', platform })
        const labels = table.columns
          .filter((name) => name !== 'path')
          .map((name) => table.items.map((item) => cellOf(table.column(name), item)))
        return JSON.stringify([table.columns, table.items, labels])
      },
    },
  }
}

/** Returns a cell of a table; an empty one is refused only where it is requested. */
function cellOf(column: (item: string) => string, item: string): string {
  try {
    return column(item)
  } catch (error) {
    if (error instanceof DataError) return ''
    throw error
  }
}

function someTensors(): Map<string, StoredTensor> {
  return new Map<string, StoredTensor>([
    ['0.weight', { dtype: 'F32', shape: [2, 3, 1, 1], data: Float32Array.from({ length: 6 }, (_, i) => i / 3) }],
    ['0.half', { dtype: 'F16', shape: [3], data: Float32Array.of(1, -2, 0.5) }],
    ['0.count', { dtype: 'I64', shape: [], data: BigInt64Array.of(7n) }],
    ['0.index', { dtype: 'U32', shape: [2], data: Uint32Array.of(1, 2) }],
    ['empty', { dtype: 'F32', shape: [0, 4], data: new Float32Array(0) }],
  ])
}

function safetensorsText({ tensors, metadata }: ReturnType<typeof readSafetensors>): string {
  const parts = Array.from(tensors, ([name, { dtype, shape, data }]) => [name, dtype, shape, digestOf(data)])
  return JSON.stringify([parts, metadata])
}

/** Digest that makes every checksum match, so that mutations reach the code behind the check. */
const sameDigest = (): Promise<string> => Promise.resolve('0'.repeat(64))

async function checkpoint(): Promise<Uint8Array> {
  let written: Uint8Array = new Uint8Array()
  const files = { write: async (_: string, bytes: Uint8Array) => void (written = bytes) } as unknown as Files
  const weights = new Map([['0.weight', { shape: [2, 3, 1, 1], data: Float32Array.of(1, 2, 3, 4, 5, 6) }]])
  await writeModelFile({ files, sha256: sameDigest }, 'a.ckpt', {
    weights,
    optimizer: new Map([['0.weight.grad_avg', { shape: [2, 1, 1, 3], data: new Float32Array(6) }]]),
    gradients: new Map([['0.weight', { shape: [2, 1, 1, 3], data: new Float32Array(6) }]]),
    info: {
      kind: 'checkpoint',
      version: 2,
      fit: { lr: 1e-3, epochs: 5 },
      epochsDone: 1,
      epochsBegun: 1,
      trainIteration: 30,
      hypers: [{ lr: 1e-3, momentum: 0.9, weightDecay: 0.01 }],
      scaler: { scale: 65536, goodSteps: 12 },
      states: [{ losses: [2.3, NaN, Infinity], names: ['é'] }],
      kernels: {},
    },
  })
  return written
}

const SECTION = {
  name: 'baseline',
  model: 'xresnet18',
  parameters: 11_000_000,
  precision: 'mixed',
  loss: 'CrossEntropy',
  size: 64,
  batchSize: 16,
  images: { train: 480, valid: 120 },
  classes: 10,
  seconds: 61.5,
  gpuMemoryBytes: 2e8,
  notebook: { accuracy: 0.81 },
  epochs: [{ epoch: 0, trainLoss: 2.5, validLoss: 2.2, accuracy: 0.3, seconds: 6, imagesPerSecond: 80 }],
}
const RESULTS = {
  adapter: 'llvmpipe',
  software: true,
  precision: 'mixed',
  seed: 0,
  data: '../images',
  isSample: false,
  profile: 'quick',
  command: 'npm run imagenette',
  versions: { node: '20' },
  started: '2026-11-25T23:04:09.000Z',
  interrupted: true,
  sections: [SECTION, { ...SECTION, name: 'normalize' }],
}
const MANIFEST = [
  'train/cat/1.jpg',
  'train/cat/2.jpg',
  'train/dog/1.png',
  './valid/dog//3.JPEG',
  'valid/cat/4.jpg',
  'readme.txt',
]
const ADDRESSES = ['https://cdn.example/a/1.jpg', '/b/2.png']
const CSV = `path,label,"a ""quoted"" name",is_valid
train/cat/1.jpg,cat,"x, y",False
train/dog/2.jpg,dog,"two
lines",False
valid/cat/3.jpg,cat,,True
`

function encoded(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'utf8'))
}

function digestOf({ buffer, byteOffset, byteLength }: ArrayBufferView): string {
  return createHash('md5')
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest('hex')
}

function oneFile(path: string, bytes: Uint8Array): Files {
  return {
    join: (...parts: string[]) => parts.join('/'),
    read: async (asked: string) => (asked === path ? bytes : Promise.reject(new DataError(asked, 'no such file'))),
    readText: async (asked: string) => fileText(asked, bytes),
  } as unknown as Files
}
