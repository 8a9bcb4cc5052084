import { describe, expect, test } from 'vitest'
import { elementPass, ELEMENTS } from '../../src/gpu/chosen-grids.ts'
import { useGpu } from '../../src/gpu/device.ts'
import { WANTED } from '../../src/gpu/grid.ts'
import { dropoutWords } from '../../src/ops/dropout.ts'
import { sliceSum } from '../../src/ops/convolution/slice-sum.ts'
import * as ops from '../../src/ops/index.ts'
import { backward } from '../../src/tensor/backward.ts'
import { noGrad } from '../../src/tensor/op.ts'
import { scope } from '../../src/tensor/scope.ts'
import { elementCount, type Shape } from '../../src/tensor/shape.ts'
import { read, tensor, zeros } from '../../src/tensor/read-write.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { expectClose } from '../../src/testing/close.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { openTestGpu } from '../helpers/gpu.ts'

/*
 * Kernels as a GPU runs them, with sizes as constants, marked loops written out and several loads of a thread at once, against
 * those of this adapter. A GPU has several vectors per thread only where it has enough for all of its threads: here it is taken
 * for a small one.
 */
const gpu = await openTestGpu({ family: 'tile', shapes: 'constant' })
const usual = await openTestGpu({ family: 'tile' })
const { groups } = ELEMENTS
const wanted = WANTED.tile

/** Sizes that no workgroup, run or thread divides. */
const SHAPE: Shape = [3, 37, 41, 10]
const C = SHAPE[3]

type Float = 'f32' | 'f16'
type Results = Readonly<Record<string, Float32Array | Uint32Array>>

function operand(shape: Shape, seed: number, dtype: Float): Tensor {
  const made = tensor(hashUniform(elementCount(shape), seed, -1, 1), shape, dtype)
  made.leaf = { trainable: true, gradient: undefined, hasGradient: false }
  return made
}

/** Returns result and gradients of an operation on operands of random numbers. */
async function results(
  run: (...operands: readonly Tensor[]) => Tensor,
  specs: readonly (readonly [Shape, Float])[],
): Promise<Results> {
  const operands = specs.map(([shape, dtype], i) => operand(shape, i + 1, dtype))
  const y = scope(() => {
    const made = run(...operands)
    const seed = hashUniform(elementCount(made.shape), 9, -1, 1)
    if (made.node) backward(made, tensor(seed, made.shape, made.dtype))
    return made
  })
  const gradients = await Promise.all(operands.map(async ({ leaf }) => leaf?.gradient && (await read(leaf.gradient))))
  return Object.fromEntries(
    [['y', await read(y)] as const, ...gradients.map((one, i) => [`gradient ${i}`, one] as const)].flatMap(
      ([name, values]) => (values ? [[name, values]] : []),
    ),
  )
}

/** Computes on the small GPU, whose sums have up to `runs` workgroups, and on the adapter as it is. */
async function both(run: () => Promise<Results>, runs = 1): Promise<readonly [Results, Results]> {
  useGpu(gpu)
  ELEMENTS.groups = 1
  WANTED.tile = runs
  const small = await run().finally(() => {
    ELEMENTS.groups = groups
    WANTED.tile = wanted
    useGpu(usual)
  })
  return [small, await run()]
}

const statistics = () => ({ runningMean: zeros([C]), runningVar: zeros([C]), training: true })

describe.each(['f32', 'f16'] as const)('%s', (dtype) => {
  const x = [SHAPE, dtype] as const
  const perChannel = [[C], 'f32'] as const
  const words = dropoutWords({ shape: SHAPE, dtype })
  const mask = () =>
    tensor(
      Uint32Array.from({ length: words }, (_, i) => Math.imul(i + 1, 0x9e3779b1)),
      [words],
      'u32',
    )

  test.each<[string, Parameters<typeof results>[0], Parameters<typeof results>[1]]>([
    ['add', (a, b) => ops.add(a, b), [x, x]],
    ['add of an operand to itself', (a) => ops.add(a, ops.add(a, a)), [x]],
    ['relu', (a) => ops.relu(a), [x]],
    ['mul', (a, b) => ops.mul(a, b), [x, x]],
    ['mul by a gate', (a, b) => ops.mul(a, b), [x, [[3, C], dtype]]],
    ['mul by channels', (a, b) => ops.mul(a, b), [x, perChannel]],
    ['mish', (a) => ops.mish(a), [x]],
    ['sigmoid', (a) => ops.sigmoid(a), [x]],
    ['cast', (a) => ops.cast(ops.cast(a, dtype === 'f32' ? 'f16' : 'f32'), dtype), [x]],
    ['dropout', (a) => ops.dropout(a, mask(), { p: 0.25 }), [x]],
    ['dropImages', (a) => ops.dropImages(a, tensor([0, 1.5, 2], [3])), [x]],
    ['sum', (a) => ops.sum(a), [x]],
    ['batchNorm', (a, w, b) => ops.batchNorm(a, w, b, { ...statistics(), relu: true }), [x, perChannel, perChannel]],
    ['layerNorm', (a, w, b) => ops.layerNorm(a, w, b), [x, perChannel, perChannel]],
    ['maxPool', (a) => ops.maxPool(a, { kernelSize: 3, stride: 2, padding: 1 }), [x]],
    ['maxPool that overlaps', (a) => ops.maxPool(a, { kernelSize: 3, stride: 1, padding: 1 }), [x]],
    ['avgPool', (a) => ops.avgPool(a, { kernelSize: 2, stride: 2 }), [x]],
    ['maxBlurPool', (a) => ops.maxBlurPool(a), [x]],
    ['globalAvgPool', (a) => ops.globalAvgPool(a), [x]],
    ['softmax', (a) => noGrad(() => ops.softmax(ops.reshape(a, [3 * 37 * 41, C]))), [x]],
    ['conv2d', (a, w) => ops.conv2d(a, w, { stride: 1, padding: 1 }), [x, [[12, 3, 3, C], dtype]]],
  ])('%s', async (_name, run, specs) => {
    const [small, usually] = await both(() => results(run, specs))
    expect(Object.keys(small)).toEqual(Object.keys(usually))
    for (const [name, values] of Object.entries(small)) {
      expectClose(values, usually[name], name === 'y' || name === 'gradient 0' ? dtype : 'f32', { name })
    }
  })
})

test('a batch norm of so many pixels that a thread adds up several runs at once', async () => {
  const specs = [
    [[98 * 507 + 1, 4], 'f32'],
    [[4], 'f32'],
    [[4], 'f32'],
  ] as const
  const run: Parameters<typeof results>[0] = (a, w, b) =>
    ops.batchNorm(a, w, b, { runningMean: zeros([4]), runningVar: zeros([4]), training: true })
  const [small, usually] = await both(() => results(run, specs), wanted)
  for (const [name, values] of Object.entries(small)) expectClose(values, usually[name], 'f32', { name })
})

test('threads and vectors of an element-wise pass follow the number of vectors', () => {
  expect(usual.family).toBe('tile')
  const each = (vectors: number) => elementPass(usual, vectors).constants!.EACH
  const whole = ELEMENTS.threads * ELEMENTS.groups
  expect([1, whole, 2 * whole - 1, 2 * whole, 4 * whole, 100 * whole].map(each)).toEqual([1, 1, 1, 2, 4, 4])
  expect(elementPass(usual, 4 * whole + 1).groups).toBe(ELEMENTS.groups + 1)
})

test.each([1, 2, 3, 7, 8, 100])('%i slices have no more rows of threads', (slices) => {
  const { ROWS } = sliceSum(usual, { shape: [4000], dtype: 'f32' }, slices).options.constants as { ROWS: number }
  expect(ROWS).toBeLessThanOrEqual(slices)
  expect(Math.log2(ROWS) % 1).toBe(0)
})
