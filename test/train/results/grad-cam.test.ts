import { describe, expect, test } from 'vitest'
import { OptionError } from '../../../src/base/errors.ts'
import { rng } from '../../../src/base/rng.ts'
import { normalize } from '../../../src/data/augment/normalize.ts'
import { augTransforms } from '../../../src/data/augment/transforms.ts'
import { resize } from '../../../src/data/item-transforms.ts'
import { heatOverlay } from '../../../src/image/heat-map.ts'
import type { Pixels } from '../../../src/image/pixels.ts'
import { ConvLayer } from '../../../src/nn/conv-layer.ts'
import { Init } from '../../../src/nn/init.ts'
import { Linear } from '../../../src/nn/linear.ts'
import { Module } from '../../../src/nn/module.ts'
import { modulePaths } from '../../../src/nn/module-paths.ts'
import { GlobalAvgPool } from '../../../src/nn/pool.ts'
import { Sequential } from '../../../src/nn/sequential.ts'
import { resnet18 } from '../../../src/nn/resnet.ts'
import { rowsUnder, type LayerRow } from '../../../src/nn/summary.ts'
import { visionModel } from '../../../src/nn/vision-model.ts'
import { xresnet18 } from '../../../src/nn/xresnet.ts'
import { add } from '../../../src/ops/add.ts'
import { decodePng } from '../../../src/platform/node/png.ts'
import { nodePlatform } from '../../../src/platform/node/index.ts'
import type { Shape } from '../../../src/tensor/shape.ts'
import type { Tensor } from '../../../src/tensor/tensor.ts'
import { read } from '../../../src/tensor/read-write.ts'
import type { Callback } from '../../../src/train/fit/callback.ts'
import { gradCam } from '../../../src/train/results/grad-cam.ts'
import { Predictor } from '../../../src/train/results/predictor.ts'
import { golden, hashParameter } from '../../helpers/golden.ts'
import { hashUniform } from '../../../src/testing/hash-uniform.ts'
import { expectNothingLeft, openTestGpu } from '../../helpers/gpu.ts'
import { tinyLearner, tinyModel } from '../../helpers/tiny.ts'

const gpu = await openTestGpu()

interface Golden {
  readonly mean: [number, number, number]
  readonly std: [number, number, number]
  readonly outputs: number[]
  readonly maps: { layer: number; label: number; map: number[][] }[]
}

function image(width: number, height: number, seed = 1): Pixels {
  const draw = rng(seed, 'image')
  return { width, height, data: Uint8Array.from({ length: 4 * width * height }, () => draw.integer(0, 255)) }
}

function predictorOf(
  model: Module,
  size: number,
  stats = normalize({ mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] }),
  vocab: readonly string[] = ['a', 'b', 'c'],
) {
  return new Predictor({
    model,
    vocab,
    platform: nodePlatform,
    itemTransforms: [resize(size)],
    batchTransforms: [stats],
  })
}

function expectNear(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(actual.length).toBe(expected.length)
  const largest = Array.from(expected).reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  for (let i = 0; i < actual.length; i++) expect(Math.abs(actual[i] - expected[i])).toBeLessThan(1e-4 * largest)
}

test("PyTorch's maps of a small network, for every label and both layers", async () => {
  const { mean, std, outputs, maps } = golden<Golden>('grad_cam')
  const model = tinyModel()
  let parameters = 0
  const norms = [0, 0]
  const states = await model.stateDict()
  model.loadStateDict(
    new Map(
      [...states].map(([name, { shape }]) => {
        if (name.endsWith('running_mean')) {
          return [name, { shape, data: hashUniform(shape[0], 600 + norms[0]++, -0.2, 0.2) }]
        }
        if (name.endsWith('running_var')) {
          return [name, { shape, data: hashUniform(shape[0], 700 + norms[1]++, 0.5, 1.5) }]
        }
        return [name, { shape, data: hashParameter(name, shape, 500 + parameters++) }]
      }),
    ),
  )
  const planes = hashUniform(3 * 256, 70)
  const data = Uint8Array.from({ length: 4 * 256 }, (_, i) => Math.floor(256 * (planes[(i % 4) * 256 + (i >> 2)] ?? 0)))
  const predictor = predictorOf(model, 16, normalize({ mean, std }))
  const exponentials = outputs.map((value) => Math.exp(value - Math.max(...outputs)))
  const sum = exponentials.reduce((total, value) => total + value, 0)
  expect(maps.length).toBe(6)
  for (const { layer, label, map } of maps) {
    const cam = await gradCam(predictor, { width: 16, height: 16, data }, { layer: String(layer), label })
    expect([cam.height, cam.width]).toEqual([map.length, map[0].length])
    expectNear(cam.values, map.flat())
    expect(cam.probability).toBeCloseTo(exponentials[label] / sum, 5)
  }
  expect(maps.filter(({ map }) => map.flat().some((value) => value > 0)).length).toBeGreaterThan(3)
})

/** Two branches that use the same layer, so that its activations have two consumers. */
class Forked extends Module {
  private readonly first: Module
  private readonly second: Module
  private readonly third: Module
  private readonly head: Module

  constructor() {
    super()
    const init = new Init(5)
    const conv = (inChannels: number) => new ConvLayer({ inChannels, outChannels: 6, init })
    this.first = this.addChild('first', new ConvLayer({ inChannels: 3, outChannels: 6, activation: 'none', init }))
    this.second = this.addChild('second', conv(6))
    this.third = this.addChild('third', conv(6))
    this.head = this.addChild('head', new Linear(6, 3, init))
  }

  forward(x: Tensor): Tensor {
    const shared = this.first.forward(x)
    const joined = add(this.second.forward(shared), this.third.forward(shared))
    return this.head.forward(new GlobalAvgPool().forward(joined))
  }

  override describe(input: Shape): readonly LayerRow[] {
    return rowsUnder('first', this.first.describe(input))
  }
}

/**
 * A network of which one layer runs twice, with a way around the second time; the last has an output of 1 × 1 for images of
 * 2 × 2, and one is not used.
 */
class Winding extends Module {
  private readonly first: Module
  private readonly again: Module
  private readonly between: Module
  private readonly small: Module
  private readonly unused: Module
  private readonly head: Module

  /** @param isShared  false for two layers with the same weights in place of the one that runs twice */
  constructor(isShared = true) {
    super()
    const conv = (seed: number, stride = 1) =>
      new ConvLayer({ inChannels: 3, outChannels: 3, stride, init: new Init(seed) })
    this.again = this.addChild('again', conv(1))
    this.first = isShared ? this.again : this.addChild('first', conv(1))
    this.between = this.addChild('between', conv(2))
    this.small = this.addChild('small', conv(3, 2))
    this.unused = this.addChild('unused', conv(4))
    this.head = this.addChild('head', new Linear(3, 3, new Init(5)))
  }

  forward(x: Tensor): Tensor {
    this.unused.forward(x)
    const y = this.between.forward(this.first.forward(x))
    const sum = add(y, this.again.forward(y))
    return this.head.forward(new GlobalAvgPool().forward(this.small.forward(sum)))
  }

  override describe(input: Shape): readonly LayerRow[] {
    return rowsUnder('again', this.again.describe(input))
  }
}

describe('networks', () => {
  test('of a layer that runs several times the last counts, and nothing of the others is left behind', async () => {
    const predictor = predictorOf(new Winding(), 2)
    const mapOf = () => gradCam(predictor, image(2, 2), { label: 1 })
    const { layer, values, width, height } = await mapOf()
    expect({ layer, width, height }).toEqual({ layer: 'again', width: 2, height: 2 })
    expect(values.some((value) => value > 0)).toBe(true)
    expectNear(values, (await gradCam(predictorOf(new Winding(false), 2), image(2, 2), { label: 1 })).values)
    await gpu.queue.finished()
    const { usedBytes } = gpu.buffers
    await mapOf()
    await expect(gradCam(predictor, image(2, 2), { layer: 'unused' })).rejects.toThrow(
      "gradCam: the outputs do not depend on layer 'unused'",
    )
    await expectNothingLeft(gpu, usedBytes)
  })

  test('the label is found among more classes than a call takes arguments', async () => {
    const vocab = Array.from({ length: 150_000 }, (_, i) => `${i}`)
    const init = new Init(1)
    const conv = new ConvLayer({ inChannels: 3, outChannels: 4, init })
    const model = new Sequential([conv, new GlobalAvgPool(), new Linear(4, vocab.length, init)])
    const predictor = predictorOf(model, 4, undefined, vocab)
    const { index } = await predictor.predict(image(4, 4))
    expect(await gradCam(predictor, image(4, 4))).toMatchObject({ index, label: `${index}` })
  })

  test.each([
    ['resnet18', resnet18({ outputs: 3 }), 'layer4', 2],
    ['xresnet18', xresnet18({ outputs: 3 }), '7', 2],
    ['xresnet18 that computes activations again', xresnet18({ outputs: 3, recompute: true }), '7', 2],
    ['a vision model', visionModel(resnet18, { outputs: 3, body: { seed: 3 } }), '0', 2],
  ])('%s: the last layer with places, by its path or as a module', async (_name, model, layer, side) => {
    const predictor = predictorOf(model, 64)
    const found = await gradCam(predictor, image(80, 64))
    const { index, label, probability } = await predictor.predict(image(80, 64))
    expect(found).toMatchObject({ layer, index, label, width: side, height: side })
    expect(found.probability).toBeCloseTo(probability, 5)
    expect([found.image.width, found.overlay.height]).toEqual([64, 64])
    const inner = layer === '0' ? '0.6.0' : layer === 'layer4' ? 'layer3.0' : '6.0'
    const maps = []
    for (const label of [0, 1, 2]) maps.push(await gradCam(predictor, image(80, 64), { layer: inner, label }))
    expect(maps.map(({ width, height, label }) => `${label} ${width} ${height}`)).toEqual(['a 4 4', 'b 4 4', 'c 4 4'])
    // A label may have no evidence, but not each.
    expect(maps.some(({ values }) => values.some((value) => value > 0))).toBe(true)
    const module = modulePaths(model)
    const last = [...module].find(([, path]) => path === layer)?.[0]
    expect((await gradCam(predictor, image(80, 64), { layer: last! })).values).toEqual(found.values)
  })

  test('computing activations again changes nothing of the map', async () => {
    const layer = '5.0.idpath.1'
    const mapsOf = async (recompute: boolean) => {
      const predictor = predictorOf(xresnet18({ outputs: 3, recompute }), 32)
      const maps: number[] = []
      for (const label of [0, 1, 2]) maps.push(...(await gradCam(predictor, image(32, 32), { layer, label })).values)
      return maps
    }
    const plain = await mapsOf(false)
    expect(plain.some((value) => value > 0)).toBe(true)
    expectNear(await mapsOf(true), plain)
  })

  test('a pooled linear head: the map is that of the weights (CAM)', async () => {
    const model = resnet18({ outputs: 3 })
    const predictor = predictorOf(model, 96)
    const weights = await model.stateDict().then((states) => states.get('fc.weight'))
    const cam = await gradCam(predictor, image(96, 96), { label: 2 })
    const activations = await outputOf(model, predictor, cam.layer, image(96, 96))
    const places = cam.width * cam.height
    const expected = Array.from({ length: places }, (_, place) => {
      let sum = 0
      for (let c = 0; c < 512; c++) sum += ((weights?.data[2 * 512 + c] ?? NaN) / places) * activations[place * 512 + c]
      return Math.max(0, sum)
    })
    expect(places).toBe(9)
    expectNear(cam.values, expected)
  })

  test('activations that two layers use have the sum of both gradients', async () => {
    const model = new Forked()
    const predictor = predictorOf(model, 12)
    const pixels = image(12, 12)
    const A = await outputOf(model, predictor, 'first', pixels)
    const bias = model.parameters().find(({ path }) => path === 'first.1.bias')!
    // By differences: without an activation, the bias of a channel is added to it at every place.
    const weights: number[] = []
    const step = 1e-2
    for (let k = 0; k < 6; k++) {
      const logits: number[] = []
      for (const sign of [1, -1]) {
        bias.write(Array.from({ length: 6 }, (_, i) => (i === k ? sign * step : 0)))
        logits.push((await outputOf(model, predictor, 'head', pixels))[1])
      }
      weights.push((logits[0] - logits[1]) / (2 * step) / 144)
    }
    bias.write(new Float32Array(6))
    const expected = Array.from({ length: 144 }, (_, place) =>
      Math.max(
        0,
        weights.reduce((sum, weight, k) => sum + weight * A[place * 6 + k], 0),
      ),
    )
    const { values } = await gradCam(predictor, pixels, { layer: 'first', label: 1 })
    const largest = Math.max(...expected)
    expect(largest).toBeGreaterThan(0)
    values.forEach((value, i) => expect(Math.abs(value - expected[i])).toBeLessThan(0.02 * largest))
  })
})

/** Output of a layer for an image, as `predict` computes it. */
async function outputOf(model: Module, predictor: Predictor, layer: string, pixels: Pixels): Promise<Float32Array> {
  const module = layer.split('.').reduce<Module>((at, name) => {
    const [, child] = at.children().find(([known]) => known === name)!
    return child
  }, model)
  const forward = module.forward.bind(module)
  let reading: Promise<Float32Array | Uint32Array> | undefined
  module.forward = (x) => {
    const y = forward(x)
    reading = read(y)
    return y
  }
  await predictor.predict(pixels)
  delete (module as Partial<Module>).forward
  return Float32Array.from(await reading!)
}

describe('nothing else changes', () => {
  test('a fit in which maps are made ends with the same losses, and nothing is left behind', async () => {
    const losses = async (callbacks: readonly Callback[]) => {
      const { learner } = await tinyLearner({ callbacks }, { train: 16, batchTransforms: augTransforms() })
      learner.toFp16()
      await learner.fit(3, 1e-2)
      return { losses: learner.recorder.rawLosses, learner }
    }
    const plain = await losses([])
    const explaining: Callback = {
      name: 'explaining',
      order: 99,
      async afterEpoch(state) {
        await gradCam(state as never, 'set/across/0.png')
      },
    }
    const { losses: explained, learner } = await losses([explaining])
    expect(explained).toEqual(plain.losses)
    expect(learner.model.parameters().every(({ leaf }) => leaf.trainable)).toBe(true)

    learner.freezeTo(0)
    await gpu.queue.finished()
    const { usedBytes } = gpu.buffers
    await gradCam(learner, 'set/across/0.png')
    await expect(gradCam(learner, 'set/across/0.png', { layer: '3' })).rejects.toThrow(OptionError)
    await expectNothingLeft(gpu, usedBytes)
  })

  test('nothing is left behind by a model that fails', async () => {
    class Failing extends Module {
      forward(): Tensor {
        throw new Error('mine')
      }
    }
    const predictor = predictorOf(new Failing(), 16)
    await gpu.queue.finished()
    const { usedBytes } = gpu.buffers
    await expect(gradCam(predictor, image(16, 16))).rejects.toThrow('mine')
    await expectNothingLeft(gpu, usedBytes)
  })

  test('gradients that are accumulated stay as they are, frozen parameters frozen', async () => {
    const model = tinyModel().train()
    const [first, ...rest] = model.parameters()
    first.leaf.trainable = false
    await gradCam(predictorOf(model, 16), image(16, 16))
    expect(model.training).toBe(true)
    expect(first.leaf.trainable).toBe(false)
    expect(rest.every(({ leaf }) => leaf.trainable && !leaf.hasGradient && leaf.gradient === undefined)).toBe(true)
  })
})

describe('refused', () => {
  const predictor = predictorOf(tinyModel(), 16)

  test.each([
    ['a label that does not exist', { label: 'd' }, "gradCam: there is no label 'd'"],
    ['an output that does not exist', { label: 3 }, 'gradCam: label is out of range'],
    ['a layer that does not exist', { layer: '9' }, "there is no layer '9' in the model"],
    ['a module of another model', { layer: tinyModel() }, 'there is no layer like that'],
    ['a layer without places', { layer: '3' }, "the output of layer '3' has no places to look at"],
    ['an unknown option', { layers: '1' }, 'Fix: write layer'],
  ])('%s', async (_name, options, says) => {
    await expect(gradCam(predictor, image(16, 16), options as object)).rejects.toThrow(OptionError)
    await expect(gradCam(predictor, image(16, 16), options as object)).rejects.toThrow(says)
  })

  test('what is neither learner nor predictor', async () => {
    await expect(gradCam(tinyModel() as never, 'a.png')).rejects.toThrow('gradCam: of is not of the right kind')
  })
})

describe('an overlay', () => {
  const black = { width: 4, height: 2, data: new Uint8Array(32) }

  test('is brightest where the map is largest, resized bilinearly', async () => {
    const { data } = heatOverlay(black, { width: 2, height: 1, values: Float32Array.of(0, 3) })
    const red = [0, 1, 2, 3].map((x) => data[4 * x])
    // magma at 0, ¼, ¾ and 1, of which 0.6 is seen.
    expect(red).toEqual([0, Math.round(0.6 * 81), Math.round(0.6 * 252), Math.round(0.6 * 252)])
    expect([...data.subarray(16)]).toEqual([...data.subarray(0, 16)])
    expect(data.every((value, i) => i % 4 !== 3 || value === 255)).toBe(true)
    const { toPng, overlay } = await gradCam(predictorOf(tinyModel(), 16), image(16, 16))
    expect(decodePng(await toPng())).toEqual(overlay)
  })

  test('of a map without evidence is even', () => {
    const { data } = heatOverlay(black, { width: 2, height: 2, values: new Float32Array(4) })
    expect(new Set(data.filter((_, i) => i % 4 === 2))).toEqual(new Set([Math.round(0.6 * 4)]))
  })
})
