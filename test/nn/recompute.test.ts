import { expect, test } from 'vitest'
import { xresnet18 } from '../../src/nn/xresnet.ts'
import { softmaxCrossEntropy } from '../../src/ops/cross-entropy.ts'
import { backward } from '../../src/tensor/backward.ts'
import { recompute } from '../../src/tensor/recompute.ts'
import { keep, release, scope } from '../../src/tensor/scope.ts'
import { read, tensor } from '../../src/tensor/read-write.ts'
import { relu } from '../../src/ops/relu.ts'
import { cast } from '../../src/ops/cast.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { gradcheck, uniform } from '../../src/testing/gradcheck.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { conv2d } from '../../src/ops/conv2d.ts'

const gpu = await openTestGpu()

/** The second of two training steps: loss, gradients, running statistics, and the most memory used for activations. */
async function step(recomputed: boolean, dtype: 'f32' | 'f16') {
  const model = xresnet18({ outputs: 10, recompute: recomputed })
  const x = keep(tensor(hashUniform(4 * 64 * 64 * 3, 1, -2, 2), [4, 64, 64, 3], dtype))
  const a = keep(tensor([3, 0, 7, 4], [4], 'u32'))
  const seed = keep(tensor([1], []))
  const run = () =>
    scope(() => {
      const made = softmaxCrossEntropy(cast(model.forward(x), 'f32'), { a }, { smoothing: 0, reduction: 'mean' })
      backward(made, seed)
      return made
    })
  // The first makes parameters and their gradients.
  release(run())
  for (const { leaf } of model.parameters()) leaf.hasGradient = false
  const before = gpu.buffers.usedBytes
  gpu.buffers.peakUsedBytes = before
  const loss = run()
  const activationBytes = gpu.buffers.peakUsedBytes - before
  const numbers = new Map<string, Buffer>()
  for (const { path, leaf } of model.parameters()) {
    if (leaf.gradient) numbers.set(`d ${path}`, Buffer.from((await read(leaf.gradient)).buffer))
  }
  for (const { path, value } of model.buffers()) numbers.set(path, Buffer.from((await read(value)).buffer))
  return { loss: (await read(loss))[0], numbers, activationBytes }
}

test.each(['f32', 'f16'] as const)('%s: the same numbers to the last bit, with less memory', async (dtype) => {
  const kept = await step(false, dtype)
  const again = await step(true, dtype)
  expect(again.loss).toBe(kept.loss)
  // 68 gradients and 44 running statistics.
  expect(kept.numbers.size).toBe(112)
  expect(
    [...kept.numbers].filter(([path, bytes]) => !again.numbers.get(path)?.equals(bytes)).map(([path]) => path),
  ).toEqual([])
  // The most is needed where the stem is done again: about half of what is kept otherwise, and its gradients.
  expect(again.activationBytes).toBeLessThan(kept.activationBytes * 0.8)
})

test('gradients, finite differences', async () => {
  await gradcheck(
    'recompute',
    ({ x, weight }) => recompute(relu(x), (start) => relu(conv2d(start, weight, { padding: 1 }))),
    {
      x: uniform([2, 4, 5, 3], 1, 0.2, 1),
      weight: uniform([4, 3, 3, 3], 2, 0.1, 0.5),
    },
    { roundings: 3 },
  )
})

test('work that hands on its input changes nothing', async () => {
  const x = tensor([1, -2, 3], [3])
  x.leaf = { trainable: true, gradient: undefined, hasGradient: false }
  const y = scope(() => {
    const made = relu(recompute(x, (start) => start))
    backward(made, tensor([1, 1, 1], [3]))
    return made
  })
  expect([...(await read(y))]).toEqual([1, 0, 3])
  expect([...(x.leaf.gradient ? await read(x.leaf.gradient) : [])]).toEqual([1, 0, 1])
})
