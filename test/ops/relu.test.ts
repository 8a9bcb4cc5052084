import { expect, test } from 'vitest'
import { relu } from '../../src/ops/relu.ts'
import { read, tensor } from '../../src/tensor/read-write.ts'
import { gradcheck, uniform, type GradcheckInput } from '../../src/testing/gradcheck.ts'
import { openTestGpu } from '../helpers/gpu.ts'

await openTestGpu()

/** No element nearer to the kink than a step of the numerical gradient. */
function awayFromZero({ shape, data }: GradcheckInput): GradcheckInput {
  return { shape, data: Array.from(data, (value) => value + Math.sign(value) * 0.125) }
}

test.for(['f32', 'f16'] as const)('is max(x, 0), %s', async (dtype) => {
  const { shape, data } = uniform([3, 5, 4, 10], 1)
  const y = relu(tensor(data, shape, dtype))
  expect(y).toMatchObject({ shape, dtype })
  expect(await read(y)).toEqual(Float32Array.from(data, (value) => Math.max(value, 0)))
})

test('of infinities and the negative zero', async () => {
  expect(await read(relu(tensor([-Infinity, Infinity, -0, -3e38], [4])))).toEqual(new Float32Array([0, Infinity, 0, 0]))
})

test('gradient', () => gradcheck('relu', ({ x }) => relu(x), { x: awayFromZero(uniform([3, 5, 4, 10], 2)) }))
