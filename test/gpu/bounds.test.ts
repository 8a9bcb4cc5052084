import { expect, test } from 'vitest'
import { dropoutWords } from '../../src/ops/dropout.ts'
import * as ops from '../../src/ops/index.ts'
import { backward } from '../../src/tensor/backward.ts'
import { noGrad } from '../../src/tensor/op.ts'
import { scope } from '../../src/tensor/scope.ts'
import { elementCount, type Shape } from '../../src/tensor/shape.ts'
import { adam } from '../../src/optim/adam.ts'
import { clipGradients } from '../../src/optim/clip.ts'
import { lookahead } from '../../src/optim/lookahead.ts'
import { LossScaler } from '../../src/optim/loss-scaler.ts'
import { radam } from '../../src/optim/radam.ts'
import { sgd } from '../../src/optim/sgd.ts'
import { tensor, zeros } from '../../src/tensor/read-write.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { watchBounds } from '../helpers/bounds.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { parameterGroups, setGradient } from '../optim/parameters.ts'

/** Sizes that no workgroup, strip or tile divides. */
const SHAPE: Shape = [3, 7, 9, 10]

const statistics = () => ({ runningMean: zeros([10]), runningVar: zeros([10]), training: true })

/** Operations on operands of these shapes; f16 unless they are parameters. */
const CASES: Readonly<
  Record<string, readonly [(...operands: readonly Tensor[]) => Tensor, ...(readonly [Shape, 'f32'?])[]]>
> = {
  add: [(a, b) => ops.add(a, b), [SHAPE], [SHAPE]],
  relu: [(a) => ops.relu(a), [SHAPE]],
  mish: [(a) => ops.mish(a), [SHAPE]],
  'mul by a gate': [(a, b) => ops.mul(a, b), [SHAPE], [[3, 10]]],
  'mul by channels': [(a, b) => ops.mul(a, b), [SHAPE], [[10], 'f32']],
  concat: [(a, b) => ops.concat(a, b), [[5, 5]], [[5, 6]]],
  dropout: [(a) => ops.dropout(a, zeros([dropoutWords({ shape: SHAPE, dtype: 'f32' })], 'u32'), { p: 0.5 }), [SHAPE]],
  dropImages: [(a) => ops.dropImages(a, tensor([0, 1, 2], [3])), [SHAPE]],
  sum: [(a) => ops.sum(a), [SHAPE]],
  batchNorm: [
    (a, w, b) => ops.batchNorm(a, w, b, { ...statistics(), relu: true }),
    [SHAPE],
    [[10], 'f32'],
    [[10], 'f32'],
  ],
  'batchNorm of fewer rows than a workgroup': [
    (a, w, b) => ops.batchNorm(a, w, b, statistics()),
    [[5, 10]],
    [[10], 'f32'],
    [[10], 'f32'],
  ],
  layerNorm: [(a, w, b) => ops.layerNorm(a, w, b), [SHAPE], [[10], 'f32'], [[10], 'f32']],
  'layerNorm of long rows': [(a, w, b) => ops.layerNorm(a, w, b), [[3, 36]], [[36], 'f32'], [[36], 'f32']],
  maxPool: [(a) => ops.maxPool(a, { kernelSize: 3, stride: 2, padding: 1 }), [SHAPE]],
  avgPool: [(a) => ops.avgPool(a, { kernelSize: 2, stride: 2, ceilMode: true }), [SHAPE]],
  maxBlurPool: [(a) => ops.maxBlurPool(a), [SHAPE]],
  globalAvgPool: [(a) => ops.globalAvgPool(a), [SHAPE]],
  globalMaxPool: [(a) => ops.globalMaxPool(a), [SHAPE]],
  softmax: [(a) => noGrad(() => ops.softmax(a)), [[11, 10]]],
  // A label of 99 is none of the ten classes.
  softmaxCrossEntropy: [
    (x) => {
      const [a, b] = [
        [0, 9, 99],
        [99, 1, 2],
      ].map((labels) => tensor(labels, [3], 'u32'))
      const weight = tensor(hashUniform(10, 4, 0, 1), [10])
      return ops.softmaxCrossEntropy(x, { a, b, mix: tensor([0.5, 1, 0], [3]) }, { weight })
    },
    [[3, 10]],
  ],
  squaredError: [(a) => ops.squaredError(a, zeros([3, 10]), { reduction: 'rows' }), [[3, 10]]],
  linear: [(a, w, b) => ops.linear(a, w, b), [[5, 10]], [[7, 10]], [[7], 'f32']],
  conv2d: [(a, w) => ops.conv2d(a, w, { padding: 1 }), [SHAPE], [[7, 3, 3, 10]]],
  'conv2d with a stride': [(a, w) => ops.conv2d(a, w, { stride: 2, padding: 2 }), [SHAPE], [[18, 5, 3, 10]]],
  'conv2d with a stride, of odd sides': [
    (a, w) => ops.conv2d(a, w, { stride: 2, padding: 1 }),
    [SHAPE],
    [[7, 3, 3, 10]],
  ],
  'conv2d with a filter wider than the image': [
    (a, w) => ops.conv2d(a, w, { padding: 3 }),
    [[2, 3, 3, 10]],
    [[7, 9, 9, 10]],
  ],
  'conv2d with dilation': [(a, w) => ops.conv2d(a, w, { dilation: 2, padding: 1 }), [SHAPE], [[7, 3, 3, 10]]],
  'conv2d in groups': [(a, w) => ops.conv2d(a, w, { groups: 2, padding: 1 }), [[3, 7, 9, 24]], [[8, 3, 3, 12]]],
  'conv2d in groups across vectors': [(a, w) => ops.conv2d(a, w, { groups: 5, padding: 1 }), [SHAPE], [[15, 3, 3, 2]]],
  'depthwise conv2d': [(a, w) => ops.conv2d(a, w, { groups: 10, padding: 1 }), [SHAPE], [[10, 3, 3, 1]]],
  'depthwise conv2d with a stride': [(a, w) => ops.conv2d(a, w, { groups: 10, stride: 2 }), [SHAPE], [[10, 3, 3, 1]]],
}

const gpu = await openTestGpu({ shapes: 'uniform' })
const beyond = watchBounds(gpu)
const families = gpu.subgroupSize > 0 ? (['broadcast', 'tile'] as const) : (['tile'] as const)

test.each(Object.keys(CASES))('%s', async (name) => {
  const [run, ...operands] = CASES[name]
  for (const family of families) {
    gpu.family = family
    scope(() => differentiate(run, operands))
    expect(await beyond(), `family ${family}`).toEqual([])
  }
})

test.each([
  ['adam', adam()],
  ['radam', radam()],
  ['sgd', sgd()],
  ['sgd with momentum', sgd({ momentum: 0.9 })],
  ['lookahead', lookahead(sgd(), { k: 1 })],
])('a step of %s, its gradients clipped, in mixed precision', async (_name, make) => {
  const parameters = parameterGroups()
  const optimizer = make(parameters)
  const scaler = new LossScaler({ mixed: true })
  optimizer.keepF16Copies()
  for (const [i, each] of parameters.flat().entries()) setGradient(each, hashUniform(each.count, i, -1, 1))
  scope(() => clipGradients(optimizer, 1, scaler))
  optimizer.step(scaler)
  expect(await beyond()).toEqual([])
})

function differentiate(
  run: (...operands: readonly Tensor[]) => Tensor,
  specs: readonly (readonly [Shape, 'f32'?])[],
): void {
  const operands = specs.map(([shape, dtype], i) => {
    const made = tensor(hashUniform(elementCount(shape), i + 1, -1, 1), shape, dtype ?? 'f16')
    made.leaf = { trainable: true, gradient: undefined, hasGradient: false }
    return made
  })
  const y = run(...operands)
  if (y.node) backward(y, tensor(hashUniform(elementCount(y.shape), 9, -1, 1), y.shape, y.dtype))
}
