import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  addFiles,
  CategoryBlock,
  createBrowserPlatform,
  DataBlock,
  getImageFiles,
  ImageBlock,
  parentLabel,
  randomResizedCrop,
  removeFiles,
  resize,
} from '../../src/browser.ts'
import { colours, imageFile, openPageGpu } from './helpers/images.ts'

const { gpu } = await openPageGpu()

let added = ''
afterEach(() => {
  removeFiles(added)
})

/** Photographs of 12 megapixels. */
async function photographs(count: number): Promise<string> {
  const files = new Map<string, Blob>()
  for (let i = 0; i < count; i++) {
    const colour = colours[i % colours.length]
    const canvas = new OffscreenCanvas(4000, 3000)
    const drawing = canvas.getContext('2d')!
    drawing.drawImage(await createImageBitmap(await imageFile(colour, i, 64)), 0, 0, 4000, 3000)
    files.set(`${colour}/${i}.jpg`, await canvas.convertToBlob({ type: 'image/jpeg' }))
  }
  added = await addFiles(files)
  return added
}

describe('photographs in a tab', () => {
  test.each([
    ['fitted', resize(64)],
    ['cropped at random', randomResizedCrop(64, { minScale: 0.5 })],
  ])('are decoded at the size that is needed, %s, and none is kept whole', async (_name, transform) => {
    const path = await photographs(6)
    const asked: unknown[] = []
    const { decoder } = gpu.platform
    const decode = decoder.decode.bind(decoder)
    decoder.decode = (request) => {
      asked.push(request.resize)
      return decode(request)
    }
    const block = new DataBlock({
      blocks: [ImageBlock(), CategoryBlock()],
      getItems: getImageFiles,
      getY: parentLabel,
      itemTransforms: [transform],
      splitter: (items) => ({
        train: Uint32Array.from({ length: items.length - 1 }, (_, i) => i),
        valid: Uint32Array.of(5),
      }),
    })
    try {
      const loaders = await block.loaders(path, { batchSize: 2 })
      for (let epoch = 0; epoch < 2; epoch++) {
        for await (const { host, free } of loaders.train.hostBatches({ epoch })) {
          expect([host.width, host.height]).toEqual([64, 64])
          free()
        }
      }
      expect(asked.length).toBeGreaterThan(0)
      // A whole one has 48 MB, which would come to the thread that draws the page.
      expect(asked.every((resizing) => resizing !== undefined)).toBe(true)
      expect(loaders.train.pictures.cache.usedBytes).toBeLessThan(6 * 64 * 64 * 4 + 1)
    } finally {
      decoder.decode = decode
    }
  })

  test('have the pixels of the whole image, nearly', async () => {
    const path = await photographs(1)
    const [file] = await getImageFiles(path)
    const plan = { method: 'crop', width: 32, height: 32, position: [0.5, 0.5] } as const
    const shrunk = await gpu.platform.decoder.decode({ path: file, resize: plan })
    const bitmap = await createImageBitmap(
      await (gpu.platform.files as unknown as { blob(p: string): Promise<Blob> }).blob(file),
    )
    expect([bitmap.width, bitmap.height]).toEqual([4000, 3000])
    const canvas = new OffscreenCanvas(32, 32)
    const drawing = canvas.getContext('2d')!
    drawing.imageSmoothingQuality = 'high'
    drawing.drawImage(bitmap, 500, 0, 3000, 3000, 0, 0, 32, 32)
    const { data } = drawing.getImageData(0, 0, 32, 32)
    const apart = shrunk.data.reduce((sum, value, i) => sum + Math.abs(value - data[i]), 0) / data.length
    expect(apart).toBeLessThan(2)
  })

  test('are kept within a part of the memory that the device has', () => {
    const { deviceMemory } = navigator as { readonly deviceMemory?: number }
    expect(gpu.platform.availableBytes!()).toBe((deviceMemory ?? 2) * 2 ** 29)
    expect(gpu.platform.drawsPage).toBe(true)
  })
})

test('a worker that decodes ends after a while without images, and another one starts with the next', async () => {
  const end = vi.spyOn(Worker.prototype, 'terminate')
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const { decoder } = createBrowserPlatform({ threads: 1 })
  try {
    const bytes = new Uint8Array(await (await imageFile('red', 1, 8)).arrayBuffer())
    const decode = async () => (await decoder.decode({ path: 'red.png', bytes })).width
    expect(await decode()).toBe(8)
    vi.advanceTimersByTime(29_000)
    expect(await decode()).toBe(8)
    vi.advanceTimersByTime(29_000)
    expect(end).not.toHaveBeenCalled()
    vi.advanceTimersByTime(1000)
    expect(end).toHaveBeenCalledOnce()
    expect(await decode()).toBe(8)
  } finally {
    vi.useRealTimers()
    end.mockRestore()
    await decoder.close()
  }
})
