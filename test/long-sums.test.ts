import { describe, test } from 'vitest'
import { avgPool } from '../src/ops/avg-pool.ts'
import { batchNorm } from '../src/ops/batch-norm.ts'
import { conv2d } from '../src/ops/conv2d.ts'
import { softmaxCrossEntropy } from '../src/ops/cross-entropy.ts'
import { globalAvgPool } from '../src/ops/global-avg-pool.ts'
import { columnSums } from '../src/gpu/grid.ts'
import { layerNorm } from '../src/ops/layer-norm.ts'
import { linear } from '../src/ops/linear.ts'
import { mul } from '../src/ops/mul.ts'
import { softmax } from '../src/ops/softmax.ts'
import { sum } from '../src/ops/sum.ts'
import { backward } from '../src/tensor/backward.ts'
import { scope } from '../src/tensor/scope.ts'
import { elementCount, type Shape } from '../src/tensor/shape.ts'
import type { Tensor } from '../src/tensor/tensor.ts'
import { item, read, tensor, zeros } from '../src/tensor/read-write.ts'
import { expectClose } from '../src/testing/close.ts'
import { hashUniform } from '../src/testing/hash-uniform.ts'
import { testFamilies } from './helpers/families.ts'
import { openTestGpu } from './helpers/gpu.ts'

const gpu = await openTestGpu()
const families = testFamilies(gpu, ['broadcast', 'tile'])

/** Like numbers are the worst: every rounding on the way goes the same way. */
const LIKE = Math.fround(0.1)
const like = (shape: Shape) => tensor(new Float32Array(elementCount(shape)).fill(LIKE), shape)

/** The gradients of operands, all of them leaves, where that of the result is the same number everywhere. */
async function gradients(operands: readonly Tensor[], run: () => Tensor): Promise<(Float32Array | Uint32Array)[]> {
  for (const operand of operands) operand.leaf = { trainable: true, gradient: undefined, hasGradient: false }
  scope(() => {
    const y = run()
    backward(y, like(y.shape))
  })
  return Promise.all(operands.map(({ leaf }) => read(leaf!.gradient!)))
}

describe.each(families)('family %s: long sums of like numbers', (family) => {
  test('globalAvgPool, avgPool', async () => {
    gpu.family = family
    expectClose(await read(globalAvgPool(like([1, 1024, 1024, 4]))), [LIKE, LIKE, LIKE, LIKE], 'f32')
    expectClose(await read(avgPool(like([1, 512, 512, 1]), { kernelSize: 512, stride: 1 })), [LIKE], 'f32')
  })

  test('sum', async () => {
    gpu.family = family
    expectClose([await item(sum(like([2 ** 23])))], [LIKE * 2 ** 23], 'f32')
  })

  test('gradients of biases, factors and norms of many pixels', async () => {
    gpu.family = family
    const [N, H, W, C] = [2, 256, 256, 4]
    const x = like([N, H, W, C])
    const total = N * H * W * LIKE
    const b = like([C])
    const [db] = await gradients([b], () => linear(x, like([C, C]), b))
    expectClose(db, Array(C).fill(total), 'f32', { name: 'bias' })
    const factor = like([C])
    const [df] = await gradients([factor], () => mul(x, factor))
    expectClose(df, Array(C).fill(total * LIKE), 'f32', { name: 'factor' })
    const gate = like([N, C])
    const [dg] = await gradients([gate], () => mul(x, gate))
    expectClose(dg, Array(N * C).fill((total * LIKE) / N), 'f32', { name: 'gate' })
    const shift = like([C])
    const [ds] = await gradients([shift], () => layerNorm(x, like([C]), shift))
    expectClose(ds, Array(C).fill(total), 'f32', { name: 'shift of a norm' })
  })

  test('gradients of filters over many pixels', async () => {
    gpu.family = family
    const [N, H, W, C] = [4, 192, 192, 4]
    const x = like([N, H, W, C])
    for (const groups of [4, 2]) {
      const weight = like([C, 1, 1, C / groups])
      const [dw] = await gradients([weight], () => conv2d(x, weight, { groups }))
      expectClose(dw, Array(weight.shape[0] * weight.shape[3]).fill(N * H * W * LIKE * LIKE), 'f32', {
        name: `${groups} groups`,
      })
    }
  })

  test('the mean of losses', async () => {
    gpu.family = family
    const N = 2 ** 18
    // ln(1 + e^0.1) of every row.
    const loss = softmaxCrossEntropy(
      tensor(
        Float32Array.from({ length: 2 * N }, (_, i) => (i % 2) * LIKE),
        [N, 2],
      ),
      { a: zeros([N], 'u32') },
    )
    expectClose([await item(loss)], [Math.log1p(Math.exp(LIKE))], 'f32')
  })

  test('softmax and its cross-entropy over many classes', async () => {
    gpu.family = family
    const K = 2 ** 19
    const logits = tensor(
      Float32Array.from({ length: K }, (_, k) => (k === 0 ? 0 : -LIKE)),
      [1, K],
    )
    const total = 1 + (K - 1) * Math.exp(-LIKE)
    expectClose((await read(softmax(logits))).subarray(0, 2), [1 / total, Math.exp(-LIKE) / total], 'f32')
    const [dlogits] = await gradients([logits], () => softmaxCrossEntropy(logits, { a: tensor([0], [1], 'u32') }))
    expectClose(
      dlogits.subarray(1, 3),
      [1, 1].map((one) => (one * LIKE * Math.exp(-LIKE)) / total),
      'f32',
    )
    // All of the target is spread over the classes.
    expectClose(
      [await item(softmaxCrossEntropy(logits, { a: tensor([0], [1], 'u32') }, { smoothing: 1 }))],
      [Math.log(total) + (LIKE * (K - 1)) / K],
      'f32',
    )
  })

  // A small weight, which is computed in slices, and one that fills a GPU without.
  test.each([
    [65535, 4, 4],
    [65536, 256, 256],
  ])('weight and bias of a linear layer, [%i,%i]→%i', async (rows, C, O) => {
    gpu.family = family
    const [x, weight, bias] = [like([rows, C]), zeros([O, C]), zeros([O])]
    const [dw, dbias] = await gradients([weight, bias], () => linear(x, weight, bias))
    expectClose(dw, new Float64Array(O * C).fill(LIKE * LIKE * rows), 'f32', { name: 'dw' })
    expectClose(dbias, new Float64Array(O).fill(LIKE * rows), 'f32', { name: 'dbias' })
  })

  test('weight and bias of a batch norm', async () => {
    gpu.family = family
    const shape = [1, 1024, 1024, 4]
    const x = tensor(
      Float32Array.from({ length: elementCount(shape) }, (_, i) => (i % 8 < 4 ? -1 : 1)),
      shape,
    )
    const [weight, bias] = [tensor([1, 1, 1, 1], [4]), zeros([4])]
    const options = {
      training: false,
      runningMean: tensor([-2, -2, -2, -2], [4]),
      runningVar: tensor([1, 1, 1, 1], [4]),
      eps: 1e-12,
    }
    const [dweight, dbias] = await gradients([weight, bias], () => batchNorm(x, weight, bias, options))
    // The distances from the mean are 1 and 3, in turn.
    expectClose(dweight, new Float64Array(4).fill(2 * LIKE * 2 ** 20), 'f32')
    expectClose(dbias, new Float64Array(4).fill(LIKE * 2 ** 20), 'f32')
  })

  test('the variance of a batch norm where the first pixel of every run is far from the others', async () => {
    gpu.family = family
    const pixels = 2 ** 20
    const { RUN } = columnSums(pixels, 1)
    const far = 0.9 * Math.sqrt(RUN)
    const data = hashUniform(4 * pixels, 1, -1, 1).map((value, i) => (Math.floor(i / 4) % RUN === 0 ? far : value))
    const runningVar = zeros([4])
    batchNorm(tensor(data, [pixels, 4]), tensor([1, 1, 1, 1], [4]), zeros([4]), {
      training: true,
      momentum: 1,
      runningMean: zeros([4]),
      runningVar,
    })
    const want = [0, 1, 2, 3].map((c) => {
      const channel = data.filter((_, i) => i % 4 === c)
      const mean = channel.reduce((total, value) => total + value, 0) / pixels
      return channel.reduce((total, value) => total + (value - mean) ** 2, 0) / (pixels - 1)
    })
    expectClose(await read(runningVar), want, 'f32')
  })
})
