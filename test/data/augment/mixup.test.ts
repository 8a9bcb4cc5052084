import { expect, test } from 'vitest'
import { rng } from '../../../src/base/rng.ts'
import { empty, launch } from '../../../src/tensor/launch.ts'
import { vectorCount } from '../../../src/tensor/shape.ts'
import { read, tensor } from '../../../src/tensor/read-write.ts'
import { expectClose } from '../../../src/testing/close.ts'
import { openTestGpu } from '../../helpers/gpu.ts'
import { roundToHalf } from '../../../src/tensor/half.ts'
import '../../../src/gpu/wgsl/mixup/lerp.ts'

await openTestGpu()

test.each(['f32', 'f16'] as const)('every item is mixed with its partner by its own weight, %s', async (dtype) => {
  const shape = [3, 7, 13, 3]
  const item = 7 * 13 * 3
  const random = rng(1, 'mixup')
  const given = Float32Array.from({ length: 3 * item }, () => random.normal())
  const values = dtype === 'f16' ? given.map(roundToHalf) : given
  const [partner, weight] = [
    [2, 0, 1],
    [0.9, 0.6, 1],
  ]
  const x = tensor(values, shape, dtype)
  const y = empty(x)
  const vectors = vectorCount(x) / 3
  launch(
    'mixup/lerp',
    { x, partner: tensor(partner, [3], 'u32'), weight: tensor(weight, [3]), y },
    {
      groups: [Math.ceil(vectors / 64), 3, 1],
      shape: { VECTORS: vectors },
      dtype,
    },
  )
  const expected = values.map((value, i) => {
    const n = Math.floor(i / item)
    const other = values[partner[n] * item + (i % item)]
    return other + weight[n] * (value - other)
  })
  const mixed = await read(y)
  expectClose(mixed, expected, dtype, { shape })
  // A weight of 1 is the item itself.
  if (dtype === 'f32') expectClose(mixed.slice(2 * item), values.slice(2 * item), 'f32')
  expect(mixed).not.toEqual(values)
})
