import { describe, expect, test } from 'vitest'
import { normalize, resize } from '../../src/browser.ts'
import { contactSheet } from '../../src/exports/data.ts'
import { ConvLayer, GlobalAvgPool, Init, Linear, Sequential } from '../../src/exports/nn.ts'
import { gradCam, Predictor } from '../../src/exports/train.ts'
import { draw, openPageGpu } from './helpers/images.ts'

const { gpu, lines } = await openPageGpu()
const { platform } = gpu

function predictor(): Predictor {
  const init = new Init(0)
  const model = new Sequential([
    new ConvLayer({ inChannels: 3, outChannels: 8, stride: 2, init }),
    new ConvLayer({ inChannels: 8, outChannels: 16, stride: 2, init }),
    new GlobalAvgPool(),
    new Linear(16, 3, init),
  ])
  return new Predictor({
    model,
    platform,
    vocab: ['red', 'green', 'blue'],
    itemTransforms: [resize(16)],
    batchTransforms: [normalize({ mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] })],
  })
}

const one = predictor()
const [width, height] = [64, 48]
const canvas = draw('green', 7, width, height)
const pixels = canvas.getContext('2d')!.getImageData(0, 0, width, height)
const expected = await one.predict({ width, height, data: new Uint8Array(pixels.data) })
const png = await canvas.convertToBlob()

/** An image element of a file, loaded. */
async function element(blob: Blob): Promise<HTMLImageElement> {
  const image = new Image()
  image.src = URL.createObjectURL(blob)
  await image.decode()
  // Its size on the page is not that of its pixels.
  image.width = 10
  return image
}

function pageCanvas(): HTMLCanvasElement {
  const made = document.createElement('canvas')
  Object.assign(made, { width, height })
  made.getContext('2d')!.drawImage(canvas, 0, 0)
  return made
}

describe('what a page has is predicted as its pixels are', () => {
  test.each([
    ['ImageData', () => pixels],
    ['an OffscreenCanvas', () => canvas],
    ['a canvas', pageCanvas],
    ['an ImageBitmap', () => createImageBitmap(canvas)],
    ['an image element', () => element(png)],
    ['a blob', () => png],
    ['a file', () => new File([png], 'green.png')],
    ['bytes', () => png.arrayBuffer()],
  ])('%s', async (_name, make) => {
    expect(await one.predict(await make())).toEqual(expected)
  })

  test('a frame of a video, up to what its colours are rounded by', async () => {
    const frame = new VideoFrame(canvas, { timestamp: 0 })
    const { probabilities } = await one.predict(frame)
    frame.close()
    probabilities.forEach((value, i) => expect(value).toBeCloseTo(expected.probabilities[i], 2))
    await expect(one.predict(frame)).rejects.toThrow('VideoFrame: it has no pixels')
  })

  test('a video, once it has a frame', async () => {
    const video = document.createElement('video')
    await expect(one.predict(video)).rejects.toThrow('wait for its first frame: the event loadeddata')
    const stream = await navigator.mediaDevices.getUserMedia({ video: true })
    video.muted = true
    video.srcObject = stream
    await video.play()
    const { probabilities } = await one.predict(video)
    expect(probabilities.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 4)
    for (const track of stream.getTracks()) track.stop()
  })

  test('several at once, in batches', async () => {
    const all = await one.predictAll([canvas, pixels, png, await createImageBitmap(canvas)])
    for (const { probabilities } of all) {
      probabilities.forEach((value, i) => expect(value).toBeCloseTo(expected.probabilities[i], 5))
    }
  })
})

test('parts of an image that speak for a label, as an image', async () => {
  const { overlay, toPng } = await gradCam(one, canvas)
  const drawn = await createImageBitmap(new Blob([new Uint8Array(await toPng())]))
  expect([drawn.width, drawn.height]).toEqual([overlay.width, overlay.height])
})

test('the fonts of the browser draw labels in every script', async () => {
  const labels = ['кошка', 'قطة', 'बिल्ली', '猫', 'a label that is wrapped']
  const drawn = await Promise.all(
    labels.map((text) => platform.drawText!({ text, width: 60, size: 13, color: [190, 0, 10] })),
  )
  expect(new Set(drawn.map((image) => image?.data.join())).size).toBe(labels.length)
  for (const image of drawn) {
    expect(image!.width).toBe(60)
    // Firefox draws a letter that no font has as a thin box, none of whose pixels is opaque.
    const alphas = image!.data.filter((_, i) => i % 4 === 3)
    const pixel = alphas.indexOf(Math.max(...alphas)) * 4
    const [red, green, blue] = image!.data.subarray(pixel, pixel + 3)
    expect(Math.max(Math.abs(red - 190), green, Math.abs(blue - 10)), `${[red, green, blue]}`).toBeLessThan(3)
  }
  expect(drawn[4]!.height).toBeGreaterThan(drawn[0]!.height)
  const tiles = labels.map((label) => ({ image: { width, height, data: new Uint8Array(pixels.data) }, label }))
  const sheet = await createImageBitmap(new Blob([new Uint8Array(await contactSheet(tiles, 'png', platform))]))
  expect(sheet.width).toBeGreaterThan(300)
  expect(lines).toEqual([])
})
