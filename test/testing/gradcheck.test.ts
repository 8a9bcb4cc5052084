import { describe, expect, test } from 'vitest'
import { openGpuOn, useGpu } from '../../src/gpu/device.ts'
import { registerShader } from '../../src/gpu/register-shader.ts'
import { nodePlatform } from '../../src/platform/node/index.ts'
import { elementwise, empty, launch } from '../../src/tensor/launch.ts'
import { defineOp } from '../../src/tensor/op.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { gradcheck, uniform } from '../../src/testing/gradcheck.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import '../../src/gpu/wgsl/relu/forward.ts'

const gpu = await openTestGpu()

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

  /** y = x + ADDED in every stored number, so that 1 makes the padding of the last axis 1. */
  const added = (forward: number, gradient: number) => {
    const add = (x: Tensor, y: Tensor, ADDED: number) =>
      launch(shader, { x, y }, { ...elementwise(y), constants: { ADDED } })
    return defineOp<readonly [Tensor], undefined, undefined>({
      name: 'added',
      plan: () => undefined,
      forward(_plan, [x]) {
        const y = empty(x)
        add(x, y, forward)
        return y
      },
      backward(_plan, dy, _saved, _needs, target) {
        const dx = target(0)
        add(dy, dx, gradient)
        return [dx]
      },
    })
  }
  const shader = registerShader(
    'test/added',
    `// @shape VECTORS
// @const ADDED:f32
@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read_write> y: array<T4>;
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i < shape.VECTORS) { y[i] = store4(load4(x[i]) + ADDED); }
}`,
  )
  const check = (op: ReturnType<typeof added>, options?: object) =>
    gradcheck('added', ({ x }) => op([x], undefined), { x: uniform([2, 5], 1) }, options)

  test('sees padding that is not zero, of the result and of a gradient', async () => {
    await check(added(0, 0))
    await expect(check(added(1, 0))).rejects.toThrowErrorMatchingInlineSnapshot(`
      [WgradError: added: the padding of the result is not zero
        the result   [2,5] f32
        its padding  1
        expected zeros, as each row of 5 is stored as 8 numbers
        Fix: write the whole of each vector: masked(value, vector, size, 0.0) of '// @use lib/mask' keeps the elements of the row]
    `)
    await expect(check(added(1, 0), { dtypes: ['f16'] })).rejects.toThrow('the padding of the result is not zero')
    await expect(check(added(0, 1))).rejects.toThrow('the padding of dL/dx is not zero')
  })

  test('sees what is never written, in memory that holds zeros or what was computed before', async () => {
    const partly = (forward: boolean, gradient: boolean) => {
      const whole = added(0, 0)
      return defineOp<readonly [Tensor], undefined, undefined>({
        name: 'partly',
        plan: () => undefined,
        forward: (_plan, [x]) => (forward ? whole([x], undefined) : empty(x)),
        backward(_plan, dy, _saved, _needs, target) {
          const dx = target(0)
          const options = { ...elementwise(dx), constants: { ADDED: 0 } }
          if (gradient) launch(shader, { x: dy, y: dx }, options)
          return [dx]
        },
      })
    }
    // The memory of a GPU that was just opened; that of the tests holds NaN.
    const fresh = await openGpuOn(nodePlatform)
    try {
      await expect(check(partly(false, false))).rejects.toThrow('added: the result [0,0] is NaN or was never written')
      await expect(check(partly(true, false))).rejects.toThrow('added: the padding of dL/dx is not zero')
      // Now that memory holds the right gradients.
      await check(partly(true, true))
      await expect(check(partly(true, false))).rejects.toThrow('added: the padding of dL/dx is not zero')
    } finally {
      fresh.close()
      useGpu(gpu)
    }
  })

  test.each([
    [{ dtypes: [] }, 'gradcheck: dtypes is not of the right kind'],
    [{ dtypes: ['f64'] }, 'gradcheck: dtypes is not of the right kind'],
    [{ samples: 0 }, 'gradcheck: samples is out of range'],
    [{ step: 0 }, 'gradcheck: step is out of range'],
    [{ roundings: NaN }, 'gradcheck: roundings is out of range'],
  ])('refuses %o, with which nothing would be checked', async (options, message) => {
    await expect(check(added(0, 0), options)).rejects.toThrow(message)
  })

  test('refuses inputs and functions of another kind', async () => {
    const x = uniform([2], 1)
    const f = ({ x }: { x: Tensor }) => x
    await expect(gradcheck('mine', f, { x: [1, 2] as never })).rejects.toThrow('gradcheck: x is not of the right kind')
    await expect(gradcheck('mine', undefined as never, { x })).rejects.toThrow('gradcheck: f is not of the right kind')
    await expect(gradcheck('mine', (() => {}) as never, { x })).rejects.toThrow(
      'mine: the result of the function is not of the right kind',
    )
    await expect(gradcheck('mine', (async () => {}) as never, { x })).rejects.toThrow('Fix: return it synchronously')
  })
})
