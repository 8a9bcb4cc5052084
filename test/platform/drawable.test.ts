import { afterEach, expect, test, vi } from 'vitest'
import { DataError } from '../../src/base/errors.ts'
import { drawablePixels } from '../../src/platform/browser/drawable.ts'

/** A page's canvas whose pixels are what was drawn onto it last; a drawable carries them in `shown`. */
class FakeCanvas {
  readonly width: number
  readonly height: number
  shown: number[] = []

  constructor(width: number, height: number) {
    this.width = width
    this.height = height
  }

  getContext() {
    return {
      drawImage: (image: FakeCanvas, ...place: number[]) => {
        const whole = place.join() === [0, 0, this.width, this.height].join()
        this.shown = whole ? image.shown : []
      },
      getImageData: () => {
        if (this.shown.length === 0) throw Object.assign(new Error('tainted'), { name: 'SecurityError' })
        return { data: Uint8ClampedArray.from(this.shown) }
      },
    }
  }
}
class FakeVideo {
  readonly width = 1000
  readonly height = 1000
  readonly videoWidth: number
  readonly videoHeight = 1
  readonly shown: number[]
  constructor(shown: number[]) {
    this.shown = shown
    this.videoWidth = shown.length / 4
  }
}
class FakeFrame {
  readonly displayWidth = 1
  readonly displayHeight = 1
  readonly codedWidth = 16
  readonly shown = [5, 6, 7, 8]
}

afterEach(() => void vi.unstubAllGlobals())

function page(): void {
  vi.stubGlobal('OffscreenCanvas', FakeCanvas)
  vi.stubGlobal('HTMLVideoElement', FakeVideo)
  vi.stubGlobal('VideoFrame', FakeFrame)
}

test('a canvas, a video and its frame are read in the size of their pixels', () => {
  page()
  const canvas = new FakeCanvas(1, 1)
  canvas.shown = [1, 2, 3, 4]
  expect(drawablePixels(canvas)).toEqual({ width: 1, height: 1, data: Uint8Array.of(1, 2, 3, 4) })
  const pixels = { width: 2, height: 1, data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) }
  expect(drawablePixels(new FakeVideo([1, 2, 3, 4, 5, 6, 7, 8]))).toEqual(pixels)
  expect(drawablePixels(new FakeFrame())).toEqual({ width: 1, height: 1, data: Uint8Array.of(5, 6, 7, 8) })
})

test('anything else is not one, also where the page has none of the classes', () => {
  expect(drawablePixels({ width: 2, height: 2 })).toBeUndefined()
  page()
  expect(drawablePixels({ width: 2, height: 2 })).toBeUndefined()
})

test('a video without a frame and an image of another origin are refused with what to do', () => {
  page()
  expect(() => drawablePixels(new FakeVideo([]))).toThrow(DataError)
  expect(() => drawablePixels(new FakeVideo([]))).toThrow('wait for its first frame: the event loadeddata')
  expect(() => drawablePixels(new FakeCanvas(2, 2))).toThrow('crossorigin="anonymous"')
})
