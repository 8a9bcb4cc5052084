import { expect, test } from 'vitest'
import { DtypeError } from '../../src/base/errors.ts'
import '../../src/gpu/wgsl/all.ts'
import { elementwise, empty, launch } from '../../src/tensor/launch.ts'
import { defineOp } from '../../src/tensor/op.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { read, tensor, zeros } from '../../src/tensor/read-write.ts'
import { openTestGpu } from '../helpers/gpu.ts'

await openTestGpu()

/** An operation of a user's, who forgot that launches have a type; or gave it. */
const unit = (dtype?: 'f32' | 'f16') =>
  defineOp<readonly [Tensor], undefined, undefined>({
    name: 'unit',
    plan: () => undefined,
    forward(_plan, [x]) {
      const y = empty(x)
      const { groups, shape } = elementwise(y)
      launch('relu/forward', { x, y }, { groups, shape, ...(dtype && { dtype }) })
      return y
    },
    backward: (_plan, dy) => [dy],
  })

test('a kernel launched for f32 takes no f16 tensors, and the other way round', async () => {
  expect([...(await read(unit()([tensor([-1, 2], [2])], undefined)))]).toEqual([0, 2])
  expect([...(await read(unit('f16')([tensor([-1, 2], [2], 'f16')], undefined)))]).toEqual([0, 2])
  expect(() => unit()([tensor([-1, 2], [2], 'f16')], undefined)).toThrowErrorMatchingInlineSnapshot(`
    [DtypeError: relu/forward: x has the wrong type
      x                    [2] f16
      dtype of the launch  f32
      expected f32, the dtype of the launch
      Fix: launch with the dtype of the tensors, such as that of elementwise(tensor), or cast the tensor]
  `)
  expect(() => unit('f16')([tensor([-1, 2], [2])], undefined)).toThrow(DtypeError)
})

test('what a shader declares as f32 or u32 has to be that', () => {
  const total = zeros([4])
  expect(() => launch('add/accumulate', { x: zeros([4], 'f16'), total }, elementwise(total)))
    .toThrowErrorMatchingInlineSnapshot(`
    [DtypeError: add/accumulate: x has the wrong type
      x                    [4] f16
      dtype of the launch  f32
      expected f32, whatever the dtype of the launch
      Fix: cast the tensor]
  `)
  const places = { dy: zeros([1, 1, 1, 4]), places: zeros([1, 1, 1, 1]), dx: zeros([1, 1, 1, 4]) }
  const constants = { LANES: 8, ROWS: 1, STRIDE: 1, PAD: 0 }
  const launchPlaces = () =>
    launch('max-pool/backward', places, {
      groups: [1, 1, 1],
      constants,
      shape: { H: 1, W: 1, P: 1, Q: 1, VECTORS: 1, WINDOW: 1 },
    })
  expect(launchPlaces).toThrow('places has the wrong type')
})
