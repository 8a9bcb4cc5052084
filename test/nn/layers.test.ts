import { describe, expect, test } from 'vitest'
import { rng } from '../../src/base/rng.ts'
import { Gelu, HardSigmoid, HardSwish, Relu6, Sigmoid, Silu } from '../../src/nn/activations.ts'
import { Conv } from '../../src/nn/conv.ts'
import { ConvLayer } from '../../src/nn/conv-layer.ts'
import { Flatten } from '../../src/nn/flatten.ts'
import { Init } from '../../src/nn/init.ts'
import { LayerNorm } from '../../src/nn/layer-norm.ts'
import { LayerScale } from '../../src/nn/layer-scale.ts'
import { Linear } from '../../src/nn/linear.ts'
import { Module } from '../../src/nn/module.ts'
import { Parameter } from '../../src/nn/parameter.ts'
import { GlobalAvgPool } from '../../src/nn/pool.ts'
import { Relu } from '../../src/nn/relu.ts'
import { Sequential } from '../../src/nn/sequential.ts'
import { SigmoidRange } from '../../src/nn/sigmoid-range.ts'
import { SqueezeExcite } from '../../src/nn/squeeze-excite.ts'
import { StochasticDepth } from '../../src/nn/stochastic-depth.ts'
import { gelu, hardSwish, relu6, silu } from '../../src/ops/activations.ts'
import { conv2d } from '../../src/ops/conv2d.ts'
import { adam } from '../../src/optim/adam.ts'
import { relu } from '../../src/ops/relu.ts'
import { backward } from '../../src/tensor/backward.ts'
import { noGrad } from '../../src/tensor/op.ts'
import { recompute } from '../../src/tensor/recompute.ts'
import { read, tensor } from '../../src/tensor/read-write.ts'
import { scope } from '../../src/tensor/scope.ts'
import { elementCount, type Shape } from '../../src/tensor/shape.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { expectClose, normOf } from '../../src/testing/close.ts'
import { channelsFirst, channelsLast, expectGolden, golden, type Summary } from '../helpers/golden.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { gradcheck, uniform } from '../../src/testing/gradcheck.ts'
import { openTestGpu } from '../helpers/gpu.ts'

await openTestGpu()

const init = () => new Init(0)
const images = (shape: Shape, dtype: 'f32' | 'f16' = 'f32') => tensor(uniform(shape, 1).data, shape, dtype)

describe('rows say what forward does', () => {
  const conv = (more: object) => new Conv({ inChannels: 6, outChannels: 12, init: init(), ...more })
  test.each<[string, string, Module]>([
    ['depthwise', 'depthwise conv 3×3 / 2', conv({ outChannels: 6, groups: 6, stride: 2 })],
    ['groups', 'conv in 3 groups, 3×3', conv({ groups: 3, bias: true })],
    ['dilation', 'conv 5×5, dilation 2', conv({ kernelSize: 5, dilation: 2 })],
    ['patches', 'conv 2×2 / 2', conv({ kernelSize: 2, stride: 2, bias: true })],
    ['padding', 'conv 3×3', conv({ padding: 0 })],
    ['pixels', 'linear', new Linear(6, 5, init())],
    ['layer norm', 'layer norm', new LayerNorm(6)],
    ['layer scale', 'layer scale', new LayerScale(6)],
    ['sigmoid range', 'sigmoid range', new Sequential([new GlobalAvgPool(), new SigmoidRange(6, [0, 1])])],
    ['stochastic depth', 'stochastic depth 0.25', new StochasticDepth(0.25)],
    ['sigmoid', 'sigmoid', new Sigmoid()],
    ['gelu', 'gelu by tanh', new Gelu({ approximate: 'tanh' })],
    ['hard sigmoid', 'hard sigmoid', new HardSigmoid()],
    ['squeeze', 'squeeze and excite', new SqueezeExcite({ channels: 6, squeezed: 2, init: init() })],
  ])('%s', (_name, layer, module) => {
    const row = module.describe([2, 9, 8, 6]).at(-1)
    expect(row?.layer).toBe(layer)
    expect(row?.output).toEqual(scope(() => noGrad(() => module.forward(images([2, 9, 8, 6])))).shape)
  })

  test('operations are those of a group, and parameters count the bias', () => {
    const [row] = conv({ groups: 3, bias: true }).describe([1, 4, 5, 6])
    expect(row).toMatchObject({ parameters: 12 * 9 * 2 + 12, flops: 2 * 4 * 5 * 12 * 9 * 2 })
  })

  test('a squeeze has a ReLU and a logistic function unless it is given others', () => {
    const rows = new SqueezeExcite({ channels: 6, squeezed: 2, init: init() }).describe([1, 4, 5, 6])
    expect(rows.map(({ layer }) => layer)).toEqual(['conv 1×1', 'relu', 'conv 1×1', 'sigmoid', 'squeeze and excite'])
  })

  test('a layer scale begins small, does not decay, and is frozen with its group, unlike a norm', async () => {
    const scale = new LayerScale(4)
    expect([...(await read(scale.gamma.value))]).toEqual(Array(4).fill(Math.fround(1e-6)))
    expect(scale.gamma.kind).toBe('bias')
    const body = new Sequential([new LayerNorm(4), scale])
    adam()([body.parameters(), new LayerNorm(4).parameters()]).freezeTo(-1)
    expect(body.parameters().map(({ leaf }) => leaf.trainable)).toEqual([true, true, false])
  })

  test('flatten', () => {
    const layer = new Flatten()
    const row = layer.describe([2, 3, 5, 8])
    expect(row[0].output).toEqual([2, 120])
    expect(layer.forward(images([2, 3, 5, 8])).shape).toEqual([2, 120])
  })
})

describe('Conv', () => {
  test.each(['f32', 'f16'] as const)('adds the bias, which is 0 at first, %s', async (dtype) => {
    const layer = new Conv({ inChannels: 4, outChannels: 8, groups: 2, bias: true, init: init() })
    expect([...(await layer.stateDict()).keys()]).toEqual(['weight', 'bias'])
    expect([...(await read(layer.bias!.value))]).toEqual(Array(8).fill(0))
    layer.bias!.write([1, 2, 3, 4, 5, 6, 7, 8])
    const x = images([1, 3, 3, 4], dtype)
    const y = await read(scope(() => layer.forward(x)))
    const plain = await read(conv2d(x, layer.weight.as(dtype), { padding: 1, groups: 2 }))
    expectClose(
      y,
      Array.from(plain, (value, i) => value + (i % 8) + 1),
      dtype,
      { roundings: 2 },
    )
  })

  test('state has the layout of PyTorch', async () => {
    const dict = await new Conv({ inChannels: 6, outChannels: 6, groups: 6, kernelSize: 5, init: init() }).stateDict()
    expect(dict.get('weight')?.shape).toEqual([6, 1, 5, 5])
  })

  test('starts normal where asked', async () => {
    const layer = new Conv({ inChannels: 64, outChannels: 64, start: 'normal', init: init() })
    const values = await read(layer.weight.value)
    expect(normOf(values) / Math.sqrt(values.length)).toBeCloseTo(0.02, 3)
  })

  test.each([
    [{ groups: 4 }, 'Conv: groups is out of range'],
    [{ groups: 0 }, 'Conv: groups is out of range'],
    [{ dilation: 0 }, 'Conv: dilation is out of range'],
    [{ padding: -1 }, 'Conv: padding is out of range'],
    [{ bais: true }, "there is no option 'bais'"],
    [{ start: 'zeros' }, "expected 'kaiming' or 'normal'"],
  ])('refuses %j', (options, message) => {
    expect(() => new Conv({ inChannels: 6, outChannels: 12, init: init(), ...options } as never)).toThrow(message)
  })
})

test('ConvLayer ends with a layer', async () => {
  const sizes = { inChannels: 5, outChannels: 5, groups: 5, init: init() }
  const x = images([2, 4, 4, 5])
  const plain = new ConvLayer({ ...sizes, activation: 'none' }).eval()
  const layer = new ConvLayer({ ...sizes, activation: new HardSwish() }).eval()
  layer.loadStateDict(await plain.stateDict())
  expectClose(await read(layer.forward(x)), [...(await read(hardSwish(plain.forward(x))))], 'f32')
  expect(layer.describe([2, 4, 4, 5]).map(({ path, layer: name }) => [path, name])).toEqual([
    ['0', 'depthwise conv 3×3'],
    ['1', 'batch norm'],
    ['2', 'hard swish'],
  ])
  expect(() => new ConvLayer({ ...sizes, activation: 'gelu' } as never)).toThrow('relu, mish, none, or a layer')
})

test('activations as layers are the operations', async () => {
  const x = images([2, 3, 3, 6])
  for (const [layer, operation] of [
    [new Silu(), silu],
    [new Gelu(), gelu],
    [new HardSwish(), hardSwish],
    [new Relu6(), relu6],
    [new Relu(), relu],
  ] as const) {
    expect(layer.replayable).toBe(true)
    expect(await read(layer.forward(x))).toEqual(await read(operation(x)))
  }
})

describe('Linear of pixels', () => {
  test.each(['f32', 'f16'] as const)('is that of a matrix of them, %s', async (dtype) => {
    const layer = new Linear(6, 5, init())
    layer.bias!.write([1, 2, 3, 4, 5])
    const gradients = async (shape: Shape) => {
      const x = images(shape, dtype)
      x.leaf = { trainable: true, gradient: undefined, hasGradient: false }
      layer.weight.leaf.gradient = layer.bias!.leaf.gradient = undefined
      layer.weight.leaf.hasGradient = layer.bias!.leaf.hasGradient = false
      const y = layer.forward(x)
      expect(y.shape).toEqual([...shape.slice(0, -1), 5])
      const values = [...(await read(y))]
      backward(y, tensor(uniform(y.shape, 2).data, y.shape, dtype))
      const made = [x.leaf.gradient!, layer.weight.leaf.gradient!, layer.bias!.leaf.gradient!]
      return [values, ...(await Promise.all(made.map(async (one) => [...(await read(one))])))]
    }
    const flat = await gradients([2 * 7 * 9, 6])
    for (const shape of [
      [2, 7, 9, 6],
      [2, 63, 6],
    ]) {
      for (const [i, values] of (await gradients(shape)).entries()) expectClose(values, flat[i], dtype)
    }
  })
})

test.each(golden<{ squeeze: readonly Squeeze[] }>('layers').squeeze)(
  'SqueezeExcite is torchvision.ops.SqueezeExcitation, $activation and $gate',
  async ({ channels, squeezed, seed, activation, gate, names, y, dx, grads }) => {
    const layer = new SqueezeExcite({
      channels,
      squeezed,
      activation: activation === 'SiLU' ? new Silu() : new Relu(),
      gate: gate === 'Hardsigmoid' ? new HardSigmoid() : new Sigmoid(),
      init: init(),
    })
    const parameters = layer.parameters()
    expect(parameters.map(({ path }) => path)).toEqual(names)
    for (const [i, parameter] of parameters.entries()) {
      parameter.write(hashUniform(parameter.count, seed + 1 + i, -1, 1))
    }
    const [N, C, H, W] = y.shape
    const last = (from: number) =>
      tensor(channelsLast(hashUniform(elementCount(y.shape), from, -1, 1), y.shape), [N, H, W, C])
    const x = last(seed)
    x.leaf = { trainable: true, gradient: undefined, hasGradient: false }
    const output = layer.forward(x)
    const values = await read(output)
    backward(output, last(seed + 9))
    expectGolden(channelsFirst(values, [N, H, W, C]), y, 'f32', 'y')
    expectGolden(channelsFirst(await read(x.leaf.gradient!), [N, H, W, C]), dx, 'f32', 'dx')
    for (const [i, { leaf, path }] of parameters.entries()) {
      expectGolden(await read(leaf.gradient!), grads[i], 'f32', `d(${path})`)
    }
  },
)

describe('StochasticDepth', () => {
  const ones = (N: number) => tensor(Array(N * 8).fill(1), [N, 2, 1, 4])

  test('leaves out as many images as it says, and keeps the expectation', async () => {
    const layer = new StochasticDepth(0.25)
    const values = await read(layer.forward(ones(4000)))
    const images = Array.from({ length: 4000 }, (_, n) => [...values.slice(n * 8, n * 8 + 8)])
    for (const image of images) expect(new Set(image).size).toBe(1)
    const kept = images.filter(([value]) => value > 0)
    expect(kept.every(([value]) => Math.abs(value - 4 / 3) < 1e-6)).toBe(true)
    // Four deviations of a binomial distribution.
    expect(Math.abs(kept.length - 3000)).toBeLessThan(4 * Math.sqrt(4000 * 0.25 * 0.75))
  })

  test('does nothing in evaluation, nor with p = 0', () => {
    const x = ones(3)
    expect(new StochasticDepth(0.5).eval().forward(x)).toBe(x)
    expect(new StochasticDepth(0).forward(x)).toBe(x)
  })

  test('the same draw gives the same images, each pass another', async () => {
    const layer = new StochasticDepth(0.5)
    const pass = async (seed?: number) => {
      if (seed !== undefined) layer.draw(rng(seed, 'test'), 64)
      return [...(await read(layer.forward(ones(64))))]
    }
    const first = await pass(1)
    expect(await pass()).not.toEqual(first)
    expect(await pass(2)).not.toEqual(first)
    expect(await pass(1)).toEqual(first)
  })

  test('a pass that is computed again leaves out the same', async () => {
    const layer = new StochasticDepth(0.5)
    const x = ones(64)
    x.leaf = { trainable: true, gradient: undefined, hasGradient: false }
    const y = recompute(x, (start) => layer.forward(start))
    const values = await read(y)
    backward(y, tensor(Array(y.shape[0] * 8).fill(1), y.shape))
    expect(await read(x.leaf.gradient!)).toEqual(values)
  })

  test('refuses a probability that is none', () => {
    expect(() => new StochasticDepth(1)).toThrow('StochasticDepth: p is out of range')
  })
})

describe('a module without describe', () => {
  class Inner extends Module {
    readonly conv = this.addChild('conv', new Conv({ inChannels: 3, outChannels: 4, bias: true, init: init() }))
    readonly own = this.addParameter(new Parameter('own', [4, 1, 1, 4], 'weight', () => new Float32Array(16).fill(1)))

    forward(x: Tensor): Tensor {
      return conv2d(this.conv.forward(x), this.own.value)
    }
  }

  class Outer extends Module {
    readonly inner = this.addChild('inner', new Inner())
    readonly head = this.addChild('head', new Sequential([new GlobalAvgPool(), new Linear(4, 2, init())]))

    forward(x: Tensor): Tensor {
      if (this.training) throw new Error('described in evaluation')
      return this.head.forward(relu(this.inner.forward(x)))
    }
  }

  test('is described by running it', () => {
    const model = new Outer()
    const rows = model.describe([2, 5, 6, 3])
    expect(rows.map(({ path, layer, output, parameters, flops }) => [path, layer, output, parameters, flops])).toEqual([
      ['inner.conv', 'conv 3×3', [2, 5, 6, 4], 112, 2 * 240 * 27],
      ['inner', 'Inner', [2, 5, 6, 4], 16, 2 * 240 * 4],
      ['head.0', 'global avg pool', [2, 4], 0, 0],
      ['head.1', 'linear', [2, 2], 10, 2 * 4 * 4],
      ['', 'Outer', [2, 2], 0, 0],
    ])
    expect(model.training).toBe(true)
    expect(Object.hasOwn(model.inner, 'forward') || Object.hasOwn(model.head, 'forward')).toBe(false)
    expect(new Sequential([model]).summary([2, 5, 6, 3])).toContain('Outer')
  })

  test('has a row for each call of a child that has several names, and its own forward again', () => {
    class Twice extends Module {
      readonly first = this.addChild('first', new Relu())
      readonly again = this.addChild('again', this.first)

      forward(x: Tensor): Tensor {
        return this.again.forward(this.first.forward(x))
      }
    }
    const model = new Twice()
    expect(model.describe([2, 4]).map(({ path }) => path)).toEqual(['again', 'again', ''])
    expect(Object.hasOwn(model.first, 'forward')).toBe(false)
  })
})

interface Squeeze {
  readonly channels: number
  readonly squeezed: number
  readonly seed: number
  readonly activation: string
  readonly gate: string
  readonly names: readonly string[]
  readonly y: Summary
  readonly dx: Summary
  readonly grads: readonly Summary[]
}

describe('SigmoidRange', () => {
  const numbers = [-30, -1, 0, 2, 0.5, 30]
  const range = [
    [-1, 100],
    [1, 300],
  ] as const

  test.each(['f32', 'f16'] as const)(
    'stretches the logistic function over the range of each output, %s',
    async (dtype) => {
      const y = scope(() => noGrad(() => new SigmoidRange(2, range).forward(tensor(numbers, [3, 2], dtype))))
      expect(y.dtype).toBe('f32')
      const of = (x: number, i: number) => range[0][i % 2] + (range[1][i % 2] - range[0][i % 2]) / (1 + Math.exp(-x))
      expectClose(await read(y), numbers.map(of), dtype)
    },
  )

  test('has the gradient of its formula, and a range that is saved', async () => {
    const layer = new SigmoidRange(2, range)
    expect([...(await layer.stateDict()).keys()]).toEqual(['span', 'low'])
    const x = uniform([3, 2], 3)
    await gradcheck('SigmoidRange', ({ x }) => layer.forward(x), { x }, { roundings: 2 })
  })

  test.each([
    [[1, 1]],
    [[0, Infinity]],
    [[[0], [1]]],
    [
      [
        [0, 5],
        [1, 5],
      ],
    ],
  ])('refuses %j', (wrong) => {
    expect(() => new SigmoidRange(2, wrong as never)).toThrow('this is not the range of the outputs')
  })
})
