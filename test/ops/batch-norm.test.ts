import { describe, expect, test } from 'vitest'
import { batchNorm, type BatchNormOptions } from '../../src/ops/batch-norm.ts'
import { backward } from '../../src/tensor/backward.ts'
import { scope } from '../../src/tensor/scope.ts'
import { elementCount, type Shape } from '../../src/tensor/shape.ts'
import { read, tensor, zeros } from '../../src/tensor/read-write.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { expectClose, normOf } from '../../src/testing/close.ts'
import { channelsFirst, channelsLast, expectGolden, golden, type Summary } from '../helpers/golden.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { testFamilies } from '../helpers/families.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { gradcheck, uniform, type GradcheckInput } from '../../src/testing/gradcheck.ts'

const gpu = await openTestGpu()
const families = testFamilies(gpu, ['broadcast', 'tile'])

/** Channels around the vectors of four and the lanes; pixels around the runs. */
const SHAPES: readonly Shape[] = [
  [3, 5, 7, 10],
  [3, 5, 4, 1],
  [2, 1, 1, 3],
  [35, 5],
  [3, 9, 8, 13],
  [2, 20, 31, 36],
  [3, 30, 50, 4],
  [2, 3, 4, 300],
]
const KINDS = [
  { training: true, relu: false, withResidual: false },
  { training: true, relu: true, withResidual: false },
  { training: true, relu: false, withResidual: true },
  { training: true, relu: true, withResidual: true },
  { training: false, relu: true, withResidual: false },
  { training: false, relu: true, withResidual: true },
]

describe.each(families)('family %s', (family) => {
  describe.each(['f32', 'f16'] as const)('%s', (dtype) => {
    describe.each(KINDS)('training $training, relu $relu, residual $withResidual', ({ withResidual, ...kind }) => {
      test.each(SHAPES.map((shape) => [shape]))('[%s]', async (shape) => {
        gpu.family = family
        const given = operands(shape, withResidual)
        const want = reference(given, kind)
        const got = run(given, kind, dtype)
        expectClose(await read(got.y), want.y, dtype, { name: 'y', shape })
        expectClose(await read(got.dx), want.dx, dtype, { name: 'dx', shape, norm: normOf(want.terms) })
        expectClose(await read(got.dweight), want.dweight, 'f32', { name: 'dweight' })
        expectClose(await read(got.dbias), want.dbias, 'f32', { name: 'dbias' })
        if (got.dresidual) expectClose(await read(got.dresidual), want.dresidual, dtype, { name: 'dresidual', shape })
        expectClose(await read(got.runningMean), want.runningMean, 'f32', { name: 'runningMean' })
        expectClose(await read(got.runningVar), want.runningVar, 'f32', { name: 'runningVar' })
      })
    })
  })
})

test.each(golden<{ cases: readonly Case[] }>('batch_norm').cases.map((known) => [known.shape, known] as const))(
  'PyTorch, %s',
  async (_shape, known) => {
    const [N, C, H, W] = known.shape
    const make = (name: 'x' | 'dy' | 'weight' | 'bias', shape: Shape) => {
      const [low, high] = known.ranges[name]
      const data = hashUniform(elementCount(shape), known.seeds[name], low, high)
      return shape.length === 4 ? { shape: [N, H, W, C], data: channelsLast(data, shape) } : { shape, data }
    }
    const given = {
      x: make('x', known.shape),
      weight: make('weight', [C]),
      bias: make('bias', [C]),
      dy: make('dy', known.shape),
      runningMean: { shape: [C], data: new Float32Array(C) },
      runningVar: { shape: [C], data: new Float32Array(C).fill(1) },
      residual: undefined,
    }
    const got = run(given, { training: true, relu: false }, 'f32')
    const last = [N, H, W, C]
    expectGolden(channelsFirst(await read(got.y), last), known.y, 'f32', 'y')
    expectGolden(channelsFirst(await read(got.dx), last), known.dx, 'f32', 'dx')
    expectGolden(await read(got.dweight), known.dweight, 'f32', 'dweight')
    expectGolden(await read(got.dbias), known.dbias, 'f32', 'dbias')
    expectGolden(await read(got.runningMean), known.running_mean, 'f32', 'running mean')
    expectGolden(await read(got.runningVar), known.running_var, 'f32', 'running variance')
  },
)

describe('gradients, finite differences', () => {
  const shape = [3, 3, 2, 5]
  const always = 'f32' as const
  const parameters = {
    weight: { ...uniform([5], 2, 0.5, 1.5), always },
    bias: { ...uniform([5], 3, -0.125, 0.125), always },
  }
  /** Values around -2 and around 1, so that no output is near the kink. */
  const apart = uniform(shape, 4, -0.25, 0.25)
  const x = { shape, data: Array.from(apart.data, (value, i) => value + (i % 3 === 0 ? -2 : 1)) }
  const stats = () => ({
    runningMean: tensor([0.5, 0, -0.5, 1, 0], [5]),
    runningVar: tensor([0.5, 1, 2, 1, 0.25], [5]),
  })

  test('training', () =>
    gradcheck('batchNorm', ({ x, weight, bias }) => batchNorm(x, weight, bias, { ...stats(), training: true }), {
      x,
      ...parameters,
    }))

  test('training, relu', () =>
    gradcheck(
      'batchNorm',
      ({ x, weight, bias }) => batchNorm(x, weight, bias, { ...stats(), training: true, relu: true }),
      { x, ...parameters },
    ))

  test('training, residual and relu', () => {
    // So large that its sign is that of the sum.
    const residual = { shape, data: Array.from({ length: 90 }, (_, i) => (i % 7 < 3 ? 8 : -8)) }
    const f = ({ x, weight, bias, residual }: Record<'x' | 'weight' | 'bias' | 'residual', Tensor>) =>
      batchNorm(x, weight, bias, { ...stats(), training: true, relu: true, residual })
    return gradcheck('batchNorm', f, { x, ...parameters, residual })
  })

  test('evaluation, residual', () => {
    const f = ({ x, weight, bias, residual }: Record<'x' | 'weight' | 'bias' | 'residual', Tensor>) =>
      batchNorm(x, weight, bias, { ...stats(), training: false, residual })
    return gradcheck('batchNorm', f, { x, ...parameters, residual: uniform(shape, 5) })
  })
})

describe.each(families)('numerics, family %s', (family) => {
  test('a mean far larger than the deviation costs no digits', async () => {
    gpu.family = family
    const shape = [3, 20, 31, 6]
    const given = { ...operands(shape, false), x: { shape, data: hashUniform(elementCount(shape), 9, 99, 101) } }
    const kind = { training: true, relu: false }
    expectClose(await read(run(given, kind, 'f32').y), reference(given, kind).y, 'f32', { name: 'y', shape })
  })

  test.each([1e-2, 1e15, 1e17])('a deviation of some %d costs no digits', async (size) => {
    gpu.family = family
    const shape = [3, 20, 31, 6]
    const given = { ...operands(shape, false), x: { shape, data: hashUniform(elementCount(shape), 9, -size, size) } }
    const kind = { training: true, relu: false }
    const [got, want] = [run(given, kind, 'f32'), reference(given, kind)]
    expectClose(await read(got.dx), want.dx, 'f32', { name: 'dx', shape, norm: normOf(want.terms) })
    expectClose(await read(got.dweight), want.dweight, 'f32', { name: 'dweight' })
  })

  test('a constant channel is its bias, and nothing flows to it', async () => {
    gpu.family = family
    const shape = [4, 5, 5, 3]
    const given = {
      ...operands(shape, false),
      x: { shape, data: new Float32Array(300).fill(7.3) },
      dy: { shape, data: new Float32Array(300).fill(1) },
    }
    const got = run(given, { training: true, relu: false }, 'f32')
    expect(await read(got.y)).toEqual(Float32Array.from({ length: 300 }, (_, i) => given.bias.data[i % 3]))
    expect(await read(got.dweight)).toEqual(new Float32Array(3))
    expectClose(await read(got.dx), new Float32Array(300), 'f32', { norm: Math.sqrt(300) * 300 })
  })

  test('padding of the channels stays zero', async () => {
    gpu.family = family
    const shape = [2, 3, 3, 5]
    const got = run(operands(shape, true), { training: true, relu: true }, 'f16')
    for (const made of [got.y, got.dx]) {
      const stored = await read(Object.assign(Object.create(made), { shape: [2, 3, 3, 8] }) as Tensor)
      expect(stored.filter((_, i) => i % 8 > 4)).toEqual(new Float32Array(2 * 9 * 3))
    }
  })
})

test('running statistics of {1,2,3,4}', async () => {
  const stats = { runningMean: zeros([1]), runningVar: tensor([1], [1]) }
  batchNorm(tensor([1, 2, 3, 4], [4, 1]), tensor([1], [1]), zeros([1]), { ...stats, training: true })
  // PyTorch: 0.1·2.5, and 0.9·1 + 0.1·5/3.
  expectClose(await read(stats.runningMean), [0.25], 'f32')
  expectClose(await read(stats.runningVar), [1.0666667], 'f32')
})

test('refuses what does not fit, before any work', () => {
  const stats = { runningMean: zeros([4]), runningVar: zeros([4]), training: true }
  const x = zeros([2, 3, 3, 4])
  expect(() => batchNorm(zeros([4]), zeros([4]), zeros([4]), stats)).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: batchNorm: x must have a batch axis
      x  [4] f32
      expected at least two axes, the channels last]
  `)
  expect(() => batchNorm(x, zeros([5]), zeros([4]), stats)).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: batchNorm: weight does not fit the channels of x
      x       [2,3,3,4] f32
      weight  [5] f32
      expected [4] f32, one number per channel of x]
  `)
  expect(() => batchNorm(x, zeros([4]), zeros([4], 'f16'), stats)).toThrowErrorMatchingInlineSnapshot(`
    [DtypeError: batchNorm: bias is not f32
      x     [2,3,3,4] f32
      bias  [4] f16
      expected [4] f32, one number per channel of x]
  `)
  expect(() => batchNorm(x, zeros([4]), zeros([4]), { ...stats, runningVar: zeros([1, 4]) }))
    .toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: batchNorm: runningVar does not fit the channels of x
        x           [2,3,3,4] f32
        runningVar  [1,4] f32
        expected [4] f32, one number per channel of x]
    `)
  expect(() => batchNorm(x, zeros([4]), zeros([4]), { ...stats, residual: zeros([2, 3, 3, 5]) }))
    .toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: batchNorm: the shapes differ
      x         [2,3,3,4] f32
      residual  [2,3,3,5] f32
      expected the same shape]
  `)
  expect(() => batchNorm(x, zeros([4]), zeros([4]), { ...stats, momentum: 2 })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: batchNorm: momentum is out of range
      momentum  2
      expected 0 to 1]
  `)
  expect(() => batchNorm(x, zeros([4]), zeros([4]), { ...stats, eps: 0 })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: batchNorm: eps is out of range
      eps  0
      expected above 0]
  `)
  expect(() => batchNorm(zeros([1, 1, 1, 4]), zeros([4]), zeros([4]), stats)).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: batchNorm: one value per channel has no variance
      x  [1,1,1,4] f32
      Fix: train with larger batches, or drop the last one]
  `)
})

interface Case extends Record<'y' | 'dx' | 'dweight' | 'dbias' | 'running_mean' | 'running_var', Summary> {
  readonly shape: Shape
  readonly seeds: Record<'x' | 'weight' | 'bias' | 'dy', number>
  readonly ranges: Record<'x' | 'weight' | 'bias' | 'dy', readonly [number, number]>
}

type Kind = Pick<BatchNormOptions, 'training' | 'relu'>
type Operands = Record<'x' | 'dy' | 'weight' | 'bias' | 'runningMean' | 'runningVar', GradcheckInput> & {
  residual: GradcheckInput | undefined
}

function operands(shape: Shape, withResidual: boolean): Operands {
  const channels = shape.slice(-1)
  return {
    x: uniform(shape, 1, -1, 3),
    dy: uniform(shape, 2),
    weight: uniform(channels, 3, -1.5, 1.5),
    bias: uniform(channels, 4),
    runningMean: uniform(channels, 5),
    runningVar: uniform(channels, 6, 0.5, 2),
    residual: withResidual ? uniform(shape, 7) : undefined,
  }
}

function run(given: Operands, kind: Kind, dtype: 'f32' | 'f16') {
  const make = ({ data, shape }: GradcheckInput, type: 'f32' | 'f16') => {
    const made = tensor(data, shape, type)
    made.leaf = { trainable: true, gradient: undefined, hasGradient: false }
    return made
  }
  const x = make(given.x, dtype)
  const weight = make(given.weight, 'f32')
  const bias = make(given.bias, 'f32')
  const residual = given.residual && make(given.residual, dtype)
  const runningMean = tensor(given.runningMean.data, given.runningMean.shape)
  const runningVar = tensor(given.runningVar.data, given.runningVar.shape)
  const y = scope(() => {
    const made = batchNorm(x, weight, bias, { ...kind, runningMean, runningVar, residual })
    backward(made, tensor(given.dy.data, given.dy.shape, dtype))
    return made
  })
  const [dx, dweight, dbias] = [x, weight, bias].map(({ leaf }) => leaf!.gradient!)
  return { y, dx, dweight, dbias, dresidual: residual?.leaf?.gradient, runningMean, runningVar }
}

/** The definition and its derivative, f64. */
function reference(given: Operands, { training, relu }: Kind) {
  const { x, dy, residual } = given
  const count = x.data.length
  const channels = given.weight.data.length
  const pixels = count / channels
  const each = (f: (c: number) => number) => Array.from({ length: channels }, (_, c) => f(c))
  const sum = (f: (i: number, c: number) => number) =>
    each((c) => {
      let total = 0
      for (let i = c; i < count; i += channels) total += f(i, c)
      return total
    })
  const batchMean = sum((i) => x.data[i]).map((total) => total / pixels)
  const squares = sum((i, c) => (x.data[i] - batchMean[c]) ** 2)
  const mean = training ? batchMean : Array.from(given.runningMean.data)
  const variance = training ? squares.map((total) => total / pixels) : Array.from(given.runningVar.data)
  const inverse = variance.map((value) => 1 / Math.sqrt(value + 1e-5))
  const normal = Array.from(x.data, (value, i) => (value - mean[i % channels]) * inverse[i % channels])
  const before = normal.map(
    (value, i) => value * given.weight.data[i % channels] + given.bias.data[i % channels] + (residual?.data[i] ?? 0),
  )
  const g = before.map((value, i) => (relu && value <= 0 ? 0 : dy.data[i]))
  const dbias = sum((i) => g[i])
  const dweight = sum((i) => g[i] * normal[i])
  const scale = inverse.map((value, c) => value * given.weight.data[c])
  const dx = g.map((value, i) => {
    const c = i % channels
    return scale[c] * (training ? value - dbias[c] / pixels - (normal[i] * dweight[c]) / pixels : value)
  })
  const moved = (running: ArrayLike<number>, batch: readonly number[]) =>
    each((c) => (training ? 0.9 * running[c] + 0.1 * batch[c] : running[c]))
  return {
    y: before.map((value) => (relu ? Math.max(value, 0) : value)),
    dx,
    dweight,
    dbias,
    dresidual: g,
    /** What dx is the difference of: with few pixels hardly anything is left of it. */
    terms: g.map((value, i) => scale[i % channels] * value),
    runningMean: moved(given.runningMean.data, batchMean),
    runningVar: moved(
      given.runningVar.data,
      squares.map((total) => total / (pixels - 1)),
    ),
  }
}

interface MatrixCase {
  readonly name: string
  readonly seed: number
  readonly x: { readonly shape: readonly [number, number] }
  readonly y: Summary
  readonly dx: Summary
  readonly dweight: Summary
  readonly dbias: Summary
  readonly running_mean: Summary
  readonly running_var: Summary
}

test.each(golden<{ cases: MatrixCase[] }>('head_ops').cases.filter(({ name }) => name === 'batchNorm'))(
  'of a matrix as nn.BatchNorm1d, $x.shape',
  async (expected) => {
    const { seed } = expected
    const [N, C] = expected.x.shape
    const trainable = (data: ArrayLike<number>, shape: readonly number[]) =>
      Object.assign(tensor(data, shape), { leaf: { trainable: true, gradient: undefined, hasGradient: false } })
    const x = trainable(hashUniform(N * C, seed, -1, 1), [N, C])
    const weight = trainable(hashUniform(C, seed + 10, 0.5, 1.5), [C])
    const bias = trainable(hashUniform(C, seed + 11, -0.1, 0.1), [C])
    const [runningMean, runningVar] = [zeros([C]), tensor(new Float32Array(C).fill(1), [C])]
    const y = batchNorm(x, weight, bias, { runningMean, runningVar, training: true })
    expectGolden(await read(y), expected.y, 'f32', 'y')
    backward(y, tensor(hashUniform(N * C, seed + 1, -1, 1), [N, C]))
    const made = { dx: x, dweight: weight, dbias: bias } as const
    for (const [name, input] of Object.entries(made)) {
      expectGolden(await read(input.leaf.gradient!), expected[name as 'dx'], 'f32', name)
    }
    expectGolden(await read(runningMean), expected.running_mean, 'f32', 'running mean')
    expectGolden(await read(runningVar), expected.running_var, 'f32', 'running variance')
  },
)
