import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { batchNorm } from '../../src/ops/batch-norm.ts'
import { conv2d } from '../../src/ops/conv2d.ts'
import { linear } from '../../src/ops/linear.ts'
import { buffersOf } from '../../src/optim/flat.ts'
import { LossScaler } from '../../src/optim/loss-scaler.ts'
import { sgd } from '../../src/optim/sgd.ts'
import type { Dtype } from '../../src/tensor/dtype.ts'
import { backward } from '../../src/tensor/backward.ts'
import { copy } from '../../src/tensor/launch.ts'
import { isChecked, markChecked } from '../../src/tensor/overflow.ts'
import { scope } from '../../src/tensor/scope.ts'
import { elementCount, type Shape } from '../../src/tensor/shape.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { item, tensor, upload, zeros } from '../../src/tensor/read-write.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { testFamilies } from '../helpers/families.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { bits, ones, parameter, valuesOf } from './parameters.ts'

const gpu = await openTestGpu()
const families = testFamilies(gpu)
const family = gpu.family

/** Returns the names of the launched kernels. */
let launched: string[] = []
beforeEach(() => {
  launched = []
  const launch = gpu.queue.launch.bind(gpu.queue)
  vi.spyOn(gpu.queue, 'launch').mockImplementation((one) => {
    launched.push(one.label)
    launch(one)
  })
})
afterEach(() => {
  vi.restoreAllMocks()
  gpu.family = family
})

const wasChecked = () => launched.some((label) => label.startsWith('optim/check-overflow'))

/** An operation with parameters, each of a shape, on x; and the shape of what it makes. */
interface Layer {
  readonly x: Shape
  readonly parameters: Readonly<Record<string, Shape>>
  readonly y: Shape
  run(x: Tensor, parameters: Readonly<Record<string, Tensor>>): Tensor
}

const LAYERS: Readonly<Record<string, Layer>> = {
  'a convolution': {
    x: [2, 5, 6, 8],
    parameters: { weight: [16, 3, 3, 8] },
    y: [2, 5, 6, 16],
    run: (x, { weight }) => conv2d(x, weight, { padding: 1 }),
  },
  // Few weights and many pixels: the sum of slices.
  'a convolution in slices': {
    x: [4, 30, 30, 8],
    parameters: { weight: [8, 1, 1, 8] },
    y: [4, 30, 30, 8],
    run: (x, { weight }) => conv2d(x, weight),
  },
  'a linear layer': {
    x: [5, 16],
    parameters: { weight: [8, 16], bias: [8] },
    y: [5, 8],
    run: (x, { weight, bias }) => linear(x, weight, bias),
  },
  // More rows than are added up at once; what is odd is in the last of them.
  'a linear layer of many rows': {
    x: [700, 16],
    parameters: { weight: [8, 16] },
    y: [700, 8],
    run: (x, { weight }) => linear(x, weight),
  },
  'a batch norm': {
    x: [3, 4, 5, 12],
    parameters: { weight: [12], bias: [12] },
    y: [3, 4, 5, 12],
    run: (x, { weight, bias }) =>
      batchNorm(x, weight, bias, {
        training: true,
        momentum: 0.1,
        eps: 1e-5,
        runningMean: zeros([12]),
        runningVar: zeros([12]),
        relu: false,
      }),
  },
}

function prepare({ x: shape, parameters: shapes, y, run }: Layer, dtype: Dtype = 'f16') {
  const parameters = Object.entries(shapes).map(([name, each], i) =>
    parameter(name, [...each], each.length > 1 ? 'weight' : 'bias', i + 1),
  )
  const optimizer = sgd()([parameters])
  optimizer.keepF16Copies()
  optimizer.setHyperparameters([{ lr: 0.1 }])
  const x = tensor(hashUniform(elementCount(shape), 9, -1, 1), shape, dtype)
  return {
    parameters,
    optimizer,
    scaler: new LossScaler({ mixed: true }),
    foundInfinity: buffersOf(parameters).foundInfinity,
    /** Forward and backward, one number of dy being another than the rest. */
    differentiate(odd = 1) {
      const dy = ones(elementCount(y))
      dy[dy.length - 2] = odd
      const named = Object.fromEntries(
        parameters.map((each) => [each.path, each.kind === 'bias' ? each.value : each.as(x.dtype)]),
      )
      scope(() => backward(run(x, named), tensor(dy, y, dtype)))
    },
  }
}

describe.each(families)('family %s', (each) => {
  describe.each(Object.entries(LAYERS))('%s', (_name, layer) => {
    test.each([Infinity, -Infinity, NaN])(
      '%s is noticed as it is written, and nobody reads the gradients again',
      async (bad) => {
        gpu.family = each
        const { optimizer, scaler, parameters, foundInfinity, differentiate } = prepare(layer)
        const before = (await valuesOf(parameters)).map(bits)
        differentiate(bad)
        expect(await item(foundInfinity)).toBe(1)
        optimizer.step(scaler)
        optimizer.zeroGradients()
        expect(await item(scaler.scale)).toBe(32768)
        expect((await valuesOf(parameters)).map(bits)).toEqual(before)
        // The next step is a good one.
        differentiate()
        expect(await item(foundInfinity)).toBe(0)
        optimizer.step(scaler)
        expect(await item(scaler.skipped)).toBe(0)
        expect((await valuesOf(parameters)).map(bits)).not.toEqual(before)
        expect(wasChecked()).toBe(false)
      },
    )
  })
})

test.each([0, 1])('what was found in gradients that are thrown away after %i steps does not count', async (steps) => {
  const { optimizer, scaler, differentiate } = prepare(LAYERS['a linear layer'])
  for (let step = 0; step < steps; step++) {
    differentiate()
    optimizer.step(scaler)
    optimizer.zeroGradients()
  }
  differentiate(Infinity)
  optimizer.zeroGradients()
  differentiate()
  optimizer.step(scaler)
  expect([await item(scaler.scale), await item(scaler.skipped)]).toEqual([65536, 0])
})

test('an optimizer whose parameters another one has taken forgets nothing that is not its own', async () => {
  const { optimizer: left, parameters, differentiate } = prepare(LAYERS['a linear layer'])
  const optimizer = sgd()([parameters])
  differentiate(Infinity)
  left.zeroGradients()
  left.clearState()
  expect(await item(buffersOf(parameters).foundInfinity)).toBe(1)
  optimizer.close()
})

test.each(['written by hand', 'added to'])(
  'gradients that were %s afterwards are looked through by the optimizer',
  async (how) => {
    const {
      optimizer,
      scaler,
      parameters: [weight],
      differentiate,
    } = prepare(LAYERS['a linear layer'])
    differentiate()
    if (how === 'added to') differentiate(NaN)
    else upload(weight.leaf.gradient!, new Float32Array(weight.count).fill(Infinity))
    optimizer.step(scaler)
    expect(await item(scaler.skipped)).toBe(1)
    expect(wasChecked()).toBe(true)
  },
)

test('a step in f32 is never skipped, whatever a layer in f16 has found', async () => {
  const { optimizer, parameters, foundInfinity, differentiate } = prepare(LAYERS['a linear layer'])
  differentiate(Infinity)
  expect(await item(foundInfinity)).toBe(1)
  optimizer.step(new LossScaler({ mixed: false }))
  const all = (await valuesOf(parameters)).flatMap((values) => [...values])
  expect(all.every(Number.isFinite)).toBe(false)
})

test('a parameter without a gradient, such as a frozen one, costs no look through those that were checked', async () => {
  const { parameters, scaler, differentiate } = prepare(LAYERS['a linear layer'])
  const optimizer = sgd()([[...parameters, parameter('frozen', [3])]])
  optimizer.keepF16Copies()
  differentiate()
  optimizer.step(scaler)
  expect(wasChecked()).toBe(false)
})

test('gradients of f32 layers are looked through by the optimizer in mixed precision, and by nobody without', async () => {
  const { optimizer, scaler, foundInfinity, differentiate } = prepare(LAYERS['a linear layer'], 'f32')
  differentiate(Infinity)
  expect(await item(foundInfinity)).toBe(0)
  optimizer.step(scaler)
  expect(await item(scaler.skipped)).toBe(1)
  expect(wasChecked()).toBe(true)
  launched = []
  optimizer.zeroGradients()
  differentiate(Infinity)
  optimizer.step(new LossScaler({ mixed: false }))
  expect(wasChecked()).toBe(false)
})

test('a gradient that another was copied to has not been looked at', () => {
  const gradient = zeros([4])
  markChecked(gradient, true)
  copy(tensor([NaN, 0, 0, 0], [4]), gradient)
  expect(isChecked(gradient)).toBe(false)
})
