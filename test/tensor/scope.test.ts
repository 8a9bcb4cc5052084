import { describe, expect, test } from 'vitest'
import { add } from '../../src/ops/add.ts'
import { relu } from '../../src/ops/relu.ts'
import { noGrad } from '../../src/tensor/op.ts'
import { allocateWithin, keep, release, scope } from '../../src/tensor/scope.ts'
import { read, tensor, zeros } from '../../src/tensor/read-write.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { openTestGpu } from '../helpers/gpu.ts'

const gpu = await openTestGpu()

describe('scopes', () => {
  // Compared without a wait in between: what other tests forgot goes back to the pool when the collector runs.
  const used = () => gpu.buffers.usedBytes

  test('give back what was made in them, but for what they return', () => {
    const before = used()
    const kept = scope(() => {
      zeros([100])
      return { list: [tensor([1, 2], [2])] }
    })
    expect(used()).toBe(before + 256)
    release(kept.list[0])
    release(kept.list[0])
    expect(used()).toBe(before)
  })

  test('leave what they return readable', async () => {
    const {
      list: [kept],
    } = scope(() => ({ list: [relu(tensor([1, -2], [2]))] }))
    expect([...(await read(kept))]).toEqual([1, 0])
  })

  test('hand on what they return to the scope around', () => {
    const before = used()
    const outer: { inside?: Tensor } = {}
    scope(() => {
      outer.inside = scope(() => zeros([4]))
      expect(used()).toBe(before + 256)
    })
    expect(used()).toBe(before)
    expect(() => outer.inside?.view).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: tensor: its numbers were released, by backward or at the end of a scope
        tensor  [4] f32
        Fix: call keep(tensor) before that]
    `)
  })

  test('take the parts of a tensor along', () => {
    const part = scope(() => {
      const whole = allocateWithin(zeros([256]), { shape: [128], dtype: 'f32' }, 256)
      return allocateWithin(whole, { shape: [64], dtype: 'f32' }, 256)
    })
    expect(() => part.view).toThrow('its numbers were released')
  })

  test('let keep take something out, through every scope', () => {
    const before = used()
    const kept = scope(() =>
      scope(() => {
        const a = keep(zeros([4]))
        return { a }
      }),
    )
    expect(used()).toBe(before + 256)
    release(kept.a)
    expect(used()).toBe(before)
  })

  test('give everything back when the work fails', () => {
    const before = used()
    expect(() =>
      scope(() => {
        zeros([4])
        throw new Error('halfway')
      }),
    ).toThrow('halfway')
    expect(used()).toBe(before)
    scope(() => zeros([4]))
  })

  test('refuse work that waits, and give everything back', async () => {
    const before = used()
    const late = async () => {
      const x = zeros([100])
      await Promise.resolve()
      // The scope that owns the tensor has ended.
      return relu(x)
    }
    expect(() => scope(late as never)).toThrowErrorMatchingInlineSnapshot(`
      [OptionError: scope: its work is async
        Fix: read results behind it, without await in it]
    `)
    expect(() => noGrad(() => Promise.reject(new Error('late')))).toThrow('noGrad: its work is async')
    expect(used()).toBe(before)
    // Rejections of their own are not unhandled.
    await Promise.resolve()
  })

  test('let many passes share a few buffers', () => {
    const before = gpu.buffers.allocatedBytes
    const x = tensor(new Float32Array(4096), [4096])
    for (let i = 0; i < 50; i++) {
      scope(() =>
        noGrad(() => {
          relu(add(relu(x), x))
        }),
      )
    }
    // x, and the results of the three operations.
    expect(gpu.buffers.allocatedBytes - before).toBeLessThanOrEqual(4 * 16384)
    release(x)
  })
})
