import { describe, expect, test } from 'vitest'
import { rng } from '../../../src/base/rng.ts'
import { hue, saturation } from '../../../src/data/augment/colour.ts'
import { augmentStream, type BatchShape, type Phase } from '../../../src/data/augment/draw.ts'
import { randomResizedCropGpu } from '../../../src/data/augment/crop.ts'
import { NOISE_PIXELS, randomErasing } from '../../../src/data/augment/erasing.ts'
import { imagenetStats, normalize } from '../../../src/data/augment/normalize.ts'
import { BatchPipeline } from '../../../src/data/augment/pipeline.ts'
import { augTransforms, type AugTransformsOptions, type BatchTransform } from '../../../src/data/augment/transforms.ts'
import { scope } from '../../../src/tensor/scope.ts'
import { read, tensor } from '../../../src/tensor/read-write.ts'
import { expectClose } from '../../../src/testing/close.ts'
import { openTestGpu } from '../../helpers/gpu.ts'
import { reference } from './reference.ts'

const gpu = await openTestGpu()

const seed = 11
const lesson = (size: AugTransformsOptions['size']) => [
  ...augTransforms({ size, minScale: 0.5 }),
  normalize(imagenetStats),
]

/**
 * Waves in three colours, and on them noise, so that no pixel can stand in for another. Not all noise: places are f32,
 * at 224 pixels 1e-5 of a pixel off, and white noise would turn that into as much of itself.
 */
function picture({ N, H, W }: BatchShape): Uint32Array {
  const random = rng(seed, 'pixels', N, H, W)
  const waves = Array.from({ length: 3 }, () => [
    random.uniform(0.02, 0.1),
    random.uniform(0.02, 0.1),
    random.uniform(0, 6),
  ])
  return Uint32Array.from({ length: N * H * W }, (_, i) => {
    const [x, y] = [i % W, Math.floor(i / W)]
    const [r, g, b] = waves.map(
      ([u, v, phase]) => Math.floor(96 + 96 * Math.sin(u * x + v * y + phase)) + random.integer(0, 63),
    )
    return (r | (g << 8) | (b << 16) | (255 << 24)) >>> 0
  })
}

async function run(
  pixels: Uint32Array,
  { N, H, W }: BatchShape,
  transforms: BatchTransform[],
  split: Phase,
  dtype: 'f32' | 'f16',
) {
  const pipeline = new BatchPipeline(transforms)
  const input = scope(() => pipeline.run(tensor(pixels, [N, H, W], 'u32'), augmentStream(seed, 0, 0), split, dtype))
  const values = await read(input)
  pipeline.release()
  return { input, values }
}

interface Case {
  name: string
  shape: BatchShape
  transforms: BatchTransform[]
  split?: Phase
  out: readonly [number, number]
}

const still = { doFlip: false, maxRotate: 0, maxWarp: 0, maxZoom: 1 }
const sizeAndCrop = [...augTransforms({ size: 32 }), randomResizedCropGpu(20)]
const threefold = { minZoom: 3, maxZoom: 3, maxRotate: 0, maxWarp: 0, pAffine: 1 }
const wild = { flipVert: true, maxRotate: 45, minZoom: 0.7, maxZoom: 2, pAffine: 1 }
const square = (side: number, N = 2) => ({ N, H: side, W: side })
const wide = { N: 3, H: 37, W: 53 }
const large = { N: 3, H: 101, W: 97 }
const normalized = [normalize(imagenetStats)]
const always = { p: 1, minScale: 0.2 }
const everything = [...lesson([19, 21]), saturation(), hue(), randomErasing(always)]

const cases: Case[] = [
  { name: 'the lesson at 64 px, averaged down first', shape: square(224, 3), transforms: lesson(64), out: [64, 64] },
  { name: 'the lesson at 128 px', shape: square(224), transforms: lesson(128), out: [128, 128] },
  { name: 'validation at 64 px', shape: square(224), transforms: lesson(64), split: 'valid', out: [64, 64] },
  { name: 'validation at 128 px', shape: square(224), transforms: lesson(128), split: 'valid', out: [128, 128] },
  {
    name: 'validation at the size of the source',
    shape: square(40),
    transforms: lesson(40),
    split: 'valid',
    out: [40, 40],
  },
  { name: 'a source that is not square', shape: wide, transforms: lesson(19), out: [19, 19] },
  {
    name: 'validation of a source that is not square',
    shape: wide,
    transforms: lesson(19),
    split: 'valid',
    out: [19, 19],
  },
  { name: 'neither square, the output larger', shape: wide, transforms: lesson([60, 41]), out: [60, 41] },
  {
    name: 'without a crop',
    shape: wide,
    transforms: [...augTransforms({ size: [30, 33] }), ...normalized],
    out: [30, 33],
  },
  { name: 'without a crop, averaged down', shape: large, transforms: augTransforms({ size: 21 }), out: [21, 21] },
  {
    name: 'without a crop in validation',
    shape: large,
    transforms: augTransforms({ size: 21 }),
    split: 'valid',
    out: [21, 21],
  },
  {
    name: 'zoomed in as much as it shrinks',
    shape: { ...large, N: 1 },
    transforms: augTransforms({ ...threefold, size: 40 }),
    out: [40, 40],
  },
  { name: 'without a size', shape: wide, transforms: augTransforms(), out: [37, 53] },
  {
    name: 'black beyond the border',
    shape: square(24, 9),
    transforms: augTransforms({ ...wild, padMode: 'zeros' }),
    out: [24, 24],
  },
  {
    name: 'the border repeated, averaged down',
    shape: large,
    transforms: augTransforms({ ...wild, size: 21, padMode: 'border' }),
    out: [21, 21],
  },
  { name: 'every symmetry, larger changes', shape: square(24, 9), transforms: augTransforms(wild), out: [24, 24] },
  { name: 'a size and a crop', shape: large, transforms: sizeAndCrop, out: [20, 20] },
  { name: 'a size and a crop in validation', shape: large, transforms: sizeAndCrop, split: 'valid', out: [20, 20] },
  { name: 'only light', shape: wide, transforms: augTransforms(still), out: [37, 53] },
  {
    name: 'saturation with the light',
    shape: wide,
    transforms: [...augTransforms(still), saturation({ p: 1, maxLighting: 0.6 })],
    out: [37, 53],
  },
  { name: 'saturation alone', shape: wide, transforms: [saturation({ p: 1, maxLighting: 0.6 })], out: [37, 53] },
  {
    name: 'hue alone, all around the circle',
    shape: { ...wide, N: 7 },
    transforms: [hue({ p: 1, maxHue: 0.9 })],
    out: [37, 53],
  },
  {
    name: 'all colours, and all in validation',
    shape: wide,
    transforms: [...lesson(19), saturation(), hue()],
    split: 'valid',
    out: [19, 19],
  },
  { name: 'everything', shape: { ...wide, N: 5 }, transforms: everything, out: [19, 21] },
  {
    name: 'erasing after everything',
    shape: wide,
    transforms: [randomErasing({ ...always, maxCount: 3 }), ...normalized],
    out: [37, 53],
  },
  { name: 'erasing in validation', shape: wide, transforms: [randomErasing(always)], split: 'valid', out: [37, 53] },
  { name: 'only normalized', shape: wide, transforms: normalized, out: [37, 53] },
  { name: 'nothing', shape: { N: 2, H: 2, W: 3 }, transforms: [], out: [2, 3] },
]

describe.each(cases)('$name', ({ shape, transforms, split = 'train', out }) => {
  const pixels = picture(shape)
  const expected = reference(pixels, shape, transforms, augmentStream(seed, 0, 0), split).flat(3)

  test.each(['f32', 'f16'] as const)('%s', async (dtype) => {
    const { input, values } = await run(pixels, shape, transforms, split, dtype)
    expect(input.shape).toEqual([shape.N, ...out, 3])
    expect(input.dtype).toBe(dtype)
    expectClose(values, expected, dtype, { shape: input.shape })
  })
})

test('whether the source is averaged down depends on the zooms of the batch', () => {
  const source = (zoom: number) => {
    const shape = { N: 1, H: 101, W: 97 }
    const zooming = augTransforms({ ...threefold, size: 40, minZoom: zoom, maxZoom: zoom })
    const pipeline = new BatchPipeline(zooming)
    const { plan, geometry } = pipeline.draw(augmentStream(seed, 0, 0), shape, 'train')
    return [plan.shrink, ...geometry.slice(0, 2)]
  }
  expect(source(1)).toEqual([true, 83, 80])
  expect(source(3)).toEqual([true, 101, 97])
})

test('black, grey and white, normalized', async () => {
  // Columns of 0 and 255, brought to three: the middle is ½.
  const pixels = Uint32Array.of(0xff000000, 0xffffffff, 0xff000000, 0xffffffff)
  const transforms = [randomResizedCropGpu([2, 3], { ratio: [1, 1] }), normalize(imagenetStats)]
  const { values } = await run(pixels, { N: 1, H: 2, W: 2 }, transforms, 'valid', 'f32')
  const row = [-2.1179039, -2.0357143, -1.8044444, 0.0655022, 0.1964286, 0.4177778, 2.2489083, 2.4285714, 2.64]
  expectClose(values, [...row, ...row], 'f32')
})

test('training runs the light even where it is neutral, and black stays finite', async () => {
  const transforms = augTransforms({ ...still, pLighting: 0 })
  const pixels = Uint32Array.of(0xff000000, 0xffffffff, 0xff336699, 0xff000000)
  const { values } = await run(pixels, { N: 1, H: 2, W: 2 }, transforms, 'train', 'f32')
  expectClose(values.slice(0, 3), [1e-7, 1e-7, 1e-7], 'f32')
  expectClose(values.slice(3), [1, 1, 1, 0.6, 0.4, 0.2, 1e-7, 1e-7, 1e-7], 'f32')
})

test('the fourth channel of storage is zero', async () => {
  const shape = { N: 2, H: 5, W: 7 }
  const { input } = await run(picture(shape), shape, lesson(6), 'train', 'f32')
  const stored = new Float32Array(await gpu.queue.read(input.view))
  expect(stored.filter((_, i) => i % 4 === 3)).toEqual(new Float32Array(2 * 6 * 6))
})

test('one launch a batch; the numbers of a batch do not reach the one before', async () => {
  const shape = { N: 2, H: 20, W: 20 }
  const pipeline = new BatchPipeline(lesson(12))
  const pixels = tensor(picture(shape), [2, 20, 20], 'u32')
  const before = gpu.queue.counts.launches
  const inputs = [0, 1].map((index) => pipeline.run(pixels, augmentStream(seed, 0, index), 'train'))
  expect(gpu.queue.counts.launches - before).toBe(2)
  for (const [index, input] of inputs.entries()) {
    const expected = reference(picture(shape), shape, lesson(12), augmentStream(seed, 0, index), 'train').flat(3)
    expectClose(await read(input), expected, 'f32', { shape: input.shape, name: `batch ${index}` })
  }
})

test('a recorded launch takes the numbers that were written last', async () => {
  const shape = { N: 2, H: 20, W: 20 }
  const pipeline = new BatchPipeline(lesson(12))
  const pixels = tensor(picture(shape), [2, 20, 20], 'u32')
  const { plan } = pipeline.draw(augmentStream(seed, 0, 0), shape, 'train')
  pipeline.write(pipeline.draw(augmentStream(seed, 0, 7), shape, 'train'))
  const input = pipeline.launch(pixels, plan)
  const expected = reference(picture(shape), shape, lesson(12), augmentStream(seed, 0, 7), 'train').flat(3)
  expectClose(await read(input), expected, 'f32', { shape: input.shape })
})

test('erasing replaces what is inside its rectangle, by other noise in every item, and nothing else', async () => {
  const shape = { N: 3, H: 40, W: 30 }
  const erasing = randomErasing({ ...always, minAspect: 0.9 })
  const pipeline = new BatchPipeline([erasing, ...normalized])
  const pixels = tensor(picture(shape), [3, 40, 30], 'u32')
  const draw = pipeline.draw(augmentStream(seed, 0, 3), shape, 'train')
  pipeline.write(draw)
  const input = pipeline.launch(pixels, draw.plan)
  const erased = await read(input)
  const stored = new Float32Array(await gpu.queue.read(input.view))
  const { values: plain } = await run(picture(shape), shape, normalized, 'train', 'f32')
  const [top, left, bottom, right] = draw.erased?.areas ?? []
  expect((bottom - top) * (right - left)).toBeGreaterThan(200)
  const inside: number[][] = [[], [], []]
  for (let i = 0; i < erased.length; i++) {
    const [n, y, x] = [Math.floor(i / 3600), Math.floor(i / 90) % 40, Math.floor(i / 3) % 30]
    if (y >= top && y < bottom && x >= left && x < right) inside[n].push(erased[i])
    else expect(erased[i]).toBe(plain[i])
  }
  expect(new Set(inside.flat()).size).toBeGreaterThan(0.99 * 3 * inside[0].length)
  for (const noise of inside) {
    const mean = noise.reduce((a, b) => a + b) / noise.length
    const variance = noise.reduce((sum, value) => sum + (value - mean) ** 2, 0) / noise.length
    // Of 600 numbers or more; deviations 0.04 and 0.06.
    expect(Math.abs(mean)).toBeLessThan(0.15)
    expect(Math.abs(variance - 1)).toBeLessThan(0.25)
  }
  expect(stored.filter((_, i) => i % 4 === 3)).toEqual(new Float32Array(3 * 40 * 30))
})

test('several rectangles, and noise from the end of its table on from its beginning', async () => {
  const shape = { N: 20, H: 21, W: 19 }
  const transforms = [randomErasing({ p: 1, minScale: 0.9, maxScale: 0.9, maxCount: 3 })]
  const pipeline = new BatchPipeline(transforms)
  const index = Array.from({ length: 500 }, (_, i) => i).find((i) => {
    const { erased } = pipeline.draw(augmentStream(seed, 0, i), shape, 'train')
    const rectangles = [3, 7, 11].filter((right) => (erased?.areas[right] ?? 0) > 0).length
    return rectangles === 3 && erased?.starts.some((start) => start > NOISE_PIXELS - 150)
  })
  const pixels = picture(shape)
  const expected = reference(pixels, shape, transforms, augmentStream(seed, 0, index ?? NaN), 'train').flat(3)
  const input = pipeline.run(tensor(pixels, [20, 21, 19], 'u32'), augmentStream(seed, 0, index ?? NaN), 'train')
  expectClose(await read(input), expected, 'f32', { shape: input.shape })
})

test('grey has no hue: black, grey and white stay', async () => {
  const pixels = Uint32Array.of(0xff000000, 0xffffffff, 0xff808080, 0xff0000ff)
  const { values } = await run(pixels, { N: 1, H: 2, W: 2 }, [hue({ p: 1 })], 'train', 'f32')
  expectClose(values.slice(0, 9), [0, 0, 0, 1, 1, 1, ...new Array<number>(3).fill(128 / 255)], 'f32')
  expect(values[9]).toBe(1)
  expect(values[10] + values[11]).toBeGreaterThan(0.01)
})

test('a batch that loses nothing comes after one that did', async () => {
  const shape = { N: 2, H: 20, W: 20 }
  const pipeline = new BatchPipeline([randomErasing({ p: 0.5, minScale: 0.3 })])
  const pixels = tensor(picture(shape), [2, 20, 20], 'u32')
  const draws = Array.from({ length: 12 }, (_, i) => pipeline.draw(augmentStream(seed, 0, i), shape, 'train'))
  const hits = draws.map(({ erased }) => erased?.areas.some((number) => number > 0))
  expect(new Set(hits)).toEqual(new Set([true, false]))
  const plain = (await run(picture(shape), shape, [], 'train', 'f32')).values
  for (const [i, draw] of draws.entries()) {
    pipeline.write(draw)
    const values = await read(pipeline.launch(pixels, draw.plan))
    if (hits[i]) expect(values).not.toEqual(plain)
    else expect(values).toEqual(plain)
  }
})

test('pixels of another type or size are refused', () => {
  const pipeline = new BatchPipeline(lesson(12))
  const plan = pipeline.plan({ N: 2, H: 20, W: 20 }, 'train')
  expect(() => pipeline.launch(tensor(new Float32Array(800), [2, 20, 20]), plan)).toThrowErrorMatchingInlineSnapshot(`
    [DtypeError: batch transforms: pixels must be u32
      pixels  [2,20,20] f32]
  `)
  expect(() => pipeline.launch(tensor(new Uint32Array(400), [1, 20, 20], 'u32'), plan))
    .toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: batch transforms: the shape of the pixels differs from the plan
      pixels  [1,20,20] u32
      expected [2,20,20]]
  `)
})
