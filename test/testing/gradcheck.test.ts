import { describe, expect, test } from 'vitest'
import { elementwise, empty, launch } from '../../src/tensor/launch.ts'
import { defineOp } from '../../src/tensor/op.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { gradcheck, uniform } from '../../src/testing/gradcheck.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import '../../src/gpu/wgsl/relu/forward.ts'

await openTestGpu()

/** The tests of the tests: each must be able to fail. */
describe('gradcheck', () => {
  const wrong = defineOp<readonly [Tensor], undefined, undefined>({
    name: 'wrong',
    plan: () => undefined,
    forward(_plan, [x]) {
      const y = empty(x)
      launch('relu/forward', { x, y }, elementwise(y))
      return y
    },
    backward: (_plan, dy) => [dy],
  })

  test('names the element whose gradient is wrong', async () => {
    const x = { shape: [2, 3], data: [1, 1, 1, 1, -1, 1] }
    await expect(
      gradcheck('wrong', ({ x }) => wrong([x], undefined), { x }),
    ).rejects.toThrowErrorMatchingInlineSnapshot(
      `[WgradError: wrong: dL/dx[1,1] is 0.708984375, finite difference says 0]`,
    )
  })

  test('sees that nothing arrives', async () => {
    const { x, y } = { x: uniform([3], 1), y: uniform([3], 2) }
    await expect(
      gradcheck('half', ({ x }) => wrong([x], undefined), { x, y }),
    ).rejects.toThrowErrorMatchingInlineSnapshot(`[WgradError: half: no gradient reached y]`)
  })
})
