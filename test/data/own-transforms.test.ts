import { describe, expect, test } from 'vitest'
import { OptionError } from '../../src/base/errors.ts'
import type { GivenBatchTransform } from '../../src/data/augment/transforms.ts'
import { imagenetStats, normalize } from '../../src/data/augment/normalize.ts'
import { randomErasing } from '../../src/data/augment/erasing.ts'
import type { OwnBatch } from '../../src/data/augment/own.ts'
import { trivialAugment } from '../../src/data/auto-augment.ts'
import { resize, type GivenItemTransform } from '../../src/data/item-transforms.ts'
import { randomCrop } from '../../src/data/window-transforms.ts'
import { Loader, type EpochOptions } from '../../src/data/loader.ts'
import type { OwnItem } from '../../src/data/own-item-transform.ts'
import { Pictures } from '../../src/data/pictures.ts'
import { PixelCache } from '../../src/data/pixel-cache.ts'
import { editPixels } from '../../src/image/pixel-edits.ts'
import type { Pixels } from '../../src/image/pixels.ts'
import { relu } from '../../src/ops/relu.ts'
import { elementwise, empty, launch } from '../../src/tensor/launch.ts'
import { registerShader } from '../../src/gpu/register-shader.ts'
import { read } from '../../src/tensor/read-write.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { accuracy } from '../../src/train/fit/metrics.ts'
import { loadLearner } from '../../src/train/files/export.ts'
import { partsThatDecide } from '../../src/train/fit/replay.ts'
import { Learner } from '../../src/train/learner.ts'
import { xresnet18 } from '../../src/nn/xresnet.ts'
import { fakePicture, fakePlatform } from '../helpers/fake-platform.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { memoryFiles } from '../helpers/memory-files.ts'
import { decodeOnnx } from '../helpers/onnx.ts'
import { stripes, tinyLearner, tinyLoaders, tinyModel } from '../helpers/tiny.ts'

const gpu = await openTestGpu()

interface Options {
  readonly split?: 'train' | 'valid'
  readonly itemTransforms?: readonly GivenItemTransform[]
  readonly batchTransforms?: readonly GivenBatchTransform[]
  readonly gpuBytes?: number
  readonly threads?: number
}

function make({ split = 'train', itemTransforms = [], batchTransforms = [], gpuBytes = 0, threads }: Options) {
  const items = Array.from({ length: 8 }, (_, i) => `folder/${i}-6x6.png`)
  const platform = fakePlatform(threads === undefined ? {} : { threads })
  const cache = new PixelCache(2 ** 28, { gpuBytes })
  const loader = new Loader({
    platform,
    pictures: new Pictures({ platform, items, cache }),
    split,
    batchSize: 4,
    seed: 1,
    labels: new Uint32Array(8),
    vocab: ['a'],
    items: Uint32Array.from(items.keys()),
    itemTransforms,
    batchTransforms,
  })
  return { loader, platform, images: cache.onGpu(gpu), items }
}

/** Pixels of a pass by item. */
async function pixels(loader: Loader, pass: EpochOptions = {}): Promise<Map<number, number[]>> {
  const found = new Map<number, number[]>()
  for await (const batch of loader.batches(pass)) {
    const all = await read(batch.pixels)
    const each = all.length / batch.items.length
    batch.items.forEach((item, i) => found.set(item, [...all.slice(i * each, (i + 1) * each)]))
  }
  return found
}

/** Input of the network of the first batch. */
async function input(loader: Loader, pass: EpochOptions = {}, dtype: 'f32' | 'f16' = 'f32'): Promise<number[]> {
  const batch = await loader.oneBatch(pass)
  const values = [...(await read(batch.input(dtype)))]
  batch.release()
  return values
}

function words({ data }: Pixels): number[] {
  return [...new Uint32Array(data.slice().buffer)]
}

const invert = (image: Pixels): Pixels => editPixels(image, [{ op: 'solarize', by: 0 }])

/** Brightens by a random step, in the pixels that it is given. */
const brighten: OwnItem = {
  name: 'brighten',
  runsOn: 'train',
  apply(image, { random }) {
    const step = random.integer(1, 200)
    for (let i = 0; i < image.data.length; i++) if (i % 4 < 3) image.data[i] = (image.data[i] + step) % 256
    return image
  },
}

describe('item transforms from outside', () => {
  test('a function sees every image after it was resized, in training and validation', async () => {
    for (const split of ['train', 'valid'] as const) {
      const { loader, items } = make({ split, itemTransforms: [invert, resize(6)] })
      for (const [item, found] of await pixels(loader)) expect(found).toEqual(words(invert(fakePicture(items[item]))))
    }
  })

  test('an object for training leaves validation alone, and draws the same in every run', async () => {
    const before = await pixels(make({}).loader)
    const { loader } = make({ itemTransforms: [brighten] })
    const [first, again, later] = [await pixels(loader), await pixels(loader), await pixels(loader, { epoch: 1 })]
    expect(first).not.toEqual(before)
    expect(again).toEqual(first)
    expect(await pixels(make({ itemTransforms: [brighten] }).loader)).toEqual(first)
    expect(later).not.toEqual(first)
    // What was given is a copy: the image that is kept for later epochs has not changed.
    expect(await pixels(loader, { draws: 'valid' })).toEqual(before)
    // Other transforms do not change its numbers: the crop leaves the middle here.
    expect(await pixels(make({ itemTransforms: [brighten, resize(6)] }).loader)).toEqual(first)
  })

  test('with an order below 1 it sees the whole image, which is then resized', async () => {
    const sizes: string[] = []
    const look = (order: number): OwnItem => ({
      name: `look ${order}`,
      runsOn: 'both',
      order,
      apply: (image) => {
        sizes.push(`${order}: ${image.width} × ${image.height}`)
        return Promise.resolve(image)
      },
    })
    const { loader } = make({ itemTransforms: [look(2), look(1), resize(3), look(0)] })
    const found = await pixels(loader)
    expect(new Set(sizes)).toEqual(new Set(['0: 6 × 6', '1: 3 × 3', '2: 3 × 3']))
    expect(found).toEqual(await pixels(make({ itemTransforms: [resize(3)] }).loader))
  })

  test('changed images do not stay in the memory of the GPU, unchanged ones do', async () => {
    const { loader, images } = make({ itemTransforms: [resize(4), brighten], gpuBytes: 2 ** 40 })
    const plain = make({ itemTransforms: [resize(4), brighten] })
    for (const epoch of [0, 1, 2]) {
      expect(await pixels(loader, { epoch })).toEqual(await pixels(plain.loader, { epoch }))
    }
    expect(images.count).toBe(0)
    for (const epoch of [3, 4]) {
      expect(await pixels(loader, { epoch, draws: 'valid' })).toEqual(
        await pixels(plain.loader, { epoch, draws: 'valid' }),
      )
    }
    expect(images.count).toBeGreaterThan(0)
    // They are there now, and training draws as before.
    expect(await pixels(loader, { epoch: 0 })).toEqual(await pixels(plain.loader, { epoch: 0 }))
  })

  test('several run as listed, a promise is waited for', async () => {
    const twice = [
      invert,
      async function back(image: Pixels) {
        await Promise.resolve()
        return invert(image)
      },
    ]
    expect(await pixels(make({ itemTransforms: twice }).loader)).toEqual(await pixels(make({}).loader))
  })

  test('each works on a copy of its own, also of what comes as a Buffer', async () => {
    const kept = Buffer.alloc(4 * 6 * 6, 10)
    const constant = ({ width, height }: Pixels) => ({ width, height, data: kept })
    const { loader } = make({ itemTransforms: [constant, brighten] })
    const first = await pixels(loader)
    expect(new Set(kept)).toEqual(new Set([10]))
    expect(await pixels(loader)).toEqual(first)
  })

  test('may return all images in the same memory', async () => {
    const memory = new Uint8Array(4 * 6 * 6)
    const through = (image: Pixels): Pixels => {
      memory.set(image.data)
      return { ...image, data: memory }
    }
    expect(await pixels(make({ itemTransforms: [through] }).loader)).toEqual(await pixels(make({}).loader))
  })

  test('mistakes are named', async () => {
    const failing = (name: string, apply: OwnItem['apply']) =>
      pixels(make({ itemTransforms: [{ name, runsOn: 'both', apply }] }).loader)
    await expect(failing('none', () => undefined as never)).rejects.toThrow(
      'item transform none: it did not return an image',
    )
    await expect(failing('short', (image) => ({ ...image, data: image.data.slice(4) }))).rejects.toThrow('folder/')
    await expect(
      failing('broken', () => {
        throw new TypeError('oops')
      }),
    ).rejects.toThrow('item transform broken: it failed (TypeError: oops)')
    expect(() => make({ itemTransforms: [(image: Pixels) => image] })).toThrow('a function has no name')
    expect(() => make({ itemTransforms: [brighten, brighten] })).toThrow('two item transforms')
    expect(() => make({ itemTransforms: [{ name: 'a', apply: invert } as never] })).toThrow('it has no runsOn')
    expect(() => make({ itemTransforms: [{ ...brighten, runsOn: 'valid' as 'both' }] })).toThrow("'train' or 'both'")
  })
})

describe('trivialAugment', () => {
  test('changes images in training only, the same in every run, on the threads of the decoder', async () => {
    const recipe = [randomCrop(6, { padding: 2 }), trivialAugment()]
    const { loader, platform } = make({ itemTransforms: recipe })
    const [first, again] = [await pixels(loader), await pixels(loader)]
    expect(again).toEqual(first)
    expect(first).not.toEqual(await pixels(make({ itemTransforms: [recipe[0]] }).loader))
    expect(await pixels(loader, { draws: 'valid' })).toEqual(await pixels(make({}).loader))
    expect(platform.decoded.some(({ from, edits }) => from && edits?.length === 1)).toBe(true)
    // In place where there are no threads.
    const alone = make({ itemTransforms: recipe, threads: 0 })
    expect(await pixels(alone.loader)).toEqual(first)
    expect(alone.platform.decoded.every(({ edits }) => edits === undefined)).toBe(true)
  })
})

// y = x + step of the image
const shader = registerShader(
  'test/brighten',
  /* wgsl */ `
// @shape VECTORS PIXELS
@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read> steps: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<T4>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  if (i >= shape.VECTORS) { return; }
  y[i] = store4(load4(x[i]) + vec4f(vec3f(steps[i / shape.PIXELS]), 0));
}`,
)

/** Adds a random step to every image, by WGSL of its own. */
const lift: OwnBatch = {
  name: 'lift',
  runsOn: 'train',
  replayable: true,
  draw: (random, { N }) => ({ steps: Float32Array.from({ length: N }, () => random.integer(1, 8)) }),
  apply(x, { steps }) {
    const y = empty({ shape: x.shape, dtype: x.dtype }, 'lift')
    const [, H, W] = x.shape
    const { groups, shape, dtype } = elementwise(x)
    launch(shader, { x, steps, y }, { groups, shape: { ...shape, PIXELS: H * W }, dtype })
    return y
  },
}

/** Cuts off what is below 0, by an operation of the library. */
function cut(images: Tensor): Tensor {
  return relu(images)
}

describe('batch transforms from outside', () => {
  test('run before the normalization, with numbers that are drawn on the CPU', async () => {
    const without = await input(make({ batchTransforms: [] }).loader)
    const { loader } = make({ batchTransforms: [normalize(imagenetStats), lift] })
    const found = await input(loader)
    const steps = found.map((value, i) => value * imagenetStats.std[i % 3] + imagenetStats.mean[i % 3] - without[i])
    const each = steps.length / 4
    for (let n = 0; n < 4; n++) {
      const step = Math.round(steps[n * each])
      expect(step).toBeGreaterThan(0)
      for (const value of steps.slice(n * each, (n + 1) * each)) expect(value).toBeCloseTo(step, 4)
    }
    expect(await input(make({ batchTransforms: [lift, normalize(imagenetStats)] }).loader)).toEqual(found)
    expect(await input(loader, { epoch: 1 })).not.toEqual(found)
    // Not in validation.
    const valid = make({ batchTransforms: [normalize(imagenetStats)], split: 'valid' }).loader
    expect(await input(loader, { draws: 'valid', shuffle: false })).toEqual(await input(valid))
  })

  test('a function runs in both phases; from order 99 on it sees the normalized input in its type', async () => {
    const seen: string[] = []
    const last: OwnBatch = {
      name: 'last',
      runsOn: 'both',
      order: 99,
      apply: (images, _drawn, phase) => {
        seen.push(`${images.dtype} ${phase}`)
        return relu(images)
      },
    }
    const plain = await input(make({ batchTransforms: [normalize(imagenetStats)], split: 'valid' }).loader)
    for (const dtype of ['f32', 'f16'] as const) {
      const { loader } = make({ batchTransforms: [last, normalize(imagenetStats), randomErasing()], split: 'valid' })
      const found = await input(loader, {}, dtype)
      found.forEach((value, i) => expect(value).toBeCloseTo(Math.max(0, plain[i]), dtype === 'f32' ? 6 : 2))
    }
    expect(seen).toEqual(['f32 valid', 'f16 valid'])
    expect(await input(make({ batchTransforms: [cut] }).loader)).toEqual(await input(make({}).loader))
  })

  test('replayed steps are those that run its code', async () => {
    const losses = async (options: { replay: boolean; mark?: boolean }) => {
      const { replay, mark = true } = options
      const transforms = [normalize(imagenetStats), { ...lift, replayable: mark }]
      const data = { train: 40, batchTransforms: transforms }
      const { learner } = await tinyLearner({ replay }, data)
      await learner.fit(1, 1e-3)
      return { losses: learner.recorder.rawLosses, deciding: partsThatDecide(learner) }
    }
    const [replayed, made, unmarked] = [
      await losses({ replay: true }),
      await losses({ replay: false }),
      await losses({ replay: true, mark: false }),
    ]
    expect(replayed.losses).toEqual(made.losses)
    expect(unmarked.losses).toEqual(made.losses)
    expect([replayed.deciding, unmarked.deciding]).toEqual([[], ['transform lift']])
  })

  test('mistakes are named', async () => {
    const failing = (changes: Partial<OwnBatch>) => input(make({ batchTransforms: [{ ...lift, ...changes }] }).loader)
    await expect(failing({ apply: () => undefined as never })).rejects.toThrow(
      'batch transform lift: its result differs from its input in shape or type',
    )
    await expect(failing({ draw: () => ({ steps: [1, 2] as never }) })).rejects.toThrow('steps of draw is not a list')
    await expect(failing({ draw: () => undefined as never })).rejects.toThrow('draw did not return numbers')
    const late = () => Promise.reject(new Error('late')) as never
    await expect(failing({ draw: late })).rejects.toThrow('draw did not return numbers')
    let count = 4
    const growing = make({
      batchTransforms: [{ ...lift, draw: () => ({ steps: new Float32Array(count++) }) }],
    }).loader
    await expect(
      (async () => {
        for await (const batch of growing.batches()) batch.input('f32')
      })(),
    ).rejects.toThrow('draw returned other numbers than for a batch of the same size before')
    expect(() => make({ batchTransforms: [lift, lift] })).toThrow("two of the name 'lift'")
    expect(() => make({ batchTransforms: [{ name: 'a', runsOn: 'both' } as never] })).toThrow('it has no apply')
  })
})

describe('a model that was trained with them', () => {
  const halve = (image: Pixels) => ({ ...image, data: image.data.map((value, i) => (i % 4 < 3 ? value >> 1 : value)) })
  const setting = async () => {
    const files = memoryFiles()
    const platform = fakePlatform({ picture: (path) => stripes(path, 16), files })
    const loaders = await tinyLoaders({ platform, itemTransforms: [halve, brighten], batchTransforms: [cut, lift] })
    return { platform, loaders }
  }

  test('predicts with those that predictions need, whose code is given', async () => {
    const { platform, loaders } = await setting()
    const learner = new Learner(loaders, xresnet18({ outputs: 3, widen: 0.125 }), { metrics: [accuracy] })
    await learner.export('model.safetensors')
    await expect(loadLearner('model.safetensors', { platform })).rejects.toThrow(
      "the model was trained with a transform 'halve', which is not in the file",
    )
    const loaded = await loadLearner('model.safetensors', { platform, transforms: { halve, cut } })
    const [before, after] = [await learner.predict('set/across/0.png'), await loaded.predict('set/across/0.png')]
    expect(after).toEqual(before)
    // Items of the loader and of the predictor go through the same.
    const { predictions } = await learner.getPredictions({ loader: loaders.test(['set/across/0.png']) })
    expect(before.probability).toBeCloseTo(Math.max(...predictions.data), 5)
    await expect(learner.exportOnnx('model.onnx')).rejects.toThrow("the batch transform 'cut' is code")
  })

  test('names in an ONNX file those of images that the program around it has to do', async () => {
    const learner = new Learner(
      await tinyLoaders({ itemTransforms: [halve, brighten], batchTransforms: [lift] }),
      tinyModel(),
    )
    const { metadataProps } = decodeOnnx(await learner.exportOnnxBytes())
    expect(metadataProps.find(({ key }) => key === 'transforms')?.value).toBe('["halve"]')
  })

  test('is resumed with the same only, to the same numbers', async () => {
    const run = async (transform: OwnBatch, stopAfter?: number, files = memoryFiles()) => {
      const platform = fakePlatform({ picture: (path) => stripes(path, 16), files })
      const data = { train: 12, platform, itemTransforms: [brighten], batchTransforms: [transform] }
      const learner = new Learner(await tinyLoaders(data), tinyModel())
      const stop = {
        name: 'stop',
        order: -100,
        afterEpoch: ({ epoch }: { epoch: number }) => {
          if (epoch + 1 === stopAfter) platform.interrupt()
        },
      }
      const resume = await files.exists('run.safetensors')
      await learner.fit(3, 1e-3, { callbacks: [stop], checkpoint: 'run.safetensors', resume })
      return { losses: learner.recorder.rawLosses, files }
    }
    const whole = await run(lift)
    const { files } = await run(lift, 1)
    await expect(run({ ...lift, options: { most: 9 } }, undefined, files)).rejects.toThrow(OptionError)
    expect((await run(lift, undefined, files)).losses).toEqual(whole.losses)
  })
})
