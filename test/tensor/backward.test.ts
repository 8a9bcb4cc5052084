import { describe, expect, test } from 'vitest'
import { OptionError } from '../../src/base/errors.ts'
import { add } from '../../src/ops/add.ts'
import { relu } from '../../src/ops/relu.ts'
import { sum } from '../../src/ops/sum.ts'
import { backward } from '../../src/tensor/backward.ts'
import { noGrad } from '../../src/tensor/op.ts'
import { keep, release, scope } from '../../src/tensor/scope.ts'
import { item, read, tensor, zeros } from '../../src/tensor/read-write.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { openTestGpu } from '../helpers/gpu.ts'

const gpu = await openTestGpu()

describe('backward', () => {
  const leafOf = (data: readonly number[]) => {
    const made = tensor(data, [data.length])
    made.leaf = { trainable: true, gradient: undefined, hasGradient: false }
    return made
  }

  test('adds gradients up, over uses and over passes, and leaves only loss and gradients', async () => {
    const x = leafOf([1, -2])
    for (let pass = 1; pass <= 2; pass++) {
      const before = gpu.buffers.usedBytes
      scope(() => {
        const y = add(relu(x), x)
        const seed = tensor([1, 10], [2])
        backward(y, seed)
        release(seed)
        release(y)
        // The gradient, made in the first pass.
        expect(gpu.buffers.usedBytes - before).toBe(pass === 1 ? 256 : 0)
      })
      expect([...(await read(x.leaf!.gradient!))]).toEqual([2 * pass, 10 * pass])
    }
  })

  test('flows around what is frozen', async () => {
    const [x, frozen] = [leafOf([1, 2]), leafOf([3, 4])]
    frozen.leaf!.trainable = false
    scope(() => backward(add(x, relu(frozen)), tensor([5, 6], [2])))
    expect([...(await read(x.leaf!.gradient!))]).toEqual([5, 6])
    expect(frozen.leaf!.gradient).toBeUndefined()
  })

  test('reaches any depth', async () => {
    const x = leafOf([1])
    scope(() => {
      let y: Tensor = x
      for (let i = 0; i < 3000; i++) y = relu(y)
      backward(y, tensor([7], [1]))
    })
    expect(await item(x.leaf!.gradient!)).toBe(7)
  })

  test('says when there is nothing to learn', () => {
    expect(() =>
      backward(
        noGrad(() => relu(leafOf([1]))),
        zeros([1]),
      ),
    ).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: backward: the loss depends on nothing trainable
        loss  [1] f32
        Fix: compute it from parameters that are not frozen, outside noGrad]
    `)
  })

  test('wants a seed of the shape and type of the loss', () => {
    const y = relu(leafOf([1, 2, 3]))
    expect(() => backward(y, tensor([1], []))).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: backward: the seed is dL/dloss, but has another shape than the loss
        loss  [3] f32
        seed  [] f32
        Fix: make the loss one number first: its mean, or \`sum(loss)\`]
    `)
    expect(() => backward(y, zeros([3], 'f16'))).toThrowErrorMatchingInlineSnapshot(`
      [DtypeError: backward: the seed is dL/dloss, but of another type than the loss
        loss  [3] f32
        seed  [3] f16
        Fix: cast(loss, 'f32')]
    `)
    backward(y, zeros([3]))
  })

  test('says what is no tensor', () => {
    const [loss, seed] = [sum(leafOf([1, 2])), tensor([1], [])]
    const untyped = backward as (...given: unknown[]) => void
    expect(() => untyped(loss)).toThrowErrorMatchingInlineSnapshot(`
      [OptionError: backward: seed is not of the right kind
        seed  undefined
        expected dL/dloss, a tensor of the shape of the loss
        Fix: backward(loss, scaler.scale) with the LossScaler of the step, or backward(loss, tensor([1], []))]
    `)
    expect(() => untyped(loss, 1)).toThrow(OptionError)
    expect(() => untyped(undefined, seed)).toThrow(OptionError)
    backward(loss, seed)
  })

  test('goes through a tape once, and says so', async () => {
    const x = leafOf([1, 2, 3])
    const [h, seed] = [relu(x), tensor([1], [])]
    const [a, b] = [sum(h), sum(h)]
    backward(a, seed)
    for (const passed of [a, h]) {
      expect(() => backward(passed, zeros(passed.shape))).toThrow('an earlier backward has used up the tape')
    }
    // Its gradient would get as far as h and no further.
    expect(() => backward(b, seed)).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: backward: an earlier backward has used up the tape and released tensors that are needed again
        input of sum  [3] f32
        Fix: run the forward pass again; add up several losses of one pass and call backward once]
    `)
    // Operations take a tensor as a constant once `keep` has been called on it.
    const kept = relu(leafOf([1, 2, 3]))
    keep(kept)
    backward(sum(kept), seed)
    backward(sum(add(kept, x)), seed)
    expect([...(await read(x.leaf!.gradient!))]).toEqual([2, 2, 2])
  })

  test('gives activations back, and says so to whoever reads one', () => {
    const { inner } = scope(() => {
      const inner = relu(leafOf([1]))
      const y = relu(inner)
      backward(y, tensor([1], [1]))
      return { inner, y }
    })
    expect(() => inner.view).toThrow('its numbers were released, by backward or at the end of a scope')
  })
})
