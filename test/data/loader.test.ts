import { describe, expect, test } from 'vitest'
import { DataError, OptionError } from '../../src/base/errors.ts'
import { flipItem, randomResizedCrop, resize, type ItemTransform } from '../../src/data/item-transforms.ts'
import { Loader, type EpochOptions } from '../../src/data/loader.ts'
import { Pictures } from '../../src/data/pictures.ts'
import { PixelCache } from '../../src/data/pixel-cache.ts'
import { DEFAULT_DECODING, type Decoding } from '../../src/image/decode-options.ts'
import type { ResizePlan } from '../../src/image/resize-plan.ts'
import { resizePixels } from '../../src/image/resize.ts'
import { fakePicture, fakePlatform, type FakePlatform } from '../helpers/fake-platform.ts'

interface Made {
  readonly loader: Loader
  readonly platform: FakePlatform
  readonly pictures: Pictures
}

function make(
  items: readonly string[],
  options: {
    split?: 'train' | 'valid'
    batchSize?: number
    transforms?: ItemTransform[]
    cache?: PixelCache
    platform?: FakePlatform
    depth?: number
    seed?: number
  } = {},
): Made {
  const {
    split = 'train',
    batchSize = 4,
    platform = fakePlatform(),
    cache = new PixelCache(2 ** 30),
    depth = 2,
    seed = 1,
  } = options
  const pictures = new Pictures({ platform, items, cache })
  const loader = new Loader({
    platform,
    pictures,
    split,
    batchSize,
    seed,
    depth,
    labels: Uint32Array.from(items, (_, i) => i % 3),
    vocab: ['a', 'b', 'c'],
    items: Uint32Array.from(items.keys()),
    itemTransforms: options.transforms ?? [],
    batchTransforms: [],
  })
  return { loader, platform, pictures }
}

const names = (count: number, size = '4x4'): string[] =>
  Array.from({ length: count }, (_, i) => `folder/${i}-${size}.png`)

/** Everything a pass gives, copied since the pixels are written over. */
async function all({ loader }: Made, pass: EpochOptions = {}) {
  const batches = []
  for await (const { host, free } of loader.hostBatches(pass)) {
    batches.push({ ...host, items: [...host.items], labels: [...host.labels], pixels: host.pixels.slice() })
    free()
  }
  return batches
}

describe('which items come when', () => {
  test('training visits every item at most once and leaves out the partial last batch', async () => {
    const made = make(names(10))
    const batches = await all(made)
    expect(batches.map(({ count, index }) => [index, count])).toEqual([
      [0, 4],
      [1, 4],
    ])
    expect(made.loader.batchCount).toBe(2)
    expect(made.loader.itemCount).toBe(8)
    expect(new Set(batches.flatMap(({ items }) => items)).size).toBe(8)
  })

  test('validation keeps the order, and pads the last batch with what it holds', async () => {
    const made = make(names(10), { split: 'valid' })
    const batches = await all(made)
    expect(batches.map(({ items }) => items)).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9, 8, 9],
    ])
    expect(batches.map(({ count }) => count)).toEqual([4, 4, 2])
    expect(batches[2].labels).toEqual([2, 0, 2, 0])
    expect(made.loader.batchCount).toBe(3)
    expect(made.loader.itemCount).toBe(10)
  })

  test('an epoch has an order of its own, the same whenever it is asked for', async () => {
    const order = async (seed: number, epoch: number) =>
      (await all(make(names(32), { seed }), { epoch })).flatMap(({ items }) => items)
    expect(await order(1, 3)).toEqual(await order(1, 3))
    expect(await order(1, 3)).not.toEqual(await order(1, 4))
    expect(await order(1, 3)).not.toEqual(await order(2, 3))
    expect([...(await order(1, 3))].sort((a, b) => a - b)).toEqual([...names(32).keys()])
  })

  test('a pass can be asked not to shuffle and to keep the last batch', async () => {
    const batches = await all(make(names(6)), { shuffle: false, dropLast: false })
    expect(batches.map(({ items, count }) => [...items, count])).toEqual([
      [0, 1, 2, 3, 4],
      [4, 5, 4, 5, 2],
    ])
  })

  test('fewer items than a batch: none in training, one in validation', async () => {
    expect(await all(make(names(3)))).toEqual([])
    expect((await all(make(names(3), { split: 'valid' }))).map(({ count }) => count)).toEqual([3])
  })
})

describe('the pixels', () => {
  test('are those of the items, one RGBA word each', async () => {
    const items = names(4, '5x3')
    const [batch] = await all(make(items, { split: 'valid' }))
    expect([batch.width, batch.height]).toEqual([5, 3])
    for (const [place, item] of batch.items.entries()) {
      const words = new Uint32Array(fakePicture(items[item]).data.buffer)
      expect([...batch.pixels.slice(place * 15, (place + 1) * 15)]).toEqual([...words])
    }
  })

  test('pictures of different sizes are refused, with the way out', async () => {
    await expect(all(make(['a-4x4', 'b-4x4', 'c-5x4', 'd-4x4'], { split: 'valid' }))).rejects
      .toThrowErrorMatchingInlineSnapshot(`
      [DataError: c-5x4: another size than the first image of its batch
        size   5 × 4
        first  4 × 4
        Fix: give \`itemTransforms: [resize(224)]\` to the DataBlock]
    `)
  })

  test('a crop lies in the middle in validation, at random in training, and the same for the same epoch', async () => {
    const items = names(4, '40x8')
    const transforms = [resize(8)]
    const middle = await all(make(items, { split: 'valid', transforms }))
    const expected = resizePixels(fakePicture(items[0]), { width: 8, height: 8, method: 'crop', position: [0.5, 0.5] })
    expect([...new Uint8Array(middle[0].pixels.buffer).slice(0, 256)]).toEqual([...expected.data])

    const drawn = (pass: EpochOptions) => all(make(items, { split: 'valid', transforms }), { draws: 'train', ...pass })
    const first = await drawn({ epoch: 1, pass: 1 })
    expect(await drawn({ epoch: 1, pass: 1 })).toEqual(first)
    expect((await drawn({ epoch: 1, pass: 2 }))[0].pixels).not.toEqual(first[0].pixels)
    expect((await drawn({ epoch: 2, pass: 1 }))[0].pixels).not.toEqual(first[0].pixels)
    expect(first[0].pixels).not.toEqual(middle[0].pixels)
  })
})

describe('preparing ahead', () => {
  const turns = () => new Promise((resolve) => setTimeout(resolve, 5))

  test('the next batches are asked for before they are wanted, but no more than the depth', async () => {
    const made = make(names(40), { split: 'valid', depth: 2 })
    const batches = made.loader.hostBatches()
    expect(made.platform.decoded).toEqual([])
    await batches.next()
    await turns()
    // The one given out, and two ahead.
    expect(made.platform.decoded.map(({ path }) => path)).toEqual(names(40).slice(0, 12))
    await batches.next()
    await turns()
    expect(made.platform.decoded.length).toBe(16)
    await batches.return()
    expect(made.platform.decoded.length).toBe(16)
  })

  test('batches come in order, however long each takes', async () => {
    const platform = fakePlatform({ manual: true })
    const made = make(names(12), { split: 'valid', platform })
    const result = all(made)
    for (let i = 0; i < 10; i++) {
      await turns()
      platform.release()
    }
    expect((await result).map(({ index }) => index)).toEqual([0, 1, 2])
  })

  test('a pass that is given up ends when nothing is being decoded for it any more', async () => {
    const platform = fakePlatform({ manual: true })
    const batches = make(names(40), { split: 'valid', platform }).loader.hostBatches()
    const first = batches.next()
    await turns()
    platform.release()
    await first
    await batches.next()
    let hasEnded = false
    const end = batches.return().then(() => (hasEnded = true))
    await turns()
    expect(hasEnded).toBe(false)
    platform.release()
    await end
  })

  test('a batch that fails before its turn fails the pass at its turn, and nothing else', async () => {
    const platform = fakePlatform({
      picture: (path) => {
        if (path.includes('/5-')) throw new OptionError('picture', 'fails')
        return fakePicture(path)
      },
    })
    const batches = make(names(12), { split: 'valid', platform }).loader.hostBatches()
    expect((await batches.next()).value?.host.index).toBe(0)
    await turns()
    await expect(batches.next()).rejects.toThrow('fails')
  })

  test('staging memory is used again once it is free', async () => {
    const made = make(names(40), { split: 'valid', depth: 1 })
    const arrays = new Set<Uint32Array>()
    for await (const { host, free } of made.loader.hostBatches()) {
      arrays.add(host.pixels)
      free()
    }
    expect(arrays.size).toBeLessThan(5)
  })
})

describe('decoding once', () => {
  const decodes = ({ platform }: Made) => platform.decoded.length

  test('a second epoch decodes nothing', async () => {
    const made = make(names(8, '6x6'), { transforms: [resize(4)] })
    const first = await all(made, { epoch: 0, shuffle: false })
    expect(decodes(made)).toBe(8)
    const second = await all(made, { epoch: 1, shuffle: false })
    expect(decodes(made)).toBe(8)
    expect(second).toEqual(first)
    // Square pictures are kept finished.
    expect(made.pictures.cache.usedBytes).toBe(8 * 4 * 4 * 4)
  })

  test('what depends on the draw is kept whole, and cropped as if it were decoded anew', async () => {
    const items = names(8, '12x6')
    const made = make(items, { transforms: [resize(4)] })
    const never = make(items, { transforms: [resize(4)], cache: new PixelCache(0) })
    expect(await all(made, { epoch: 0 })).toEqual(await all(never, { epoch: 0 }))
    expect(await all(made, { epoch: 1 })).toEqual(await all(never, { epoch: 1 }))
    expect([decodes(made), decodes(never)]).toEqual([8, 16])
    expect(made.pictures.cache.usedBytes).toBe(8 * 12 * 6 * 4)
  })

  test('with many decoding threads such pictures are decoded and cropped there', async () => {
    const platform = fakePlatform({ threads: 8 })
    const made = make(names(8, '12x6'), { transforms: [resize(4)], platform })
    await all(made, { epoch: 0 })
    await all(made, { epoch: 1 })
    expect(decodes(made)).toBe(16)
    expect(platform.decoded.filter(({ resize: plan }) => plan).length).toBeGreaterThan(7)
    expect(made.pictures.cache.usedBytes).toBe(0)
  })

  test('where threads share memory such pictures are decoded once, and cropped by the threads', async () => {
    const platform = fakePlatform({ threads: 8, shares: true })
    const made = make(names(8, '12x6'), { transforms: [randomResizedCrop(4)], platform })
    for (const epoch of [0, 1, 2]) await all(made, { epoch })
    const files = platform.decoded.filter(({ from }) => from === undefined)
    expect(files.map(({ share }) => share)).toEqual(Array(8).fill(true))
    // Nothing is resized where it would keep the calling thread.
    expect(platform.decoded.filter(({ from, resize: plan }) => from && plan)).toHaveLength(3 * 8)
    expect(made.pictures.cache.usedBytes).toBe(8 * 12 * 6 * 4)
  })

  test.each([
    ['square pictures, flipped', '6x6', [resize(4), flipItem()]],
    ['pictures cropped and flipped', '12x6', [flipItem(), resize(4)]],
    ['pictures only flipped', '6x5', [flipItem()]],
    ['random boxes, flipped', '12x6', [randomResizedCrop(4), flipItem()]],
    ['squished pictures', '12x6', [resize(4, { method: 'squish' }), flipItem(0.3)]],
  ])(
    '%s: remembered or decoded anew, by few or many threads, the pixels are the same',
    async (_name, size, transforms) => {
      const items = names(8, size)
      const keeping = make(items, { transforms })
      const others = [
        make(items, { transforms, cache: new PixelCache(0) }),
        make(items, { transforms, platform: fakePlatform({ threads: 8 }) }),
        make(items, { transforms, platform: fakePlatform({ threads: 8, shares: true }) }),
      ]
      const seen = []
      for (const draws of ['train', 'valid', 'train'] as const) {
        const expected = await all(keeping, { epoch: seen.length, shuffle: false, draws })
        for (const other of others) {
          expect(await all(other, { epoch: seen.length, shuffle: false, draws })).toEqual(expected)
        }
        seen.push(expected.map(({ pixels }) => pixels))
      }
      expect(seen[2]).not.toEqual(seen[0])
    },
  )

  test('what is the same in every epoch is decoded once, also after random boxes', async () => {
    for (const threads of [1, 8]) {
      const platform = fakePlatform({ threads })
      const made = make(names(8, '12x6'), { transforms: [randomResizedCrop(4)], platform })
      await all(made, { epoch: 0 })
      const before = decodes(made)
      await all(made, { epoch: 0, draws: 'valid' })
      await all(made, { epoch: 1, draws: 'valid' })
      // On one thread the pictures are kept whole.
      expect(decodes(made) - before).toBe(threads === 1 ? 0 : 8)
    }
  })

  test('a picture far larger than what is needed of it is not kept whole, and decoded to size where it is decoded', async () => {
    const items = [...names(4, '80x8'), ...names(4, '20x8').map((name) => name.replace('folder', 'other'))]
    const made = make(items, { transforms: [resize(3)], batchSize: 8 })
    const never = make(items, { transforms: [resize(3)], batchSize: 8, cache: new PixelCache(0) })
    for (const epoch of [0, 1, 2]) expect(await all(made, { epoch })).toEqual(await all(never, { epoch }))
    // 640 pixels are more than 64 times nine, 160 are not.
    expect(made.pictures.cache.usedBytes).toBe(4 * 20 * 8 * 4)
    expect(
      made.platform.decoded.slice(8).map(({ path, resize: plan }) => [path.slice(0, 6), plan !== undefined]),
    ).toEqual(new Array(8).fill(['folder', true]))
  })

  test('plans that differ in anything have images of their own in one memory', async () => {
    const turns: Pick<ResizePlan, 'mirror' | 'dihedral'>[] = [{}, { mirror: true }, { dihedral: 3 }, { dihedral: 5 }]
    const window = { method: 'window', width: 8, height: 8, padding: 1, padMode: 'zeros' } as const
    const square = { width: 4, height: 4, position: [0.5, 0.5] } as const
    const fixed: ResizePlan[] = [
      ...turns.flatMap((turned) => [
        { ...window, ...turned },
        { method: 'squish' as const, ...square, height: 3, ...turned },
      ]),
      { ...window, padMode: 'border' },
      { ...window, padMode: 'reflection' },
      ...[0, 2, 4].map((extra) => ({ method: 'middle' as const, width: 8, height: 8, extra })),
      { method: 'crop', ...square },
    ]
    const others: ResizePlan[] = [
      ...[0, 0.9].map((place) => ({ ...window, position: [place, place] as const })),
      { method: 'pad', ...square, height: 3 },
      ...turns.map((turned) => ({ method: 'whole' as const, ...turned })),
    ]
    const [item] = names(1, '6x6')
    const { pictures, platform } = make([item])
    const expectPixels = async (plan: ResizePlan) =>
      expect(await pictures.get(0, plan), JSON.stringify(plan)).toEqual(resizePixels(fakePicture(item), plan))
    for (const plan of [...fixed, ...fixed]) await expectPixels(plan)
    expect(platform.decoded).toHaveLength(fixed.length)
    expect(new Set(fixed.map((plan) => pictures.finishedName(0, plan))).size).toBe(fixed.length)
    // From here on the whole image is there as well.
    for (const plan of [...others, ...fixed]) await expectPixels(plan)
    expect(others.map((plan) => pictures.finishedName(0, plan) !== undefined)).toEqual(
      others.map(({ method, mirror, dihedral }) => method === 'whole' && !mirror && !dihedral),
    )
  })

  test('data sets that decode in different ways share a memory and no image', async () => {
    const platform = fakePlatform()
    const [cache, items] = [new PixelCache(2 ** 20), names(1)]
    const ways: Decoding[] = [
      DEFAULT_DECODING,
      { ...DEFAULT_DECODING, channels: 1 },
      { ...DEFAULT_DECODING, orientation: 'ignore' },
    ]
    for (const decoding of [...ways, ...ways]) {
      await new Pictures({ platform, items, cache, decoding }).get(0, { method: 'whole' })
    }
    expect(platform.decoded.map(({ decoding }) => decoding)).toEqual(ways)
  })

  test('an image that may be shrunk while it is decoded is not kept whole, which would give other pixels', async () => {
    const platform = fakePlatform()
    const decoding = { ...DEFAULT_DECODING, shrink: 'fast' } as const
    const pictures = new Pictures({ platform, items: names(1, '12x6'), cache: new PixelCache(2 ** 20), decoding })
    const plan = { method: 'crop', width: 4, height: 4, position: [0.2, 0.5] } as const
    for (let epoch = 0; epoch < 2; epoch++) await pictures.get(0, plan)
    expect(platform.decoded.map(({ resize: asked }) => asked)).toEqual([plan, plan])
  })

  test('an image counts once however often it is put, and a memory that was cleared takes images again', () => {
    const cache = new PixelCache(100)
    const pixels = fakePicture('4x4')
    expect([cache.put('a', pixels), cache.put('a', pixels), cache.usedBytes]).toEqual([true, true, 64])
    expect([cache.put('b', pixels), cache.full]).toEqual([false, true])
    cache.clear()
    expect([cache.full, cache.put('b', pixels), cache.get('a')]).toEqual([false, true, undefined])
  })

  test('a budget that is too small is said once, and changes no pixel', async () => {
    const items = names(8)
    const small = make(items, { transforms: [resize(4)], cache: new PixelCache(200) })
    const large = make(items, { transforms: [resize(4)] })
    for (const epoch of [0, 1]) expect(await all(small, { epoch })).toEqual(await all(large, { epoch }))
    expect(small.pictures.cache.usedBytes).toBeLessThanOrEqual(200)
    expect(small.platform.lines).toEqual([
      'the first 3 decoded images fill the 200 B set aside for them (cacheBytes); the others are decoded anew each epoch',
    ])
    expect(large.platform.lines).toEqual([])
  })
})

describe('images that cannot be decoded', () => {
  const withBroken = (count: number, ...broken: number[]) =>
    names(count).map((name, i) => (broken.includes(i) ? `broken/${i}-4x4.png` : name))

  test('in training another item of the batch takes the place, once said', async () => {
    const made = make(withBroken(200, 1), { batchSize: 4 })
    for (const epoch of [0, 1]) {
      const batches = await all(made, { epoch, shuffle: false })
      expect(batches[0].items).toEqual([0, 2, 3, 0])
      expect(batches[0].labels).toEqual([0, 2, 0, 0])
      expect(batches[0].count).toBe(4)
    }
    expect(made.platform.lines).toEqual(['left out: broken/1-4x4.png: not an image'])
    expect([...made.pictures.bad.keys()]).toEqual([1])
  })

  test('in validation it is not counted', async () => {
    const batches = await all(make(withBroken(200, 5), { split: 'valid' }))
    expect(batches[1].items).toEqual([4, 6, 7, 4])
    expect(batches[1].count).toBe(3)
    expect(batches.reduce((sum, { count }) => sum + count, 0)).toBe(199)
  })

  test('nor where the items of training are measured', async () => {
    const batches = await all(make(withBroken(200, 5)), { shuffle: false, dropLast: false })
    expect(batches[1].count).toBe(3)
    expect(batches.reduce((sum, { count }) => sum + count, 0)).toBe(199)
  })

  test('a batch of which nothing is left is passed over', async () => {
    const batches = await all(make(withBroken(400, 4, 5, 6, 7), { split: 'valid' }))
    expect(batches.length).toBe(99)
    expect(batches[1].index).toBe(2)
  })

  test('more than one in a hundred end the run, and some are named', async () => {
    const made = make(withBroken(100, 2, 50), { split: 'valid' })
    const failure = await all(made).then(
      () => undefined,
      (error: Error) => error,
    )
    expect(failure).toBeInstanceOf(DataError)
    expect(failure?.message).toContain('2 of 100')
    expect(failure?.message).toContain('broken/50-4x4.png')
  })

  test('one is always left out: a small set does not end in the middle of an epoch', async () => {
    const made = make(withBroken(12, 1), { split: 'valid' })
    expect((await all(made)).flatMap(({ items, count }) => items.slice(0, count))).toEqual([
      0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
    ])
    expect(made.platform.lines).toEqual(['left out: broken/1-4x4.png: not an image'])
  })

  test('a file that could not be read is tried again: the reason may have passed', async () => {
    let reachable = false
    const platform = fakePlatform({
      picture: (path) => {
        if (path.includes('/3-') && !reachable) throw new DataError(path, 'input/output error')
        return fakePicture(path)
      },
    })
    const made = make(names(12), { split: 'valid', platform })
    const counts = async () => (await all(made)).reduce((sum, { count }) => sum + count, 0)
    expect([await counts(), await counts()]).toEqual([11, 11])
    expect([...made.pictures.bad.keys()]).toEqual([3])
    reachable = true
    expect([await counts(), await counts()]).toEqual([12, 12])
    expect(made.pictures.bad.size).toBe(0)
    expect(platform.lines).toEqual([
      'left out: folder/3-4x4.png: input/output error',
      'could be read again: folder/3-4x4.png',
    ])
  })

  test('also when nobody waited for the batch that met them', async () => {
    const made = make(withBroken(40, 5, 6), { batchSize: 4 })
    for await (const { host } of made.loader.hostBatches({ shuffle: false })) {
      expect(host.index).toBe(0)
      break
    }
    expect(made.platform.lines).toEqual([
      'left out: broken/5-4x4.png: not an image',
      'left out: broken/6-4x4.png: not an image',
    ])
    await expect(all(made, { shuffle: false })).rejects.toThrow('too many images cannot be decoded')
  })
})

test('a batch size that is no number of items is refused', () => {
  expect(() => make(names(4), { batchSize: 0 })).toThrow(OptionError)
  expect(() => make(names(4), { batchSize: 2.5 })).toThrow('2.5')
})
