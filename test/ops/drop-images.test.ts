import { expect, test } from 'vitest'
import { dropImages } from '../../src/ops/drop-images.ts'
import { read, tensor, zeros } from '../../src/tensor/read-write.ts'
import { expectClose } from '../../src/testing/close.ts'
import { gradcheck, uniform } from '../../src/testing/gradcheck.ts'
import { openTestGpu } from '../helpers/gpu.ts'

await openTestGpu()

const FACTORS = [0, 1.25, 0, 1.25, 1.25]

test.for(['f32', 'f16'] as const)('each image has its factor, %s', async (dtype) => {
  for (const shape of [
    [5, 3, 2, 7],
    [5, 8],
    [5, 1],
  ]) {
    const { data } = uniform(shape, 1)
    const y = dropImages(tensor(data, shape, dtype), tensor(FACTORS, [5]))
    expect(y).toMatchObject({ shape, dtype })
    const want = Array.from(data, (value, i) => value * FACTORS[Math.floor((i * 5) / data.length)])
    expectClose(await read(y), want, dtype, { shape })
  }
})

test('gradient', () =>
  gradcheck('dropImages', ({ x }) => dropImages(x, tensor(FACTORS, [5])), { x: uniform([5, 3, 2, 7], 2) }))

test('refuses factors that do not fit', () => {
  expect(() => dropImages(zeros([3, 4]), zeros([2]))).toThrow('dropImages: there must be one factor per image')
  expect(() => dropImages(zeros([3]), zeros([3]))).toThrow('dropImages: there must be one factor per image')
  expect(() => dropImages(zeros([3, 4]), zeros([3], 'u32'))).toThrow('dropImages: the factors must be f32')
})
