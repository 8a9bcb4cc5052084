import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import sharp from 'sharp'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { OptionError } from '../../src/base/errors.ts'
import { resizeImages } from '../../src/data/resize-images.ts'
import { createNodePlatform } from '../../src/platform/node/index.ts'

let folder = ''
const platform = createNodePlatform({ threads: 0 })
const at = (...names: string[]) => join(folder, ...names)
const image = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: { r: 200, g: 100, b: 50 } } })

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wgrad-resize-'))
  for (const name of ['cat', 'dog']) mkdirSync(at('in', name), { recursive: true })
  writeFileSync(at('in', 'cat', 'wide.webp'), await image(90, 45).webp().toBuffer())
  writeFileSync(at('in', 'cat', 'small.png'), await image(7, 5).png().toBuffer())
  writeFileSync(at('in', 'dog', 'turned.jpg'), await image(60, 30).withMetadata({ orientation: 6 }).jpeg().toBuffer())
  writeFileSync(at('in', 'dog', 'broken.jpg'), 'not an image')
})
afterEach(() => rmSync(folder, { recursive: true }))

test('copies have at most the size, the same folders, and are upright; what cannot be decoded is named', async () => {
  const { copies, bad } = await resizeImages(at('in'), { size: 30, dest: at('out'), platform })
  const sizes = await Promise.all(
    copies.map(async (copy) => {
      const { width, height, format } = await sharp(copy).metadata()
      return [copy.slice(at('out').length + 1), width, height, format]
    }),
  )
  expect(sizes).toEqual([
    ['cat/small.jpg', 7, 5, 'jpeg'],
    ['cat/wide.jpg', 30, 15, 'jpeg'],
    ['dog/turned.jpg', 15, 30, 'jpeg'],
  ])
  expect(bad.map(({ path }) => path)).toEqual([at('in', 'dog', 'broken.jpg')])
  expect(bad[0].reason).toContain('not an image')
})

test('png keeps every pixel, and resume keeps copies that are there', async () => {
  mkdirSync(at('out', 'cat'), { recursive: true })
  writeFileSync(at('out', 'cat', 'wide.png'), 'of an earlier call')
  await resizeImages(at('in'), { size: 30, dest: at('out'), format: 'png', resume: true, platform })
  expect(readFileSync(at('out', 'cat', 'wide.png'), 'utf8')).toBe('of an earlier call')
  const { data } = await sharp(at('out', 'cat', 'small.png'))
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true })
  expect([...data.subarray(0, 3)]).toEqual([200, 100, 50])
})

test('copies among the images are no images at the next call', async () => {
  const again = () => resizeImages(at('in'), { size: 30, dest: at('in', 'small'), resume: true, platform })
  const { copies } = await again()
  expect((await again()).copies).toEqual(copies)
  expect(copies).toContain(at('in', 'small', 'cat', 'wide.jpg'))
  // Nor are images copies where they lie below those.
  expect((await resizeImages(at('in', 'cat'), { size: 30, dest: at('in'), platform })).copies).toEqual(
    ['small.jpg', 'wide.jpg'].map((name) => at('in', name)),
  )
})

test('what would write over an image is refused', async () => {
  await expect(resizeImages(at('in'), { size: 30, dest: `${at('in')}/`, platform })).rejects.toThrow(OptionError)
  symlinkSync(at('in'), at('link'))
  const before = readFileSync(at('in', 'dog', 'turned.jpg'))
  for (const dest of [at('link'), relative('.', at('in'))]) {
    await expect(resizeImages(at('in'), { size: 30, dest, platform })).rejects.toThrow(
      'dest is the folder of the images',
    )
  }
  expect(readFileSync(at('in', 'dog', 'turned.jpg')).equals(before)).toBe(true)
  await expect(resizeImages(at('in'), { size: 0, dest: at('out'), platform })).rejects.toThrow('size')
  writeFileSync(at('in', 'cat', 'wide.jpg'), await image(8, 8).jpeg().toBuffer())
  await expect(resizeImages(at('in'), { size: 30, dest: at('out'), platform })).rejects.toThrow(
    'two images would have one copy',
  )
})
