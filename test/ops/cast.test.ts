import { expect, test } from 'vitest'
import { cast } from '../../src/ops/cast.ts'
import { backward } from '../../src/tensor/backward.ts'
import { roundToHalf } from '../../src/tensor/half.ts'
import { scope } from '../../src/tensor/scope.ts'
import { read, tensor } from '../../src/tensor/read-write.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { gradcheck, uniform } from '../../src/testing/gradcheck.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'

const gpu = await openTestGpu()

test('to f16 rounds to nearest even, over the whole range', async () => {
  const data = Array.from(hashUniform(1000, 1, -16, 16), (exponent, i) => (i % 2 ? -1 : 1) * 2 ** exponent)
  // Ties to even, the largest half and what still rounds to it, the smallest normal half, subnormal ones and their ties.
  data.push(
    1 + 2 ** -11,
    1 + 3 * 2 ** -11,
    65504,
    65519.99,
    -65519.99,
    2 ** -14,
    2 ** -24,
    2 ** -25,
    3 * 2 ** -25,
    0,
    -0,
  )
  const y = cast(tensor(data, [data.length]), 'f16')
  expect(y.dtype).toBe('f16')
  expect(await read(y)).toEqual(Float32Array.from(data, roundToHalf))
})

test('to f16 turns what is too large into infinity, and nothing else; NaN stays', async () => {
  // Bit patterns, since a kernel may be handed anything: 65520, 1e30, the infinities, NaN.
  const bits = new Uint32Array([
    0x477ff000, 0xc77ff000, 0x7149f2ca, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001, 0x477fefff,
  ])
  const x = tensor(new Float32Array(8), [8])
  gpu.queue.write(x.view.buffer, 0, bits)
  const halves = new Uint16Array(await gpu.queue.read(cast(x, 'f16').view))
  expect([...halves]).toEqual([0x7c00, 0xfc00, 0x7c00, 0x7c00, 0xfc00, 0x7e00, 0xfe00, 0x7bff])
})

test('to f32 is exact', async () => {
  const data = Array.from({ length: 3 * 17 }, (_, i) => roundToHalf((i - 25) * 1.37e-3 ** (i % 3)))
  expect(await read(cast(tensor(data, [3, 17], 'f16'), 'f32'))).toEqual(Float32Array.from(data))
})

test('the same type is the same tensor', () => {
  const x = tensor([1], [1])
  expect(cast(x, 'f32')).toBe(x)
})

test('gradient, finite differences', () =>
  // The operands and their distances are halves, so that nothing is rounded away.
  gradcheck('cast', ({ x }) => cast(cast(x, 'f16'), 'f32'), { x: uniform([3, 5], 1) }))

test('the gradient of an f32 input is f32, of the numbers that arrived', async () => {
  const x = tensor([1, 2, 3], [3])
  x.leaf = { trainable: true, gradient: undefined, hasGradient: false }
  scope(() => backward(cast(x, 'f16'), tensor([0.5, 1000, -3], [3], 'f16')))
  expect(x.leaf.gradient).toMatchObject({ dtype: 'f32' })
  expect([...(await read(x.leaf.gradient!))]).toEqual([0.5, 1000, -3])
})

test('says what it was given in place of a tensor', () => {
  expect(() => cast(undefined as never, 'f16')).toThrow('cast: x is not of the right kind')
})
