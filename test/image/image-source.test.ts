import { expect, test } from 'vitest'
import { DataError, OptionError } from '../../src/base/errors.ts'
import { openImage, type ImageSource } from '../../src/image/image-source.ts'

const open = (source: unknown, options = {}) => openImage(source as ImageSource, { where: 'predict', ...options })

test('paths, bytes and blobs become files for the decoder', async () => {
  expect(await open('cat.jpg')).toEqual({ path: 'cat.jpg' })
  const bytes = Uint8Array.of(1, 2, 3)
  expect(await open(bytes, { name: 'image 4' })).toEqual({ path: 'image 4', bytes })
  expect(await open(bytes.buffer)).toEqual({ path: 'the image', bytes })
  expect(await open(Buffer.from(bytes))).toMatchObject({ bytes: Buffer.from(bytes) })
  expect(await open(new Blob([bytes]))).toEqual({ path: 'the image', bytes })
  expect(await open(new File([bytes], 'cat.png'))).toEqual({ path: 'cat.png', bytes })
})

test('a blob that has changed is named', async () => {
  const gone = { name: 'cat.png', size: 3, arrayBuffer: () => Promise.reject(new Error('NotReadableError')) }
  await expect(open(gone)).rejects.toThrow(DataError)
  await expect(open(gone)).rejects.toThrowErrorMatchingInlineSnapshot(`
    [DataError: cat.png: the file cannot be read
      reason  NotReadableError
      Fix: it may have changed since it was chosen: choose it again]
  `)
})

test('pixels of one, three and four bytes become RGBA', async () => {
  const size = { width: 2, height: 1 }
  const pixels = async (data: Uint8Array | Uint8ClampedArray) => (await open({ ...size, data })).pixels
  expect(await pixels(Uint8Array.of(7, 9))).toEqual({ ...size, data: Uint8Array.of(7, 7, 7, 255, 9, 9, 9, 255) })
  const rgb = Uint8ClampedArray.of(1, 2, 3, 4, 5, 6)
  expect(await pixels(rgb)).toEqual({ ...size, data: Uint8Array.of(1, 2, 3, 255, 4, 5, 6, 255) })
  const rgba = Uint8ClampedArray.of(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
  // A view into larger memory, without a copy.
  expect(await pixels(rgba.subarray(1, 9))).toEqual({ ...size, data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) })
  await expect(pixels(Uint8Array.of(1, 2, 3))).rejects.toThrowErrorMatchingInlineSnapshot(`
    [OptionError: predict: the number of bytes does not match the size of the image
      width   2
      height  1
      bytes   3
      expected one byte per pixel (grey), three (red, green, blue), or four, of which the last is ignored]
  `)
  await expect(open({ width: 0, height: 0, data: new Uint8Array() })).rejects.toThrow(OptionError)
})

test('a drawable is read by the platform, and refused where there is none', async () => {
  const bitmap = { width: 2, height: 2 }
  const pixels = { ...bitmap, data: new Uint8Array(16) }
  const draw = (image: object) => (image === bitmap ? pixels : undefined)
  expect(await open(bitmap, { draw })).toEqual({ path: 'the image', pixels })
  await expect(open(bitmap)).rejects.toThrowErrorMatchingInlineSnapshot(`
    [OptionError: predict: this is not an image
      the image  { width, height }
      expected a path, the bytes of an image file (Uint8Array, ArrayBuffer, Blob, File), or pixels { width, height, data }]
  `)
})

test.each([
  ['an empty path', '', "''"],
  ['nothing', undefined, 'undefined'],
  ['a list', ['a.jpg', 'b.jpg'], 'Fix: pass several images to predictAll'],
  ['a promise', Promise.resolve('a.jpg'), 'Fix: await it'],
  ['floats', { width: 1, height: 1, data: new Float32Array(4) }, '{ width, height, data }'],
])('%s is refused', async (_name, source, says) => {
  await expect(open(source)).rejects.toThrow(OptionError)
  await expect(open(source)).rejects.toThrow(says)
})
