/** Changes of the pixels of one image, as the augmentations of torchvision make them with Pillow. */
import { OptionError } from '../base/errors.ts'
import type { Pixels } from './pixels.ts'

/** Change of an image as data, which can be sent to a thread. */
export interface PixelEdit {
  readonly op: PixelOperation
  /**
   * Strength: a slope for shears, pixels for translations, degrees for 'rotate', a factor of 1 + `by` for brightness, color,
   * contrast and sharpness, bits that remain for 'posterize', a value from 0 to 255 for 'solarize', unused otherwise.
   */
  readonly by: number
}

/** Name of a change of an image. */
export type PixelOperation = keyof typeof OPERATIONS

type Operation = (image: Pixels, by: number) => Uint8Array

/**
 * Operations by name. Where an image is moved, the nearest pixel is taken, and what comes from beyond its border is black.
 *
 * Source: torchvision transforms/autoaugment.py, _apply_op; Pillow ImageEnhance, ImageOps and Geometry.c.
 */
const OPERATIONS = {
  // Both shears keep the top left corner.
  shearX: (image, by) => moved(image, [1, by, 0, 0, 1, 0]),
  shearY: (image, by) => moved(image, [1, 0, 0, by, 1, 0]),
  translateX: (image, by) => moved(image, [1, 0, -Math.trunc(by), 0, 1, 0]),
  translateY: (image, by) => moved(image, [1, 0, 0, 0, 1, -Math.trunc(by)]),
  rotate: (image, by) => moved(image, rotation(image, by)),
  brightness: (image, by) => blended(image, by, () => 0),
  color: (image, by) => {
    const gray = grayOf(image)
    return blended(image, by, (at) => gray[at >> 2])
  },
  contrast: (image, by) => {
    const gray = grayOf(image)
    const mean = Math.trunc(gray.reduce((sum, value) => sum + value, 0) / gray.length + 0.5)
    return blended(image, by, () => mean)
  },
  sharpness: (image, by) => {
    const smooth = smoothed(image)
    return blended(image, by, (at) => smooth[at])
  },
  posterize: (image, by) => mapped(image, () => (value) => value & ~(2 ** (8 - by) - 1)),
  solarize: (image, by) => mapped(image, () => (value) => (value < by ? value : 255 - value)),
  autoContrast: (image) => mapped(image, stretched),
  equalize: (image) => mapped(image, equalized),
} satisfies Readonly<Record<string, Operation>>

/**
 * Makes the changes one after the other.
 *
 * @returns  a new image of the same size, or the one that was given if there is nothing to change
 * @throws OptionError  for an operation that does not exist
 */
export function editPixels(image: Pixels, edits: readonly PixelEdit[]): Pixels {
  return edits.reduce((before, { op, by }) => {
    if (!Object.hasOwn(OPERATIONS, op)) {
      throw new OptionError('editPixels', `there is no operation '${op}'`, {
        expected: Object.keys(OPERATIONS).join(', '),
      })
    }
    const operation: Operation = OPERATIONS[op]
    return { ...before, data: operation(before, by) }
  }, image)
}

/** Map from a position in the output to one in the input: x' = a·x + b·y + c, y' = d·x + e·y + f. */
type Map2d = readonly [a: number, b: number, c: number, d: number, e: number, f: number]

/** Fraction bits of a position. Source: Pillow Geometry.c, affine_fixed. */
const FIXED = 65536

/** Takes the nearest pixel of every position; black beyond the border. */
function moved({ width, height, data }: Pixels, [a, b, c, d, e, f]: Map2d): Uint8Array {
  const fixed = (value: number) => Math.floor(value * FIXED + 0.5)
  const [xx, xy, x0] = [fixed(a), fixed(b), fixed(c + a * 0.5 + b * 0.5)]
  const [yx, yy, y0] = [fixed(d), fixed(e), fixed(f + d * 0.5 + e * 0.5)]
  const out = new Uint8Array(data.length)
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to += 4) {
      const fromX = Math.floor((xx * x + xy * y + x0) / FIXED)
      const fromY = Math.floor((yx * x + yy * y + y0) / FIXED)
      out[to + 3] = 255
      if (fromX < 0 || fromY < 0 || fromX >= width || fromY >= height) continue
      const from = 4 * (fromY * width + fromX)
      for (let channel = 0; channel < 3; channel++) out[to + channel] = data[from + channel]
    }
  }
  return out
}

/** Rotation counterclockwise around the center. Source: Pillow Image.py, rotate. */
function rotation({ width, height }: Pixels, degrees: number): Map2d {
  const angle = (-degrees * Math.PI) / 180
  // Pillow rounds to 15 decimal places, so that right angles are exact.
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)].map((value) => Number(value.toFixed(15)))
  const [x, y] = [width / 2, height / 2]
  return [cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y]
}

/**
 * Moves every value away from that of another image: other + (1 + by)·(value − other).
 *
 * @param other  value of the other image at a place in the data
 * Source: Pillow ImageEnhance.py, Blend.c.
 */
function blended({ data }: Pixels, by: number, other: (at: number) => number): Uint8Array {
  const factor = Math.fround(1 + by)
  const out = new Uint8Array(data.length)
  for (let at = 0; at < data.length; at++) {
    if (at % 4 === 3) out[at] = 255
    else {
      const from = other(at)
      const value = Math.fround(from + Math.fround(factor * (data[at] - from)))
      out[at] = Math.max(0, Math.min(255, value))
    }
  }
  return out
}

/** Luma of every pixel. Source: Pillow Convert.c, L24 (ITU-R 601-2). */
function grayOf({ data }: Pixels): Uint8Array {
  return Uint8Array.from({ length: data.length >> 2 }, (_, pixel) => {
    const [red, green, blue] = [data[4 * pixel], data[4 * pixel + 1], data[4 * pixel + 2]]
    return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16
  })
}

/** Weighted mean of every pixel, 5/13, and its eight neighbors; the border stays. Source: Pillow ImageFilter.py, SMOOTH. */
function smoothed({ width, height, data }: Pixels): Uint8Array {
  const out = data.slice()
  for (let y = 1; y < height - 1; y++) {
    for (let x = 1; x < width - 1; x++) {
      for (let channel = 0; channel < 3; channel++) {
        const at = 4 * (y * width + x) + channel
        let sum = 4 * data[at]
        for (let row = -1; row <= 1; row++) {
          for (let column = -1; column <= 1; column++) sum += data[at + 4 * (row * width + column)]
        }
        out[at] = Math.floor(sum / 13 + 0.5)
      }
    }
  }
  return out
}

/** Applies a table of 256 values to each color; `tableOf` makes it from how often each value occurs. */
function mapped({ data }: Pixels, tableOf: (counts: Uint32Array) => (value: number) => number): Uint8Array {
  const out = new Uint8Array(data.length).fill(255)
  for (let channel = 0; channel < 3; channel++) {
    const counts = new Uint32Array(256)
    for (let at = channel; at < data.length; at += 4) counts[data[at]]++
    const value = tableOf(counts)
    const table = Uint8Array.from({ length: 256 }, (_, i) => Math.max(0, Math.min(255, Math.trunc(value(i)))))
    for (let at = channel; at < data.length; at += 4) out[at] = table[data[at]]
  }
  return out
}

/** Stretches the values that occur to 0 … 255. Source: Pillow ImageOps.py, autocontrast. */
function stretched(counts: Uint32Array): (value: number) => number {
  const low = counts.findIndex((count) => count > 0)
  const high = counts.findLastIndex((count) => count > 0)
  if (high <= low) return (value) => value
  const scale = 255 / (high - low)
  return (value) => value * scale + -low * scale
}

/** Spreads the values so that all are about equally frequent. Source: Pillow ImageOps.py, equalize. */
function equalized(counts: Uint32Array): (value: number) => number {
  const occurring = counts.filter((count) => count > 0)
  const total = counts.reduce((sum, count) => sum + count, 0)
  const step = Math.floor((total - (occurring.at(-1) ?? 0)) / 255)
  if (occurring.length <= 1 || step === 0) return (value) => value
  let before = Math.floor(step / 2)
  const table = Array.from(counts, (count) => {
    const value = Math.floor(before / step)
    before += count
    return value
  })
  return (value) => table[value]
}
