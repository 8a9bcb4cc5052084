import { describe, expect, test } from 'vitest'
import { xresnet18 } from '../src/nn/xresnet.ts'
import { dropoutWords } from '../src/ops/dropout.ts'
import * as operations from '../src/ops/index.ts'
import { buffersOf } from '../src/optim/flat.ts'
import { sgd } from '../src/optim/sgd.ts'
import { backward } from '../src/tensor/backward.ts'
import { halfToFloat } from '../src/tensor/half.ts'
import { noGrad } from '../src/tensor/op.ts'
import { scope } from '../src/tensor/scope.ts'
import { storedCount, storedLastAxis, type Shape } from '../src/tensor/shape.ts'
import type { Tensor } from '../src/tensor/tensor.ts'
import { item, read, tensor, upload, zeros } from '../src/tensor/read-write.ts'
import { hashUniform } from '../src/testing/hash-uniform.ts'
import { once, testFamilies } from './helpers/families.ts'
import { openTestGpu } from './helpers/gpu.ts'
import { uniform, type GradcheckInput } from '../src/testing/gradcheck.ts'

const gpu = await openTestGpu()
const families = testFamilies(gpu)

const {
  absoluteError,
  add,
  avgPool,
  batchNorm,
  cast,
  concat,
  conv2d,
  dropImages,
  dropout,
  flatten,
  gelu,
  globalAvgPool,
  globalMaxPool,
  hardSigmoid,
  hardSwish,
  layerNorm,
  huberError,
  linear,
  maxBlurPool,
  maxPool,
  mish,
  mul,
  relu,
  relu6,
  reshape,
  sigmoid,
  silu,
  sigmoidCrossEntropy,
  softmax,
  softmaxCrossEntropy,
  squaredError,
  sum,
} = operations

/** An operation and operands small enough that every number of them counts. */
interface Case {
  readonly operation: keyof typeof operations
  readonly inputs: Readonly<Record<string, GradcheckInput>>
  /** The NaN may reach more than a large number does: 0·NaN is NaN where a tap lies outside the image. */
  readonly reachesMore?: boolean
  /** No gradient flows through it. */
  readonly forwardOnly?: boolean
  run(inputs: Readonly<Record<string, Tensor>>): Tensor
}

const images = uniform([2, 5, 6, 5], 1)
const perChannel = (seed: number, low = -1, high = 1) => ({ ...uniform([5], seed, low, high), always: 'f32' as const })
const norm = { x: images, weight: perChannel(2, 0.5, 1), bias: perChannel(3, 12, 13) }
const labels = () => ({
  a: tensor([4, 0, 2], [3], 'u32'),
  b: tensor([1, 0, 3], [3], 'u32'),
  mix: tensor([0.75, 0.5, 0.25], [3]),
})

/** Mask of `dropout` that keeps every element. */
const allKept = (x: Tensor) => {
  const words = dropoutWords(x)
  return tensor(
    Array.from({ length: words }, () => 0xffffffff),
    [words],
    'u32',
  )
}

/** Numbers to compare outputs with. */
const goals = () => tensor(hashUniform(15, 8), [3, 5])
const matrix = { outputs: uniform([3, 5], 1) }

const CASES: Readonly<Record<string, Case>> = {
  absoluteError: {
    operation: 'absoluteError',
    inputs: matrix,
    run: ({ outputs }) => absoluteError(outputs, goals(), { reduction: 'none' }),
  },
  add: { operation: 'add', inputs: { a: images, b: uniform([2, 5, 6, 5], 2) }, run: ({ a, b }) => add(a, b) },
  avgPool: {
    operation: 'avgPool',
    inputs: { x: images },
    run: ({ x }) => avgPool(x, { kernelSize: 2, stride: 2, ceilMode: true }),
  },
  // Biases that keep everything above zero: what a rectified unit holds back, a large number does not reach.
  batchNorm: {
    operation: 'batchNorm',
    inputs: norm,
    run: ({ x, weight, bias }) => batchNorm(x, weight, bias, { ...running(), training: true }),
  },
  'batchNorm with relu': {
    operation: 'batchNorm',
    inputs: norm,
    run: ({ x, weight, bias }) => batchNorm(x, weight, bias, { ...running(), training: true, relu: true }),
  },
  'batchNorm with residual and relu': {
    operation: 'batchNorm',
    inputs: { ...norm, residual: uniform([2, 5, 6, 5], 4) },
    run: ({ x, weight, bias, residual }) =>
      batchNorm(x, weight, bias, { ...running(), training: true, relu: true, residual }),
  },
  'batchNorm outside training': {
    operation: 'batchNorm',
    inputs: norm,
    run: ({ x, weight, bias }) => batchNorm(x, weight, bias, { ...running(), training: false, relu: true }),
  },
  cast: { operation: 'cast', inputs: { x: images }, run: ({ x }) => cast(x, x.dtype === 'f32' ? 'f16' : 'f32') },
  concat: { operation: 'concat', inputs: { a: images, b: uniform([2, 5, 6, 3], 2) }, run: ({ a, b }) => concat(a, b) },
  conv2d: {
    operation: 'conv2d',
    inputs: { x: images, weight: uniform([6, 3, 3, 5], 2) },
    reachesMore: true,
    run: ({ x, weight }) => conv2d(x, weight, { padding: 1 }),
  },
  'conv2d of eights': {
    operation: 'conv2d',
    inputs: { x: uniform([2, 5, 6, 8], 1), weight: uniform([16, 3, 3, 8], 2) },
    reachesMore: true,
    run: ({ x, weight }) => conv2d(x, weight, { stride: 2, padding: 1 }),
  },
  'conv2d with bias': {
    operation: 'conv2d',
    inputs: { x: images, weight: uniform([6, 3, 3, 5], 2), bias: { ...uniform([6], 3), always: 'f32' } },
    reachesMore: true,
    run: ({ x, weight, bias }) => conv2d(x, weight, { padding: 1, bias }),
  },
  'conv2d, depthwise': {
    operation: 'conv2d',
    inputs: { x: images, weight: uniform([5, 3, 3, 1], 2), bias: perChannel(3) },
    reachesMore: true,
    run: ({ x, weight, bias }) => conv2d(x, weight, { padding: 1, groups: 5, bias }),
  },
  'conv2d, depthwise with a stride': {
    operation: 'conv2d',
    inputs: { x: images, weight: uniform([5, 3, 3, 1], 2) },
    reachesMore: true,
    run: ({ x, weight }) => conv2d(x, weight, { stride: 2, padding: 1, groups: 5 }),
  },
  'conv2d in groups of eight': {
    operation: 'conv2d',
    inputs: { x: uniform([2, 5, 6, 16], 1), weight: uniform([8, 3, 3, 8], 2) },
    reachesMore: true,
    run: ({ x, weight }) => conv2d(x, weight, { padding: 1, groups: 2 }),
  },
  'conv2d in groups of three': {
    operation: 'conv2d',
    inputs: { x: uniform([2, 5, 6, 6], 1), weight: uniform([4, 3, 3, 3], 2) },
    reachesMore: true,
    run: ({ x, weight }) => conv2d(x, weight, { dilation: 2, padding: 2, groups: 2 }),
  },
  dropImages: {
    operation: 'dropImages',
    inputs: { x: images },
    run: ({ x }) => dropImages(x, tensor([1.25, 1.25], [2])),
  },
  // Nothing is left out: a large number that is would reach nothing, where NaN · 0 is NaN.
  dropout: { operation: 'dropout', inputs: { x: images }, run: ({ x }) => dropout(x, allKept(x), { p: 0.5 }) },
  flatten: { operation: 'flatten', inputs: { x: uniform([2, 5, 6, 8], 1) }, run: ({ x }) => flatten(x) },
  gelu: { operation: 'gelu', inputs: { x: images }, run: ({ x }) => gelu(x) },
  'gelu by tanh': { operation: 'gelu', inputs: { x: images }, run: ({ x }) => gelu(x, { approximate: 'tanh' }) },
  globalAvgPool: { operation: 'globalAvgPool', inputs: { x: images }, run: ({ x }) => globalAvgPool(x) },
  globalMaxPool: { operation: 'globalMaxPool', inputs: { x: images }, run: ({ x }) => globalMaxPool(x) },
  hardSigmoid: { operation: 'hardSigmoid', inputs: { x: images }, run: ({ x }) => hardSigmoid(x) },
  hardSwish: { operation: 'hardSwish', inputs: { x: images }, run: ({ x }) => hardSwish(x) },
  layerNorm: {
    operation: 'layerNorm',
    inputs: norm,
    run: ({ x, weight, bias }) => layerNorm(x, weight, bias),
  },
  huberError: {
    operation: 'huberError',
    inputs: matrix,
    run: ({ outputs }) => huberError(outputs, goals(), { delta: 0.5, reduction: 'rows' }),
  },
  linear: {
    operation: 'linear',
    inputs: { x: uniform([3, 5], 1), weight: uniform([6, 5], 2), bias: { ...uniform([6], 3), always: 'f32' } },
    run: ({ x, weight, bias }) => linear(x, weight, bias),
  },
  'linear over the pixels of images': {
    operation: 'linear',
    inputs: { x: images, weight: uniform([6, 5], 2), bias: { ...uniform([6], 3), always: 'f32' } },
    run: ({ x, weight, bias }) => linear(x, weight, bias),
  },
  maxBlurPool: { operation: 'maxBlurPool', inputs: { x: images }, run: ({ x }) => maxBlurPool(x) },
  maxPool: {
    operation: 'maxPool',
    inputs: { x: images },
    run: ({ x }) => maxPool(x, { kernelSize: 3, stride: 2, padding: 1 }),
  },
  mish: { operation: 'mish', inputs: { x: images }, run: ({ x }) => mish(x) },
  mul: { operation: 'mul', inputs: { a: images, b: uniform([2, 5, 6, 5], 2) }, run: ({ a, b }) => mul(a, b) },
  'mul by a gate': { operation: 'mul', inputs: { a: images, b: uniform([2, 5], 2) }, run: ({ a, b }) => mul(a, b) },
  'mul by channels': { operation: 'mul', inputs: { a: images, b: perChannel(2) }, run: ({ a, b }) => mul(a, b) },
  relu: { operation: 'relu', inputs: { x: images }, run: ({ x }) => relu(x) },
  relu6: { operation: 'relu6', inputs: { x: images }, run: ({ x }) => relu6(x) },
  reshape: { operation: 'reshape', inputs: { x: images }, run: ({ x }) => reshape(x, [60, 5]) },
  sigmoid: { operation: 'sigmoid', inputs: { x: images }, run: ({ x }) => sigmoid(x) },
  silu: { operation: 'silu', inputs: { x: images }, run: ({ x }) => silu(x) },
  sigmoidCrossEntropy: {
    operation: 'sigmoidCrossEntropy',
    inputs: matrix,
    run: ({ outputs }) => sigmoidCrossEntropy(outputs, goals(), { reduction: 'none' }),
  },
  'sigmoidCrossEntropy with weights, its mean': {
    operation: 'sigmoidCrossEntropy',
    inputs: matrix,
    run: ({ outputs }) =>
      sigmoidCrossEntropy(outputs, goals(), {
        weight: tensor([1, 2, 0.5, 0.25, 1], [5]),
        posWeight: tensor([2, 1, 3, 0.5, 1], [5]),
      }),
  },
  softmax: { operation: 'softmax', inputs: { x: uniform([3, 5], 1) }, forwardOnly: true, run: ({ x }) => softmax(x) },
  softmaxCrossEntropy: {
    operation: 'softmaxCrossEntropy',
    inputs: { logits: uniform([3, 5], 1) },
    run: ({ logits }) => softmaxCrossEntropy(logits, labels(), { smoothing: 0.1, reduction: 'none' }),
  },
  'softmaxCrossEntropy, its mean': {
    operation: 'softmaxCrossEntropy',
    inputs: { logits: uniform([3, 5], 1) },
    run: ({ logits }) => softmaxCrossEntropy(logits, labels()),
  },
  'softmaxCrossEntropy with weights': {
    operation: 'softmaxCrossEntropy',
    inputs: { logits: uniform([3, 5], 1) },
    run: ({ logits }) =>
      softmaxCrossEntropy(logits, labels(), {
        smoothing: 0.1,
        weight: tensor([1, 2, 0.5, 0.25, 1], [5]),
        reduction: 'none',
      }),
  },
  'softmaxCrossEntropy with gamma, its weighted mean': {
    operation: 'softmaxCrossEntropy',
    inputs: { logits: uniform([3, 5], 1) },
    run: ({ logits }) =>
      softmaxCrossEntropy(logits, labels(), { gamma: 0.5, weight: tensor([1, 2, 0.5, 0.25, 1], [5]) }),
  },
  squaredError: {
    operation: 'squaredError',
    inputs: matrix,
    run: ({ outputs }) => squaredError(outputs, goals(), { reduction: 'sum' }),
  },
  sum: { operation: 'sum', inputs: { x: images }, run: ({ x }) => sum(x) },
}

test('the table has every operation', () => {
  expect([...new Set(Object.values(CASES).map(({ operation }) => operation))].sort()).toEqual(
    Object.keys(operations).sort(),
  )
})

/** NaN as JavaScript writes it, and as x86 makes it of ∞ − ∞: the sign counts where bits are compared as integers. */
const NANS = [0x7fc00000, 0xffc00000]
/** A number that changes whatever it reaches, in f16 too. */
const LARGE = 1000

test.each(Object.entries({ f32: [0x7fc00000, 0xffc00000], f16: [0x7e00, 0xfe00] }))(
  'the signs of NaN reach the GPU, %s',
  async (dtype, bits) => {
    const numbers = new Float32Array(Uint32Array.from(NANS).buffer)
    const stored = await gpu.queue.read(tensor(numbers, [2], dtype as 'f32' | 'f16').view)
    // Firefox's JavaScript has one NaN, so that a number that it copies has no sign; there the other cases are of that NaN.
    const signs = new Uint32Array(Float32Array.from(numbers, (value) => value).buffer).map((word) => word >>> 31)
    expect([...signs]).toEqual('mozInnerScreenX' in globalThis ? [0, 0] : [0, 1])
    const expected = Array.from(signs, (sign) => bits[sign])
    expect([...(dtype === 'f32' ? new Uint32Array(stored) : new Uint16Array(stored))].slice(0, 2)).toEqual(expected)
  },
)

describe.each(families)('family %s', (family) => {
  // Only these have kernels for matrix units.
  const cases = Object.entries(CASES).filter(
    ([, { operation }]) => family !== 'matrix' || ['conv2d', 'linear'].includes(operation),
  )

  describe.each(['f32', 'f16'] as const)('%s', (dtype) => {
    describe.each(cases)('%s', (_name, one) => {
      test('NaN reaches what a large number reaches, forward', async () => {
        gpu.family = family
        const plain = (await results(one, dtype)).y
        for (const input of Object.keys(one.inputs)) {
          for (const [i, index] of someOf(one.inputs[input].data.length).entries()) {
            const large = (await results(one, dtype, { input, index, bits: bitsOf(LARGE) })).y
            const bad = (await results(one, dtype, { input, index, bits: NANS[i % 2] })).y
            expectReached(
              one,
              `${input}[${index}]: y`,
              bad,
              large.map((value, k) => value !== plain[k]),
            )
          }
        }
      })

      if (one.forwardOnly) return
      test('NaN reaches what a large number reaches, backward', async () => {
        gpu.family = family
        const { y, gradients: plain } = await results(one, dtype)
        for (const [i, index] of someOf(y.length).entries()) {
          const { gradients: large } = await results(one, dtype, { input: 'dy', index, bits: bitsOf(LARGE) })
          const { gradients: bad } = await results(one, dtype, { input: 'dy', index, bits: NANS[i % 2] })
          for (const input of Object.keys(one.inputs)) {
            expectReached(
              one,
              `dy[${index}]: d${input}`,
              bad[input],
              large[input].map((value, k) => value !== plain[input][k]),
            )
          }
        }
      })
    })
  })
})

describe.each(once(['f32', 'f16'] as const))('gradients where an operand is NaN, as in PyTorch, %s', (dtype) => {
  const gradientOf = async (
    run: (x: Tensor) => Tensor,
    shape: Shape,
    data: readonly number[],
    dy: readonly number[],
  ) => {
    const x = tensor(data, shape, dtype)
    x.leaf = { trainable: true, gradient: undefined, hasGradient: false }
    scope(() => {
      const y = run(x)
      backward(y, tensor(dy, y.shape, y.dtype))
    })
    return [...(await read(x.leaf.gradient!))]
  }

  test('relu lets it through', async () => {
    expect(await gradientOf(relu, [5], [NaN, 1, 0, -1, Infinity], [1, 2, 3, 4, 5])).toEqual([1, 2, 0, 0, 5])
  })

  test('of a window the last NaN is the maximum, and before it none', async () => {
    const run = (x: Tensor) => maxPool(x, { kernelSize: 2, stride: 2 })
    expect(await gradientOf(run, [1, 2, 4, 1], [NaN, NaN, 2, NaN, 1, Infinity, 1, 5], [1, 2])).toEqual([
      0, 1, 0, 2, 0, 0, 0, 0,
    ])
  })

  test('a blurred maximum has the same place', async () => {
    // The only output is 4/16 of the first window, 2/16 of the two beside it and 1/16 of the last.
    expect(await gradientOf(maxBlurPool, [1, 3, 3, 1], [NaN, 1, 1, 1, NaN, 1, 1, 1, 9], [16])).toEqual([
      0, 0, 0, 0, 9, 0, 0, 0, 0,
    ])
  })

  test('mish, softmaxCrossEntropy', async () => {
    expect(await gradientOf(mish, [3], [NaN, 0, 100], [1, 1, 1])).toEqual([NaN, expect.closeTo(0.6, 3), 1])
    const loss = (x: Tensor) => softmaxCrossEntropy(x, { a: tensor([0, 1], [2], 'u32') }, { reduction: 'none' })
    expect(await gradientOf(loss, [2, 2], [0, NaN, 0, 0], [1, 1])).toEqual([NaN, NaN, 0.5, -0.5])
  })

  test.each([true, false])('a rectified batch norm, training %s', async (training) => {
    const bias = tensor([0, 0], [2])
    bias.leaf = { trainable: true, gradient: undefined, hasGradient: false }
    const options = { runningMean: zeros([2]), runningVar: tensor([1, 1], [2]), training, relu: true }
    const run = (x: Tensor) => batchNorm(x, tensor([1, 1], [2]), bias, options)
    const dx = await gradientOf(run, [2, 2], [NaN, 4, 1, -4], [1, 2, 4, 8])
    if (training) expect(dx.map(Number.isNaN)).toEqual([true, false, true, false])
    expect([...(await read(bias.leaf.gradient!))]).toEqual([5, 2])
  })
})

test.each(once(['f32', 'f16'] as const))(
  'one NaN among the weights of a network is the loss, and no gradient is whole, %s',
  async (dtype) => {
    const model = xresnet18({ outputs: 10 })
    const parameters = model.parameters()
    const optimizer = sgd()([parameters])
    if (dtype === 'f16') optimizer.keepF16Copies()
    const weight = parameters.filter(({ shape }) => shape.length === 4)[3]
    const values = await read(weight.value)
    upload(
      weight.value,
      values.map((value, i) => (i === 7 ? NaN : value)),
    )
    if (dtype === 'f16') {
      upload(
        weight.f16Copy!,
        values.map((value, i) => (i === 7 ? NaN : value)),
      )
    }
    const loss = scope(() => {
      const logits = cast(model.forward(tensor(uniform([2, 32, 32, 3], 1).data, [2, 32, 32, 3], dtype)), 'f32')
      const made = softmaxCrossEntropy(logits, { a: tensor([3, 8], [2], 'u32') })
      backward(made, tensor([1], []))
      return made
    })
    expect(await item(loss)).toBeNaN()
    expect(await item(buffersOf(parameters).foundInfinity)).toBe(dtype === 'f16' ? 1 : 0)
    for (const { path, leaf } of parameters) {
      expect([...(await read(leaf.gradient!))].some(Number.isNaN), path).toBe(true)
    }
  },
)

/** Throws unless the numbers are NaN where they should be, and nowhere else. */
function expectReached(
  { reachesMore = false }: Case,
  name: string,
  values: readonly number[],
  reached: readonly boolean[],
): void {
  const nans = values.map((value, i) => Number.isNaN(value) && (reached[i] || !reachesMore))
  expect(nans, name).toEqual(reached)
}

interface Change {
  readonly input: string
  readonly index: number
  readonly bits: number
}

/** Output and gradients of an operation, one number of an input or of `dy` being another than usual. */
async function results({ inputs, run, forwardOnly = false }: Case, dtype: 'f32' | 'f16', change?: Change) {
  const made = scope(() => {
    const operands = Object.fromEntries(
      Object.entries(inputs).map(([name, { shape, data, always }]) => {
        const operand = tensor(changed(data, name, change), shape, always ?? dtype)
        operand.leaf = { trainable: true, gradient: undefined, hasGradient: false }
        return [name, operand]
      }),
    )
    if (forwardOnly) return { y: noGrad(() => run(operands)), gradients: {} }
    const y = run(operands)
    backward(y, tensor(changed(uniform(y.shape, 9).data, 'dy', change), y.shape, y.dtype))
    return {
      y,
      gradients: Object.fromEntries(Object.entries(operands).map(([name, { leaf }]) => [name, leaf!.gradient!])),
    }
  })
  const gradients: Record<string, number[]> = {}
  for (const [name, gradient] of Object.entries(made.gradients)) gradients[name] = await numbersOf(gradient)
  return { y: await numbersOf(made.y), gradients }
}

/** Through its bits, since JavaScript need not keep the sign of a NaN. */
function changed(data: ArrayLike<number>, name: string, change: Change | undefined): Float32Array {
  const numbers = Float32Array.from(data)
  if (change?.input === name) new Uint32Array(numbers.buffer)[change.index] = change.bits
  return numbers
}

/** The numbers of a tensor, whose padding is zero. */
async function numbersOf(of: Tensor): Promise<number[]> {
  const bytes = await gpu.queue.read(of.view)
  const stored = of.dtype === 'f32' ? [...new Float32Array(bytes)] : Array.from(new Uint16Array(bytes), halfToFloat)
  const [last, row] = [of.shape.at(-1) ?? 1, storedLastAxis(of)]
  const isPadding = (i: number) => i >= storedCount(of) || i % row >= last
  expect(
    stored.filter((value, i) => isPadding(i) && i < storedCount(of) && value !== 0),
    'padding',
  ).toEqual([])
  return stored.filter((_, i) => !isPadding(i))
}

/** Index of one in the middle, and of the last. */
const someOf = (count: number) => [...new Set([Math.floor(count / 2), count - 1])]
const bitsOf = (number: number) => new Uint32Array(Float32Array.of(number).buffer)[0]
const running = () => ({ runningMean: zeros([5]), runningVar: tensor([1, 1, 1, 1, 1], [5]) })
