import { describe, expect, test } from 'vitest'
import { OptionError } from '../../src/base/errors.ts'
import { flipItem, randomResizedCrop, resize, type ItemTransform } from '../../src/data/item-transforms.ts'
import { Loader, type EpochOptions } from '../../src/data/loader.ts'
import { Pictures } from '../../src/data/pictures.ts'
import { PixelCache } from '../../src/data/pixel-cache.ts'
import { ResidentImages, residentBudget } from '../../src/data/resident-images.ts'
import { read, tensor } from '../../src/tensor/read-write.ts'
import { fakePlatform } from '../helpers/fake-platform.ts'
import { openTestGpu } from '../helpers/gpu.ts'

const gpu = await openTestGpu()

const names = (count: number, size = '6x6') => Array.from({ length: count }, (_, i) => `folder/${i}-${size}.png`)

function make(
  items: readonly string[],
  {
    gpuBytes = 2 ** 40,
    split = 'train',
    transforms = [resize(4)],
  }: { gpuBytes?: number; split?: 'train' | 'valid'; transforms?: ItemTransform[] } = {},
) {
  const cache = new PixelCache(2 ** 28, { gpuBytes })
  const platform = fakePlatform()
  const pictures = new Pictures({ platform, items, cache, tolerated: 3 })
  const loader = new Loader({
    platform,
    pictures,
    split,
    batchSize: 4,
    seed: 1,
    labels: Uint32Array.from(items, (_, i) => i % 3),
    vocab: ['a', 'b', 'c'],
    items: Uint32Array.from(items.keys()),
    itemTransforms: transforms,
    batchTransforms: [],
  })
  return { loader, images: cache.onGpu(gpu) }
}

/** Batches of a pass as the network would see them, and how many bytes of pixels were sent to the GPU for them. */
async function all({ loader }: ReturnType<typeof make>, pass: EpochOptions) {
  const batches = []
  let sent = 0
  const { write } = gpu.queue
  gpu.queue.write = (target, offset, data) => {
    // Labels are smaller than an image.
    if (data.byteLength >= 4 * 4 * 4) sent += data.byteLength
    write.call(gpu.queue, target, offset, data)
  }
  try {
    for await (const { items, count, labels, targets, pixels } of loader.batches(pass)) {
      const read1 = await Promise.all([read(pixels), read(targets.a)])
      batches.push({ count, items: [...items], labels: [...labels], pixels: [...read1[0]], targets: [...read1[1]] })
    }
  } finally {
    gpu.queue.write = write
  }
  return { batches, sent }
}

describe('a data set in the memory of the GPU', () => {
  test.each([
    ['training', 'train', names(13)],
    ['a partial last batch', 'valid', names(10)],
    ['files that cannot be decoded', 'train', names(12).map((name, i) => (i === 5 ? `${name}-broken` : name))],
  ] as const)('has the same batches: %s', async (_name, split, items) => {
    const [with_, without] = [make(items, { split }), make(items, { split, gpuBytes: 0 })]
    const sent = []
    for (const epoch of [0, 1, 2, 3]) {
      const [given, expected] = [await all(with_, { epoch }), await all(without, { epoch })]
      expect(given.batches).toEqual(expected.batches)
      sent.push(given.sent)
    }
    expect(sent[0]).toBeGreaterThan(0)
    // An item that is missing makes its batch one that is sent.
    if (!items.some((item) => item.includes('broken'))) expect(sent[3]).toBe(0)
    expect(without.images.count).toBe(0)
  })

  test('of which only a part fits is sent in part', async () => {
    const items = names(16)
    const [with_, without] = [make(items), make(items, { gpuBytes: 0 })]
    const { images } = with_
    const { keep } = images
    images.keep = (name, ...rest) => {
      if (images.count < 6) keep.call(images, name, ...rest)
    }
    const sent = []
    for (const epoch of [0, 1, 2, 3]) {
      const [given, expected] = [await all(with_, { epoch }), await all(without, { epoch })]
      expect(given.batches).toEqual(expected.batches)
      sent.push(given.sent / (4 * 4 * 4))
    }
    expect(images.count).toBe(6)
    expect([sent[0], sent[3]]).toEqual([16, 10])
  })

  test('holds nothing that depends on a random place', async () => {
    const made = make(names(8, '12x6'), { transforms: [randomResizedCrop(4), flipItem()] })
    for (const epoch of [0, 1]) expect((await all(made, { epoch })).sent).toBe(2 * 4 * 4 * 4 * 4)
    expect(made.images.count).toBe(0)
  })

  test('images of two sizes are refused, also where both are there already', async () => {
    const items = [...names(4, '6x6'), ...names(4, '4x4')]
    const { loader, images } = make(items, { split: 'valid', transforms: [] })
    const of = (...places: number[]) => ({ loader: loader.with({ items: Uint32Array.from(places) }), images })
    for (const epoch of [0, 1, 2]) for (const some of [of(0, 1, 2, 3), of(4, 5, 6, 7)]) await all(some, { epoch })
    expect(images.count).toBe(8)
    await expect(all(of(0, 1, 4, 5), {})).rejects.toThrow(
      'folder/0-4x4.png: another size than the first image of its batch',
    )
  })

  test('mirrored images are images of their own', async () => {
    const transforms = [resize(4), flipItem()]
    const [with_, without] = [make(names(8), { transforms }), make(names(8), { transforms, gpuBytes: 0 })]
    for (const epoch of [0, 1, 2, 3, 4]) {
      expect((await all(with_, { epoch })).batches).toEqual((await all(without, { epoch })).batches)
    }
    expect(with_.images.count).toBeGreaterThan(8)
  })

  test('grows to its budget and no further, and keeps what it has', async () => {
    // As another GPU, of which nothing is used yet.
    const images = new ResidentImages(Object.create(gpu) as typeof gpu, 150 * 2 ** 20)
    const source = tensor(
      Uint32Array.from({ length: 16 }, (_, i) => i),
      [4, 4],
      'u32',
    )
    const large = { width: 2 ** 12, height: 2 ** 12 }
    for (let n = 0; n < 6; n++) {
      images.keep(`${n}`, source.view, { width: 4, height: 4 })
      // Each fills a buffer of 64 MiB of its own, after which there is a buffer for what is small.
      images.keep(`large ${n}`, { ...source.view, size: 4 * large.width * large.height }, large)
      await gpu.device.queue.onSubmittedWorkDone()
      await new Promise((resolve) => setTimeout(resolve, 0))
    }
    expect(images.usedBytes).toBe(2 * 64 * 2 ** 20)
    expect(images.get('1')).toMatchObject({ width: 4, height: 4 })
  })

  test('without memory for it, training goes on, and it is not asked for again', async () => {
    const made = make(names(13))
    const { popErrorScope } = gpu.device
    let asked = 0
    // As a driver answers that has none left.
    gpu.device.popErrorScope = async () => {
      await popErrorScope.call(gpu.device)
      asked++
      return { message: 'there is no memory left' }
    }
    try {
      const { batches } = await all(made, { epoch: 0 })
      await all(made, { epoch: 1 })
      expect(batches).toHaveLength(3)
    } finally {
      gpu.device.popErrorScope = popErrorScope
    }
    expect([made.images.count, asked]).toEqual([0, 1])
  })

  test('is none on a software adapter, and 1 GiB on others', () => {
    expect(residentBudget({ ...gpu, software: true } as typeof gpu)).toBe(0)
    expect(residentBudget({ ...gpu, software: false } as typeof gpu)).toBe(2 ** 30)
    expect(() => new PixelCache(0, { gpuBytes: -1 })).toThrow(OptionError)
  })
})
