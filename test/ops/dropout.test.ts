import { describe, expect, test } from 'vitest'
import { dropout, dropoutWords } from '../../src/ops/dropout.ts'
import { read, tensor, zeros } from '../../src/tensor/read-write.ts'
import { expectClose } from '../../src/testing/close.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { gradcheck, uniform } from '../../src/testing/gradcheck.ts'
import { padTo4, type Shape } from '../../src/tensor/shape.ts'

await openTestGpu()

/** The elements that are kept, and the bits that say so. */
function maskOf(shape: Shape, p: number) {
  const columns = shape[shape.length - 1]
  const rows = shape.slice(0, -1).reduce((product, axis) => product * axis, 1)
  const kept = Array.from(hashUniform(rows * columns, 9, 0, 1), (u) => u >= p)
  const words = new Uint32Array(dropoutWords({ shape, dtype: 'f32' }))
  kept.forEach((keep, i) => {
    const at = Math.floor(i / columns) * padTo4(columns) + (i % columns)
    if (keep) words[at >>> 5] |= 1 << (at & 31)
  })
  return { kept, words }
}

describe.each(['f32', 'f16'] as const)('%s', (dtype) => {
  test.each([
    [[5, 8], 0.5],
    [[3, 13], 0.25],
    [[2, 3, 5, 10], 0.9],
    [[1, 1], 0],
    [[64, 130], 0.1],
  ] as const)('%o, p %d', async (shape, p) => {
    const { data } = uniform(shape, 1)
    const { kept, words } = maskOf(shape, p)
    const y = dropout(tensor(data, shape, dtype), tensor(words, [words.length], 'u32'), { p })
    expect(y).toMatchObject({ shape, dtype })
    const values = await read(y)
    expectClose(
      values,
      Array.from(data, (value, i) => (kept[i] ? value / (1 - p) : 0)),
      dtype,
      { shape },
    )
    expect([...values].map((value) => value !== 0)).toEqual(kept.map((keep, i) => keep && data[i] !== 0))
  })
})

test('gradient, finite differences', () => {
  const { words } = maskOf([3, 13], 0.5)
  return gradcheck('dropout', ({ x }) => dropout(x, tensor(words, [words.length], 'u32'), { p: 0.5 }), {
    x: uniform([3, 13], 1),
  })
})

test('what is not finite stays so, as in PyTorch', async () => {
  const y = dropout(tensor([NaN, Infinity, NaN, 1], [1, 4]), tensor([0b1100], [1], 'u32'), { p: 0.5 })
  expect([...(await read(y))]).toEqual([NaN, NaN, NaN, 2])
})

test('refuses what does not fit, before any work', () => {
  expect(() => dropout(zeros([2, 8]), zeros([2], 'u32'), { p: 0.5 })).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: dropout: the mask does not fit x
      x     [2,8] f32
      mask  [2] u32
      expected the mask as [1]]
  `)
  expect(() => dropout(zeros([2, 8]), zeros([1]), { p: 0.5 })).toThrow('the mask must hold bits in u32')
  expect(() => dropout(zeros([2, 8]), zeros([1], 'u32'), { p: 1 })).toThrow('p is out of range')
  expect(() => dropout(zeros([2, 8]), zeros([1], 'u32'), { q: 1 } as never)).toThrow("there is no option 'q'")
})
