import { expect, test } from 'vitest'
import { randomErasing } from '../../src/data/augment/erasing.ts'
import { augTransforms } from '../../src/data/augment/transforms.ts'
import { DataError } from '../../src/base/errors.ts'
import { release, scope } from '../../src/tensor/scope.ts'
import { read } from '../../src/tensor/read-write.ts'
import type { Batch } from '../../src/data/batch.ts'
import { expectClose } from '../../src/testing/close.ts'
import { expectNothingLeft, openTestGpu } from '../helpers/gpu.ts'
import { stripes, tinyLoaders } from '../helpers/tiny.ts'

const gpu = await openTestGpu()

async function inputOf(batch: Batch, dtype: 'f32' | 'f16' = 'f32'): Promise<ArrayLike<number>> {
  const input = scope(() => batch.input(dtype))
  const values = await read(input)
  release(input)
  return values
}

test('a batch is pixels, labels and what the network sees of them', async () => {
  const { valid, vocab } = await tinyLoaders({ valid: 6, batchSize: 4 })
  const seen = []
  for await (const batch of valid.batches()) {
    expect([...(await read(batch.targets.a))]).toEqual([...batch.labels])
    const first = stripes(valid.pictures.items[batch.items[0]], 16)
    expect([...(await read(batch.pixels)).slice(0, 256)]).toEqual([...new Uint32Array(first.data.buffer)])
    const values = await inputOf(batch)
    const rgb = Array.from(first.data)
      .filter((_, i) => i % 4 !== 3)
      .map((byte) => byte / 255)
    expectClose(Array.from(values).slice(0, 768), rgb, 'f32')
    expectClose(Array.from(await inputOf(batch, 'f16')), Array.from(values), 'f16')
    seen.push(...Array.from(batch.labels.slice(0, batch.count), (label) => vocab[label]))
  }
  expect(seen).toEqual(['upright', 'across', 'slanted', 'upright', 'across', 'slanted'])
})

test('the GPU is never more than two batches behind', async () => {
  const { valid } = await tinyLoaders({ valid: 12, batchSize: 2 })
  const { fence } = gpu.queue
  let behind = 0
  const seen: number[] = []
  gpu.queue.fence = () => {
    behind++
    const done = fence.call(gpu.queue)
    return () => {
      behind--
      return done()
    }
  }
  try {
    for await (const _ of valid.batches()) seen.push(behind)
  } finally {
    gpu.queue.fence = fence
  }
  expect(seen).toEqual([1, 2, 2, 2, 2, 2])
})

test('a pass leaves no memory of the GPU behind, also one that is given up', async () => {
  const batchTransforms = [...augTransforms(), randomErasing({ p: 1 })]
  const { train } = await tinyLoaders({ train: 12, batchSize: 4, batchTransforms })
  for (const most of [3, 1]) {
    const before = gpu.buffers.usedBytes
    let count = 0
    for await (const batch of train.batches()) {
      await inputOf(batch)
      if (++count === most) break
    }
    await expectNothingLeft(gpu, before)
  }
})

test('random transforms are the same for the same epoch and batch, and drawn for training only', async () => {
  const loaders = await tinyLoaders({ train: 8, valid: 8, batchSize: 8, batchTransforms: augTransforms() })
  const seen = async (split: 'train' | 'valid', pass: Parameters<typeof loaders.train.oneBatch>[0]) => {
    const batch = await loaders[split].oneBatch(pass)
    const values = Array.from(await inputOf(batch))
    expect(Array.from(await inputOf(batch))).toEqual(values)
    batch.release()
    return values
  }
  const drawn = await seen('train', { epoch: 1, shuffle: false })
  expect(await seen('train', { epoch: 1, shuffle: false })).toEqual(drawn)
  expect(await seen('train', { epoch: 2, shuffle: false })).not.toEqual(drawn)
  const plain = await seen('valid', { epoch: 1 })
  expect(await seen('valid', { epoch: 2 })).toEqual(plain)
  expect(await seen('valid', { draws: 'train', epoch: 1, pass: 1 })).not.toEqual(plain)
})

test("the first batch is the loader's own, and none is an error", async () => {
  const loaders = await tinyLoaders({ train: 3, batchSize: 4 })
  await expect(loaders.oneBatch()).rejects.toThrow(DataError)
  expect(await loaders.inputShape()).toEqual([4, 16, 16, 3])
})

test('memory comes back when a pass is left early', async () => {
  const { train } = await tinyLoaders({ train: 40, batchTransforms: augTransforms() })
  const before = gpu.buffers.usedBytes
  for await (const batch of train.batches()) {
    await inputOf(batch)
    if (batch.index === 2) break
  }
  expect(gpu.buffers.usedBytes).toBeLessThanOrEqual(before)
})
