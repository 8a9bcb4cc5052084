import { describe, expect, test, vi } from 'vitest'
import { DataError, DecodeError, OptionError } from '../../../src/base/errors.ts'
import { rng } from '../../../src/base/rng.ts'
import { normalize } from '../../../src/data/augment/normalize.ts'
import { augTransforms } from '../../../src/data/augment/transforms.ts'
import { flipItem, randomResizedCrop, resize } from '../../../src/data/item-transforms.ts'
import { resizePixels } from '../../../src/image/resize.ts'
import type { Pixels } from '../../../src/image/pixels.ts'
import { encodePng } from '../../../src/platform/node/png.ts'
import { nodePlatform } from '../../../src/platform/node/index.ts'
import { decodeFile } from '../../../src/platform/node/decode-pool.ts'
import { Learner } from '../../../src/train/learner.ts'
import type { PredictionOutcome } from '../../../src/train/results/predictor.ts'
import { Predictor, type PredictorParts } from '../../../src/train/results/predictor.ts'
import { fakePlatform } from '../../helpers/fake-platform.ts'
import { expectNothingLeft, openTestGpu } from '../../helpers/gpu.ts'
import { stripes, tinyLoaders, tinyModel } from '../../helpers/tiny.ts'

const gpu = await openTestGpu()

const VOCAB = ['a', 'b', 'c']

/** A noisy image of a size. */
function image(width: number, height: number, seed = 1): Pixels {
  const draw = rng(seed, 'image')
  return { width, height, data: Uint8Array.from({ length: 4 * width * height }, () => draw.integer(0, 255)) }
}

/** A predictor that decodes the bytes of real files. */
function predictor(parts: Partial<PredictorParts> = {}): Predictor {
  const platform = { ...nodePlatform, decoder: { threads: 0, decode: decodeFile, close: () => Promise.resolve() } }
  const batchTransforms = [normalize({ mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] })]
  return new Predictor({
    model: tinyModel(),
    platform,
    vocab: VOCAB,
    itemTransforms: [resize(16)],
    batchTransforms,
    ...parts,
  })
}

function expectEqual(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  expect(actual.length).toBe(expected.length)
  for (let i = 0; i < actual.length; i++) expect(actual[i]).toBeCloseTo(expected[i], 5)
}

describe('an image', () => {
  test.each([resize(16), resize(16, { method: 'pad' }), resize([8, 24], { method: 'squish' }), randomResizedCrop(16)])(
    'of any size is resized as in validation',
    async (transform) => {
      const small = predictor({ itemTransforms: [transform] })
      const large = image(64, 48)
      const plan = transform.draw(rng(0, 'any'), 'valid')
      const { probabilities } = await small.predict(large)
      const asItIs = predictor({ itemTransforms: [] })
      expectEqual(probabilities, (await asItIs.predict(resizePixels(large, plan))).probabilities)
      // The size is not what decides: another image has other probabilities.
      expect(probabilities).not.toEqual((await small.predict(image(64, 48, 2))).probabilities)
    },
  )

  test('may be a path, bytes, a blob or pixels: the prediction is the same', async () => {
    const one = predictor()
    const pixels = image(40, 30)
    pixels.data.forEach((_, i) => i % 4 === 3 && (pixels.data[i] = 255))
    const bytes = await encodePng(pixels)
    const whole = await one.predict(pixels)
    const file = new File([bytes as Uint8Array<ArrayBuffer>], 'x.png')
    for (const source of [bytes, bytes.slice().buffer, Buffer.from(bytes), file, new Blob([file])]) {
      expect(await one.predict(source)).toEqual(whole)
    }
    const clamped = { ...pixels, data: new Uint8ClampedArray(pixels.data) }
    expect(await one.predict(clamped)).toEqual(whole)
    expect(await one.predictPixels(pixels)).toEqual(whole)
  })

  test('that cannot be decoded is named, and so is what is no image', async () => {
    await expect(predictor().predict(Uint8Array.of(1, 2, 3))).rejects.toThrow(DecodeError)
    await expect(predictor().predict(Uint8Array.of(1, 2, 3))).rejects.toThrow('the image: not an image (starts 01 02')
    await expect(predictor().predict(new File(['no'], 'a.jpg'))).rejects.toThrow('a.jpg: not an image')
    await expect(predictor().predict('missing.jpg')).rejects.toThrow('missing.jpg: no such file')
    await expect(predictor().predict({ width: 2, height: 2 })).rejects.toThrow(OptionError)
  })

  test('is drawn by the platform where it can', async () => {
    const pixels = image(20, 20)
    const bitmap = { width: 20, height: 20 }
    const platform = { ...nodePlatform, drawablePixels: (one: object) => (one === bitmap ? pixels : undefined) }
    const one = predictor({ platform })
    expect(await one.predict(bitmap)).toEqual(await one.predict(pixels))
  })
})

describe('a prediction', () => {
  test('has the likeliest labels in order', async () => {
    const { label, index, probability, top, probabilities, isKnown } = await predictor().predict(image(16, 16))
    expect(top.map(({ index: at }) => probabilities[at])).toEqual(Array.from(probabilities).sort((a, b) => b - a))
    expect(top[0]).toEqual({ label, index, probability })
    expect([label, isKnown]).toEqual([VOCAB[index], true])
    expect(top.map((one) => one.label).sort()).toEqual(VOCAB)
    expect((await predictor().predict(image(16, 16), { topK: 2 })).top).toEqual(top.slice(0, 2))
    // A model may have more outputs than there are labels.
    const beyond = await predictor({ model: tinyModel({ outputs: 9 }) }).predict(image(16, 16), { topK: 9 })
    expect(beyond.top.map((one) => one.label)).toContain('output 8')
  })

  test('below the threshold is "none of these"', async () => {
    const { probability, index, top } = await predictor().predict(image(16, 16))
    const strict = predictor({ threshold: probability + 1e-3 })
    expect(await strict.predict(image(16, 16))).toMatchObject({
      label: undefined,
      isKnown: false,
      index,
      probability,
      top,
    })
    expect(await strict.predict(image(16, 16), { threshold: 0 })).toMatchObject({ label: VOCAB[index], isKnown: true })
    // A probability at the threshold reaches it.
    expect((await strict.predict(image(16, 16), { threshold: probability })).isKnown).toBe(true)
    expect((await predictor().predict(image(16, 16), { threshold: 1 })).label).toBeUndefined()
  })
})

describe('the same numbers as validation', () => {
  const trained = async (
    batchTransforms = [...augTransforms(), normalize({ mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] })],
  ) => {
    const loaders = await tinyLoaders({ train: 8, valid: 11, size: 20, batchTransforms })
    return new Learner(loaders, tinyModel())
  }

  test('of all items, in batches of any size and one by one', async () => {
    const learner = await trained()
    const { items } = learner.loaders.valid.pictures
    const { predictions } = await learner.getPredictions()
    const paths = Array.from(learner.loaders.valid.items, (item) => items[item])
    for (const batchSize of [1, 3, 8, 32]) {
      const all = await learner.predictor().predictAll(paths, { batchSize })
      expectEqual(
        all.flatMap(({ probabilities }) => [...probabilities]),
        predictions.data,
      )
    }
    expectEqual((await learner.predict(paths[4])).probabilities, predictions.data.slice(12, 15))
    // In mixed precision as well, up to the rounding of f16.
    learner.toFp16()
    const mixed = await learner.getPredictions()
    const again = await learner.predictor().predictAll(paths)
    again.forEach(({ probabilities }, row) =>
      probabilities.forEach((value, i) => expect(value).toBeCloseTo(mixed.predictions.data[row * 3 + i], 3)),
    )
  })

  test('with test-time augmentation: the mean of the passes, the same at each call', async () => {
    const learner = await trained([normalize({ mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] })])
    // Nothing is random, so the passes are alike.
    const path = 'set/across/9.png'
    const plain = await learner.predict(path)
    expectEqual((await learner.predict(path, { tta: true })).probabilities, plain.probabilities)

    const augmented = await trained()
    const [one, two] = [await augmented.predict(path, { tta: 2 }), await augmented.predict(path, { tta: 2 })]
    expect(one).toEqual(two)
    expect(one.probabilities).not.toEqual((await augmented.predict(path)).probabilities)
    expect(one.probabilities).not.toEqual((await augmented.predict(path, { tta: 3 })).probabilities)
    expect(one.probabilities.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5)
    const [alone] = await augmented.predictor().predictAll([path], { tta: 2 })
    expect(alone).toEqual(one)
  })

  test('item transforms are drawn for each pass', async () => {
    const flipping = predictor({ itemTransforms: [resize(16), flipItem(1)] })
    const pixels = image(16, 16)
    const mirrored = resizePixels(pixels, { method: 'whole', mirror: true })
    const [plain, flipped] = [await flipping.predict(pixels), await flipping.predict(mirrored)]
    const { probabilities } = await flipping.predict(pixels, { tta: 1 })
    expectEqual(
      probabilities,
      plain.probabilities.map((value, i) => 0.25 * value + 0.75 * flipped.probabilities[i]),
    )
    // Each time anew: the mean of two crops is not one of them.
    const cropping = predictor({ itemTransforms: [randomResizedCrop(16)] })
    const [one, two] = [
      await cropping.predict(image(40, 40), { tta: 1 }),
      await cropping.predict(image(40, 40), { tta: 2 }),
    ]
    expect(one.probabilities).not.toEqual(two.probabilities)
  })
})

describe('many images', () => {
  const outcomes = async (all: AsyncIterable<PredictionOutcome>) => {
    const list: PredictionOutcome[] = []
    for await (const one of all) list.push(one)
    return list
  }

  test('keep their order, of whatever sizes, and a bad one does not stop the others', async () => {
    const one = predictor({ itemTransforms: [] })
    const images = [image(16, 16), image(20, 12, 2), image(16, 16, 3), image(20, 12, 4), image(8, 8, 5)]
    const items = [...images.slice(0, 2), Uint8Array.of(0), ...images.slice(2)]
    const found = await outcomes(one.predictEach(items, { batchSize: 4 }))
    expect(found.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5])
    expect(found.map(({ item }) => item)).toEqual(items)
    expect(found[2].error).toBeInstanceOf(DecodeError)
    expect(found[2].error?.message).toContain('image 2: not an image')
    const rest = found.filter(({ index }) => index !== 2)
    for (const [i, { prediction }] of rest.entries()) {
      expectEqual(prediction?.probabilities ?? [], (await one.predict(images[i])).probabilities)
    }
    await expect(one.predictAll(items)).rejects.toThrow('image 2: not an image')
    expect(await one.predictAll([])).toEqual([])
    for (const single of ['a.png', new Uint8Array(4), items[0], undefined]) {
      await expect(one.predictAll(single as never)).rejects.toThrow('predictAll: items is not of the right kind')
    }
  })

  test('are asked for one batch ahead only, from any iterable', async () => {
    const one = predictor()
    let asked = 0
    async function* camera() {
      for (;;) yield image(16, 16, asked++)
    }
    for await (const { index } of one.predictEach(camera(), { batchSize: 2 })) if (index === 3) break
    expect(asked).toBeLessThanOrEqual(6)
    expect(await one.predictAll(new Set([image(16, 16)]))).toHaveLength(1)
  })

  test('their source is told that no more are wanted, and its failure comes after the predictions before it', async () => {
    let isClosed = false
    async function* camera(images: number) {
      try {
        for (let i = 0; i < images; i++) yield image(16, 16, i)
        throw new Error('the camera is gone')
      } finally {
        isClosed = true
      }
    }
    const one = predictor()
    for await (const { index } of one.predictEach(camera(9), { batchSize: 1 })) if (index === 1) break
    expect(isClosed).toBe(true)
    const found: number[] = []
    const all = async () => {
      for await (const { index } of one.predictEach(camera(3), { batchSize: 1 })) found.push(index)
    }
    await expect(all()).rejects.toThrow('the camera is gone')
    expect(found).toEqual([0, 1, 2])
  })

  test('may be in the same memory, one after the other', async () => {
    const one = predictor({ itemTransforms: [] })
    const images = [image(16, 16), image(16, 16, 2), image(16, 16, 3)]
    const frame = { ...images[0], data: new Uint8Array(images[0].data.length) }
    async function* camera() {
      for (const { data } of images) {
        frame.data.set(data)
        yield frame
        // As a VideoFrame that is closed when the next one comes.
        await Promise.resolve()
        frame.data.fill(0)
      }
    }
    const found = await one.predictAll(camera())
    for (const [i, each] of images.entries()) {
      expectEqual(found[i].probabilities, (await one.predict(each)).probabilities)
    }
  })

  test('that do not come are not waited for by a loop that has ended', async () => {
    let come = (): void => {}
    let isClosed = false
    async function* camera() {
      try {
        yield image(16, 16)
        await new Promise<void>((resolve) => (come = resolve))
        yield image(16, 16)
      } finally {
        isClosed = true
      }
    }
    for await (const { index } of predictor().predictEach(camera(), { batchSize: 1 })) if (index === 0) break
    expect(isClosed).toBe(false)
    come()
    await vi.waitFor(() => expect(isClosed).toBe(true))
  })

  test('what is not about an image ends them all, and is no outcome of one', async () => {
    const decode = () => Promise.reject(new TypeError('a mistake in a decoder'))
    const platform = { ...nodePlatform, decoder: { threads: 0, decode, close: () => Promise.resolve() } }
    await expect(outcomes(predictor({ platform }).predictEach(['a.png']))).rejects.toThrow('a mistake in a decoder')
  })

  test('and calls at the same time give what they give alone, and leave nothing behind', async () => {
    const one = predictor()
    const images = Array.from({ length: 12 }, (_, seed) => image(24, 24, seed))
    const alone: Float32Array[] = []
    for (const each of images) alone.push((await one.predict(each)).probabilities)
    await gpu.queue.finished()
    const { usedBytes } = gpu.buffers
    const together = await Promise.all(images.map((each) => one.predict(each)))
    together.forEach(({ probabilities }, i) => expectEqual(probabilities, alone[i]))
    // A batch of another size has tensors of its own.
    await one.predictAll(images)
    await expectNothingLeft(gpu, usedBytes)
    // A call that fails does not hold up those behind it.
    const [bad, good] = await Promise.allSettled([one.predict(Uint8Array.of(1)), one.predict(images[0])])
    expect([bad.status, good.status]).toEqual(['rejected', 'fulfilled'])
    const model = tinyModel()
    const broken = predictor({ model })
    const weights = await model.stateDict()
    for (const parameter of model.parameters()) parameter.write(new Float32Array(parameter.count).fill(NaN))
    await expect(broken.predict(images[0])).rejects.toThrow("the model's outputs are not finite")
    model.loadStateDict(weights)
    expectEqual((await broken.predict(images[0])).probabilities, alone[0])
  })

  test('run one after the other on the GPU', async () => {
    const one = predictor()
    let running = 0
    const { loaded } = one as unknown as {
      loaded: () => Promise<{ pass: (...given: unknown[]) => Promise<Float32Array> }>
    }
    const inside = await loaded.call(one)
    const pass = inside.pass.bind(inside)
    inside.pass = async (...given) => {
      expect(++running).toBe(1)
      try {
        return await pass(...given)
      } finally {
        running--
      }
    }
    await Promise.all(Array.from({ length: 5 }, (_, seed) => one.predict(image(16, 16, seed))))
  })
})

test('options are checked', async () => {
  const one = predictor()
  const pixels = image(16, 16)
  await expect(one.predict(pixels, { tta: -1 })).rejects.toThrow('predict: tta is out of range')
  await expect(one.predict(pixels, { topK: 0 })).rejects.toThrow('predict: topK is out of range')
  await expect(one.predict(pixels, { threshold: 1.5 })).rejects.toThrow('predict: threshold is out of range')
  await expect(one.predict(pixels, { treshold: 0.5 } as object)).rejects.toThrow('Fix: write threshold')
  await expect(one.predictAll([pixels], { batchSize: 0 })).rejects.toThrow('predictAll: batchSize is out of range')
  expect(() => predictor({ threshold: 2 })).toThrow('Predictor: threshold is out of range')
})

test('outputs that are not finite are no prediction, whatever the item', async () => {
  const model = tinyModel()
  for (const parameter of model.parameters()) parameter.write(new Float32Array(parameter.count).fill(NaN))
  await expect(predictor({ model }).predictAll([image(16, 16)])).rejects.toThrow(DataError)
  await expect(predictor({ model }).predict(image(16, 16))).rejects.toThrow('its training has diverged')
  const platform = fakePlatform({ picture: () => stripes('set/across/1.png', 16) })
  await expect(predictor({ model, platform }).predict('a.png')).rejects.toThrow("the model's outputs are not finite")
})
