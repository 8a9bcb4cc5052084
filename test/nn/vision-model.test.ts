import { describe, expect, test } from 'vitest'
import type { Rng } from '../../src/base/rng.ts'
import { rng } from '../../src/base/rng.ts'
import { architectures, backbones } from '../../src/nn/architectures.ts'
import { backbone } from '../../src/nn/backbone.ts'
import { Dropout } from '../../src/nn/dropout.ts'
import { Init } from '../../src/nn/init.ts'
import { loadWeights } from '../../src/nn/load-weights.ts'
import { resnet18 } from '../../src/nn/resnet.ts'
import { Sequential } from '../../src/nn/sequential.ts'
import type { StateDict } from '../../src/nn/state-dict.ts'
import { torchShape } from '../../src/nn/state-dict.ts'
import { timmNames } from '../../src/nn/weight-names.ts'
import { visionGroups, visionModel } from '../../src/nn/vision-model.ts'
import { xresnet18, xresnet50 } from '../../src/nn/xresnet.ts'
import type { Module } from '../../src/nn/module.ts'
import { add } from '../../src/ops/add.ts'
import { backward } from '../../src/tensor/backward.ts'
import { recompute } from '../../src/tensor/recompute.ts'
import { scope } from '../../src/tensor/scope.ts'
import { elementCount } from '../../src/tensor/shape.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { read, tensor } from '../../src/tensor/read-write.ts'
import { channelsFirst, channelsLast, expectGolden, golden, type Summary } from '../helpers/golden.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { tinyModel } from '../helpers/tiny.ts'
import { expectNear, hashInit } from './reference.ts'

await openTestGpu()

/** A body that does nothing. */
const nothing = (features: number) =>
  backbone('nothing', {
    whole: () => new Sequential([]),
    body: () => ({ body: new Sequential([]), features, firstGroup: 0, init: new Init(0) }),
  })

interface GoldenHead {
  readonly features: number
  readonly outputs: number
  readonly hidden: number
  readonly dropout: number
  readonly shape: readonly number[]
  readonly seed: number
  readonly seed0: number
  readonly logits: readonly (readonly number[])[]
  readonly eval_logits: readonly (readonly number[])[]
  readonly dx: Summary
  readonly grads: Readonly<Record<string, Summary>>
  readonly running_stats: Readonly<Record<string, Summary>>
}

/** A stream whose draws are the golden file's. */
function hashStream(count: number, seed: number): Rng {
  const draws = hashUniform(count, seed)
  let at = 0
  return { ...rng(0, ''), bits: () => draws[at++] * 2 ** 32 }
}

describe("fastai's head", () => {
  test('as in PyTorch, f64: logits, gradients, running statistics, names', async () => {
    const { head: expected } = golden<{ readonly head: GoldenHead }>('head_ops')
    const { features, outputs, hidden, dropout, shape, seed } = expected
    const model = visionModel(nothing(features), { outputs, hidden, dropout })
    hashInit(model, expected.seed0)
    const [N, C, H, W] = shape
    const layers = model.modules().filter((module) => module instanceof Dropout)
    layers.forEach((layer, j) => layer.draw(hashStream(N * [2 * features, hidden][j], 9000 + j), N))
    const x = tensor(channelsLast(hashUniform(N * C * H * W, seed, -1, 1), shape), [N, H, W, C])
    x.leaf = { trainable: true, gradient: undefined, hasGradient: false }
    const logits = model.train().forward(x)
    expectNear(await read(logits), expected.logits.flat(), 1e-5, 'logits')
    backward(logits, tensor(hashUniform(N * outputs, seed + 1, -1, 1), logits.shape))
    expectGolden(channelsFirst(await read(x.leaf.gradient!), x.shape), expected.dx, 'f32', 'dx')
    expect(model.parameters().map(({ path }) => path)).toEqual(Object.keys(expected.grads).map((name) => `1.${name}`))
    for (const { path, leaf } of model.parameters()) {
      expectGolden(await read(leaf.gradient!), expected.grads[path.slice(2)], 'f32', path)
    }
    for (const { path, value } of model.buffers()) {
      expectGolden(await read(value), expected.running_stats[path.slice(2)], 'f32', path)
    }
    expectNear(await read(model.eval().forward(x)), expected.eval_logits.flat(), 1e-5, 'logits in evaluation')
  })

  test('begins as fastai begins it', async () => {
    const model = visionModel(nothing(300), { outputs: 7 })
    const dict = await model.stateDict()
    expect([...dict].map(([name, { shape }]) => `${name} [${shape.join()}]`)).toEqual([
      ...['weight', 'bias', 'running_mean', 'running_var'].map((name) => `1.2.${name} [600]`),
      '1.4.weight [512,600]',
      ...['weight', 'bias', 'running_mean', 'running_var'].map((name) => `1.6.${name} [512]`),
      '1.8.weight [7,512]',
    ])
    expect(dict.get('1.2.bias')!.data[0]).toBeCloseTo(1e-3, 8)
    const { data } = dict.get('1.4.weight')!
    const deviation = Math.sqrt(data.reduce((sum, value) => sum + value * value, 0) / data.length)
    expect(deviation).toBeCloseTo(Math.sqrt(2 / 600), 3)
    const rows = model.describe([4, 3, 3, 300])
    expect(rows.map(({ path, output }) => `${path} [${output.join()}]`)).toContain('1.0 [4,600]')
    expect(rows.at(-1)!.output).toEqual([4, 7])
    expect(rows.map(({ layer }) => layer).filter((layer) => layer.startsWith('dropout'))).toEqual([
      'dropout 0.25',
      'dropout 0.5',
    ])
  })
})

describe('dropout', () => {
  const ones = () => tensor(new Float32Array(40_000).fill(1), [4, 10_000])
  const sumOf = (values: ArrayLike<number>) => Array.from(values).reduce((sum, value) => sum + value, 0)

  test('keeps the mean in training, and everything in evaluation', async () => {
    const layer = new Dropout(0.25)
    const x = ones()
    const values = [...(await read(layer.forward(x)))]
    expect(new Set(values)).toEqual(new Set([0, Math.fround(4 / 3)]))
    // Six standard deviations of the count.
    expect(Math.abs(sumOf(values) / 40_000 - 1)).toBeLessThan(6 * Math.sqrt(0.25 / 0.75 / 40_000))
    expect(layer.eval().forward(x)).toBe(x)
    expect(new Dropout(0).forward(x)).toBe(x)
  })

  test('draws what it was told to, else anew at every pass', async () => {
    const layer = new Dropout(0.5)
    const pass = async () => [...(await read(layer.forward(ones())))]
    layer.draw(rng(1, 'a'), 4)
    const first = await pass()
    const second = await pass()
    layer.draw(rng(1, 'a'), 4)
    expect(await pass()).toEqual(first)
    expect(second).not.toEqual(first)
    expect(await pass()).not.toEqual(second)
    const other = new Dropout(0.5)
    other.draw(rng(1, 'a'), 4)
    expect([...(await read(other.forward(ones())))]).toEqual(first)
  })

  test('leaves out the same where a pass is computed again', async () => {
    const layer = new Dropout(0.5)
    const x = ones()
    x.leaf = { trainable: true, gradient: undefined, hasGradient: false }
    const y = recompute(x, (start) => layer.forward(start))
    const values = [...(await read(y))]
    backward(y, tensor(new Float32Array(40_000).fill(1), y.shape))
    expect([...(await read(x.leaf.gradient!))]).toEqual(values)
  })

  describe.each(['told', 'not told'])('a layer that runs twice before its gradients, %s', (told) => {
    const begin = (layer: Dropout, seed = 1) => void (told === 'told' && layer.draw(rng(seed, 'a'), 4))
    const trained = () => {
      const x = ones()
      x.leaf = { trainable: true, gradient: undefined, hasGradient: false }
      return x
    }
    /** Values of y and gradient of x, which are alike if each pass is differentiated with its own mask. */
    async function run(layer: Dropout, f: (x: Tensor) => Tensor, seed?: number) {
      begin(layer, seed)
      const x = trained()
      const y = scope(() => {
        const made = f(x)
        backward(made, ones())
        return made
      })
      return { y: [...(await read(y))], dx: [...(await read(x.leaf!.gradient!))] }
    }

    test.each([
      ['one after the other', (layer: Dropout, x: Tensor) => layer.forward(layer.forward(x))],
      ['side by side', (layer: Dropout, x: Tensor) => add(layer.forward(x), layer.forward(x))],
      ['computed again', (layer: Dropout, x: Tensor) => recompute(x, (from) => layer.forward(layer.forward(from)))],
      [
        'in parts that are computed again',
        (layer: Dropout, x: Tensor) => {
          const part = (from: Tensor) => recompute(from, (start) => layer.forward(start))
          return part(part(x))
        },
      ],
    ])('%s', async (_how, f) => {
      const layer = new Dropout(0.5)
      for (const seed of [1, 2]) {
        const { y, dx } = await run(layer, (x) => f(layer, x), seed)
        expect(dx).toEqual(y)
        expect(new Set(y).size).toBeGreaterThan(1)
      }
    })

    test('leaves out the same in both passes only by chance', async () => {
      const { y } = await run(new Dropout(0.5), (x) => layerTwice(x, new Dropout(0.5)))
      // Four times 1 in a quarter of the places: five standard deviations of the count.
      expect(Math.abs(y.filter((value) => value === 4).length / 40_000 - 0.25)).toBeLessThan(
        5 * Math.sqrt(0.1875 / 40_000),
      )
    })

    test('draws both passes of a step anew', async () => {
      const layer = new Dropout(0.5)
      const twice = (seed: number) => run(layer, (x) => layerTwice(x, layer), seed)
      const [first, second, again] = [await twice(1), await twice(2), await twice(1)]
      expect(second.y).not.toEqual(first.y)
      if (told === 'told') expect(again).toEqual(first)
      else expect(again.y).not.toEqual(first.y)
    })
  })

  test('refuses what is no probability', () => {
    expect(() => new Dropout(1)).toThrow('p is out of range')
    expect(() => new Dropout('0.5' as never)).toThrow('p is out of range')
  })
})

const layerTwice = (x: Tensor, layer: Dropout) => layer.forward(layer.forward(x))

/** Weights of a model's shapes, every number of tensor i being i. */
function numbered(model: Module): StateDict {
  return new Map(
    model
      .states()
      .map(({ path, shape }, i) => [
        path,
        { shape: torchShape(shape), data: new Float32Array(elementCount(shape)).fill(i) },
      ]),
  )
}

describe('the body', () => {
  test.each([
    ['resnet18', resnet18, numbered(resnet18()), ['0.0.weight', '0.6.0.conv1.weight', '1.2.weight']],
    ['xresnet18', xresnet18, numbered(xresnet18()), ['0.0.0.weight', '0.4.0.convpath.0.0.weight', '1.2.weight']],
    [
      "xresnet18 under timm's names",
      xresnet18,
      timmNames(numbered(xresnet18())),
      ['0.0.0.weight', '0.4.0.convpath.0.0.weight', '1.2.weight'],
    ],
  ] as const)('takes the weights of the whole network: %s', async (_name, make, weights, firsts) => {
    const model = visionModel(make, { outputs: 3 })
    const report = loadWeights(model, weights)
    const heads = [...weights.keys()].slice(-2)
    expect(report.unexpected).toEqual(heads)
    expect(report.matched).toHaveLength(weights.size - 2)
    expect(report.missing.every((name) => name.startsWith('1.'))).toBe(true)
    // In the order of the network, so that tensor number i has number i.
    const states = model.states().filter(({ path }) => path.startsWith('0.'))
    for (const i of [0, 5, 50, states.length - 1]) expect((await read(states[i].value))[0], states[i].path).toBe(i)
    const groups = visionGroups(model, make.body().firstGroup)
    expect(groups.flat()).toEqual(model.parameters())
    expect(groups.map((group) => group[0].path)).toEqual(firsts)
  })

  test('of another network is refused', () => {
    expect(() => loadWeights(visionModel(xresnet50, { outputs: 3 }), numbered(xresnet18()))).toThrow(
      'these are not the weights of this model',
    )
  })

  test('a whole vision model is loaded by its own names', () => {
    const model = visionModel(resnet18, { outputs: 3, hidden: 8 })
    expect(loadWeights(model, numbered(model), { strict: true }).missing).toEqual([])
  })
})

test('models can be made again from their architecture', () => {
  const model = visionModel(resnet18, { outputs: 3, hidden: 16, dropout: 0.2, body: { channels: 1, seed: 4 } })
  const { name, options } = model.architecture!
  const again = architectures[name](options)
  expect(again.states().map(({ path, shape }) => [path, shape])).toEqual(
    model.states().map(({ path, shape }) => [path, shape]),
  )
  expect(again.architecture).toEqual(model.architecture)
  expect(Object.keys(backbones)).toHaveLength(16)
  expect(() => architectures.visionModel({ backbone: 'toString', outputs: 3 })).toThrow('of an unknown architecture')
})

test('what is no backbone or no vision model is refused', () => {
  expect(() => visionModel(resnet18() as never, { outputs: 3 })).toThrow('hand over the function itself')
  expect(() => visionModel(resnet18, { outputs: 0 })).toThrow('outputs is out of range')
  expect(() => visionGroups(tinyModel(), 3)).toThrow('the model must have a body and a head')
})
