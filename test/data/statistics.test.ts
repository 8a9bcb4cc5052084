import { expect, test } from 'vitest'
import { randomErasing } from '../../src/data/augment/erasing.ts'
import type { OwnBatch } from '../../src/data/augment/own.ts'
import { imagenetStats, normalize, type NormalizeTransform } from '../../src/data/augment/normalize.ts'
import { augTransforms, type BatchTransform } from '../../src/data/augment/transforms.ts'
import { batchStats, channelStats } from '../../src/data/statistics.ts'
import { mul } from '../../src/ops/mul.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { tinyLoaders } from '../helpers/tiny.ts'

await openTestGpu()

test('mean and deviation of each channel, by hand: divided by one less than there are, as PyTorch does', () => {
  const { mean, std } = channelStats([1, 10, 0.5, 2, 20, 0.5, 3, 60, 0.5, 6, 30, 0.5])
  expect(mean).toEqual([3, 30, 0.5])
  // Squares 4 + 1 + 0 + 9 of the first, 400 + 100 + 900 + 0 of the second, over 3.
  expect(std[0]).toBeCloseTo(Math.sqrt(14 / 3), 12)
  expect(std[1]).toBeCloseTo(Math.sqrt(1400 / 3), 12)
  expect(std[2]).toBe(0)
})

test('many values far from 0 lose no digits', () => {
  const values = Float32Array.from({ length: 3 * 10_000 }, (_, i) => 1000 + (i % 2))
  const { mean, std } = channelStats(values)
  expect(mean[0]).toBeCloseTo(1000.5, 9)
  expect(std[0]).toBeCloseTo(0.5 * Math.sqrt(10_000 / 9_999), 9)
})

test('what is no row of pixels is refused', () => {
  expect(() => channelStats([1, 2, 3])).toThrow('two pixels of three channels')
  expect(() => channelStats([1, 2, 3, 4, 5, 6, 7])).toThrow('two pixels of three channels')
})

test('a batch is looked at as the network gets it: before normalisation and after', async () => {
  const options = { train: 9, batchSize: 8 }
  const before = await batchStats((await tinyLoaders(options)).train)
  const { train } = await tinyLoaders({ ...options, batchTransforms: [normalize(imagenetStats)] })
  const after = await batchStats(train)
  for (let c = 0; c < 3; c++) {
    expect(before.mean[c]).toBeGreaterThan(0)
    expect(before.mean[c]).toBeLessThan(1)
    expect(after.mean[c]).toBeCloseTo((before.mean[c] - imagenetStats.mean[c]) / imagenetStats.std[c], 4)
    expect(after.std[c]).toBeCloseTo(before.std[c] / imagenetStats.std[c], 4)
  }
  // Of the first batch of that epoch.
  const batch = await train.oneBatch({ epoch: 3 })
  batch.release()
  expect((await batchStats(train, { epoch: 3 })).mean[0]).not.toBeCloseTo(after.mean[0], 6)
})

test('a normalize() without statistics takes those of the first batch, which are then given ones', async () => {
  const options = { train: 9, batchSize: 8 }
  const before = await batchStats((await tinyLoaders(options)).train)
  const { train, valid } = await tinyLoaders({ ...options, batchTransforms: [normalize()] })
  expect(train.batchTransforms).toEqual(valid.batchTransforms)
  const [{ kind, mean, std }] = train.batchTransforms as NormalizeTransform[]
  expect(kind).toBe('normalize')
  expect(mean).toEqual(before.mean)
  expect(std).toEqual(before.std.map((deviation) => deviation + 1e-7))
  const after = await batchStats(train)
  for (let c = 0; c < 3; c++) {
    expect(after.mean[c]).toBeCloseTo(0, 4)
    expect(after.std[c]).toBeCloseTo(1, 4)
  }
})

test('measured on what the transforms before it make of the batch', async () => {
  const light = augTransforms({ doFlip: false, maxRotate: 0, maxZoom: 1, maxWarp: 0, maxLighting: 0.9, pLighting: 1 })
  const { train } = await tinyLoaders({ train: 9, batchSize: 8, batchTransforms: [normalize(), ...light] })
  const [measured] = train.batchTransforms as NormalizeTransform[]
  expect(measured.mean).toEqual(
    (await batchStats((await tinyLoaders({ train: 9, batchSize: 8, batchTransforms: light })).train)).mean,
  )
  expect((await batchStats(train)).mean[0]).toBeCloseTo(0, 4)
})

test('what comes after the normalization does not count: erased rectangles are noise of deviation 1', async () => {
  const square: OwnBatch = { name: 'square', runsOn: 'both', order: 100, apply: (images) => mul(images, images) }
  const statsOf = async (...after: readonly (BatchTransform | OwnBatch)[]) => {
    const { train } = await tinyLoaders({ train: 9, batchSize: 8, batchTransforms: [normalize(), ...after] })
    const [{ mean, std }] = train.batchTransforms as NormalizeTransform[]
    return { mean, std }
  }
  const plain = await statsOf()
  expect(await statsOf(randomErasing({ p: 1, minScale: 0.3 }))).toEqual(plain)
  expect(await statsOf(square)).toEqual(plain)
})

test('there is nothing to measure on', async () => {
  await expect(tinyLoaders({ train: 4, batchSize: 8, batchTransforms: [normalize()] })).rejects.toThrow(
    'there is no batch',
  )
})
