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

  test('checks something, in types that there are, of a function that returns a tensor', async () => {
    const x = uniform([3], 1, 0.5, 1)
    const check = (dtypes: readonly string[], f: (x: Tensor) => Tensor) =>
      gradcheck('wrong', (given) => f(given.x), { x }, { dtypes: dtypes as never })
    await expect(check(['f64'], (given) => wrong([given], undefined))).rejects.toThrowErrorMatchingInlineSnapshot(`
      [OptionError: gradcheck: dtypes is not of the right kind
        dtypes  a list: ['f64']
        expected a list of 'f32', 'f16' or both]
    `)
    await expect(check([], (given) => wrong([given], undefined))).rejects.toThrow('dtypes is not of the right kind')
    await expect(check(['f32'], () => undefined as never)).rejects.toThrow('wrong: the result of the function is not')
    const late = () => Promise.reject(new Error('late')) as never
    await expect(check(['f32'], late)).rejects.toThrow('Fix: return it synchronously')
  })
})
