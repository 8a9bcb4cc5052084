/**
 * Data of your own: images that a table of one's own describes, with a rule that decides which are measured on. A
 * `DataBlock` takes a function for each: items, labels, split. Images need not be files: the rows of a database will do.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CategoryBlock, createNodePlatform, DataBlock, ImageBlock, Learner, resize, sampleData } from 'wgrad'
import type { Splitter } from 'wgrad/data'
import { expect, test } from 'vitest'
import { openQuietGpu, smallNetwork } from './drawn-images.ts'

const platform = await openQuietGpu()

/** Photograph of a ledger: file, what it shows, and the day on which it was taken. */
interface Entry {
  readonly file: string
  readonly shows: string
  readonly day: number
}

/** Reads a ledger, one JSON document per line. */
function readLedger(path: string): Map<string, Entry> {
  const entries = readFileSync(path, 'utf8').trimEnd().split('\n')
  return new Map(entries.map((line) => JSON.parse(line) as Entry).map((entry) => [entry.file, entry]))
}

/** Measures on what was photographed after a day, as a program in use will: on pictures that did not exist before. */
function laterThan(day: number, ledger: ReadonlyMap<string, Entry>): Splitter {
  return (items) => {
    const isLater = items.map((item) => (ledger.get(item)?.day ?? 0) > day)
    const side = (later: boolean) => Uint32Array.from([...isLater.keys()].filter((i) => isLater[i] === later))
    return { train: side(false), valid: side(true) }
  }
}

test('a ledger becomes loaders that a learner trains on', async () => {
  const folder = await sampleData({ images: 50, platform })
  const kinds = ['ring', 'star', 'dots']
  const shots = kinds.flatMap((shows) => [0, 1, 2, 3].map((n) => ({ shows, n })))
  const notes = mkdtempSync(join(tmpdir(), 'wgrad-ledger-'))
  const lines = shots.map(({ shows, n }) => {
    const file = join(folder, 'train', shows, `${String(n).padStart(4, '0')}.jpg`)
    return `${JSON.stringify({ file, shows, day: n })}\n`
  })
  writeFileSync(join(notes, 'ledger.jsonl'), lines.join(''))
  const ledger = readLedger(join(notes, 'ledger.jsonl'))
  rmSync(notes, { recursive: true })

  const loaders = await new DataBlock({
    blocks: [ImageBlock(), CategoryBlock({ vocab: kinds })],
    getItems: () => [...ledger.keys()],
    getY: (item) => ledger.get(item)?.shows ?? '',
    splitter: laterThan(2, ledger),
    itemTransforms: [resize(24)],
  }).loaders(folder, { batchSize: 3, seed: 1 })

  expect([loaders.train.items.length, loaders.valid.items.length]).toEqual([9, 3])
  expect([...loaders.valid.items].map((item) => ledger.get(loaders.valid.pictures.items[item])?.day)).toEqual([3, 3, 3])
  const learner = new Learner(loaders, smallNetwork())
  await learner.fit(1, 1e-3)
  expect(learner.recorder.losses.length).toBe(3)
})

test('images of a database are trained on and predicted without a file', async () => {
  const folder = await sampleData({ images: 50, platform })
  // A table with the columns key, shows and image, which holds the bytes of a JPEG; a query may be awaited as well.
  const table = new Map<string, { readonly shows: string; readonly image: Uint8Array }>()
  for (const shows of ['ring', 'star']) {
    for (const file of readdirSync(join(folder, 'train', shows))) {
      table.set(`${shows}-${file}`, { shows, image: readFileSync(join(folder, 'train', shows, file)) })
    }
  }

  const database = createNodePlatform({ threads: 1, read: (key) => table.get(key)?.image })
  const loaders = await new DataBlock({
    blocks: [ImageBlock(), CategoryBlock()],
    getItems: () => [...table.keys()],
    getY: (key) => table.get(key)?.shows,
    itemTransforms: [resize(24)],
  }).loaders('', { batchSize: 2, seed: 1, platform: { ...database, log: () => {}, status: undefined } })

  expect(loaders.train.items.length + loaders.valid.items.length).toBe(table.size)
  const learner = new Learner(loaders, smallNetwork())
  await learner.fit(1, 1e-3)
  const [key] = table.keys()
  const { probabilities } = await learner.predict(key)
  expect([...probabilities]).toEqual([...(await learner.predict(table.get(key)!.image)).probabilities])
  await expect(learner.predict('star-none.jpg')).rejects.toThrow('star-none.jpg: no such file or folder')
  await database.decoder.close()
})
