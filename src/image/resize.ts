/** Resizing of an image exactly as fastai's item transforms do it with Pillow: the same crop, the same 8-bit pixels. */
import { OptionError } from '../base/errors.ts'
import { checkPadMode, type PadMode, type ResizePlan, type WindowPlan } from './resize-plan.ts'
import type { Pixels } from './pixels.ts'
import { BOX_NUMBERS, middleBox, randomBox, type Box } from './box.ts'

/**
 * Mirrors or turns the image if asked to, takes a box of it (or squishes, or pads) and resamples that bilinearly.
 *
 * @param source  8-bit RGBA; its alpha is ignored
 * @returns       plan.width × plan.height, alpha 255; a copy where nothing changes
 * @throws OptionError  when the plan's numbers are out of range
 *
 * Source: fastai vision/augment.py, FlipItem, DihedralItem, Resize.encodes, RandomResizedCrop, RandomCrop and crop_pad.
 */
export function resizePixels(source: Pixels, plan: ResizePlan): Pixels {
  const box = resizeBox(source.width, source.height, plan)
  const turned = turnedPixels(source, plan)
  const { width, height } = plan.method === 'whole' ? turned : plan
  const padMode = 'padMode' in plan ? plan.padMode : undefined
  if (plan.method !== 'middle') return resample(turned, box, width, height, padMode)
  const larger = resample(turned, box, width + plan.extra, height + plan.extra)
  return resample(larger, { left: plan.extra / 2, top: plan.extra / 2, width, height }, width, height)
}

/** The image with left and right exchanged. */
export function mirrored({ width, height, data }: Pixels): Pixels {
  const target = new Uint8Array(data.length)
  const from = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const to = new DataView(target.buffer)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) to.setUint32((y * width + x) * 4, from.getUint32(((y + 1) * width - 1 - x) * 4))
  }
  return { width, height, data: target }
}

/** Returns the image as the flips and turns of a plan leave it; the image itself if there are none. */
export function turnedPixels(
  source: Pixels,
  { mirror, dihedral = 0 }: Pick<ResizePlan, 'mirror' | 'dihedral'>,
): Pixels {
  return dihedral > 0 ? dihedralPixels(source, dihedral) : mirror ? mirrored(source) : source
}

/** True if a symmetry exchanges width and height: those that turn by 90° and those that mirror at a diagonal. */
function exchangesSides(dihedral = 0): boolean {
  return dihedral === 3 || dihedral > 4
}

/**
 * Applies a symmetry of the square: 0 none, 1 exchanges left and right, 2 top and bottom, 3 turns by 90° counterclockwise, 4
 * by 180°, 5 by 270°, 6 exchanges rows and columns, 7 mirrors at the other diagonal.
 *
 * Source: fastai vision/core.py, PILImage.dihedral; Pillow Image.Transpose.
 */
export function dihedralPixels(source: Pixels, k: number): Pixels {
  const exchanged = exchangesSides(k)
  const [width, height] = exchanged ? [source.height, source.width] : [source.width, source.height]
  const [lastX, lastY] = [source.width - 1, source.height - 1]
  const target = new Uint8Array(source.data.length)
  const from = new DataView(source.data.buffer, source.data.byteOffset, source.data.byteLength)
  const to = new DataView(target.buffer)
  const [flipsX, flipsY] = [[1, 3, 4, 7].includes(k), [2, 4, 5, 7].includes(k)]
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [u, v] = exchanged ? [y, x] : [x, y]
      const column = flipsX ? lastX - u : u
      const row = flipsY ? lastY - v : v
      to.setUint32((y * width + x) * 4, from.getUint32((row * source.width + column) * 4))
    }
  }
  return { width, height, data: target }
}

type ImageSize = Pick<Pixels, 'width' | 'height'>

/**
 * True if the result of a plan depends on the random place of its crop; `undefined` where the size of the image decides and
 * is not given.
 */
export function dependsOnPlace(plan: ResizePlan, image: ImageSize): boolean
export function dependsOnPlace(plan: ResizePlan): boolean | undefined
export function dependsOnPlace(plan: ResizePlan, image?: ImageSize): boolean | undefined {
  if (plan.method === 'random-crop') return true
  if (plan.method === 'window') return plan.position !== undefined
  if (plan.method !== 'crop' && plan.method !== 'pad') return false
  if (!image) return undefined
  const nearlyOne = 1 - Number.EPSILON / 2
  const first = resizeBox(image.width, image.height, { ...plan, position: [0, 0] })
  const last = resizeBox(image.width, image.height, { ...plan, position: [nearlyOne, nearlyOne] })
  return first.left !== last.left || first.top !== last.top
}

/**
 * The box of a width × height image that `plan` keeps, in its pixels: a random one, the largest inside the image with
 * the target's aspect ('crop'), the smallest around it ('pad', which reaches beyond), one of the target's size ('window',
 * which may reach beyond), or all of it. Turns and flips of the plan come first: the box is in pixels of what they leave.
 *
 *   ratio = min(width / plan.width, height / plan.height), the maximum for 'pad'
 *   box   = ⌊ratio · plan.width⌋ × ⌊ratio · plan.height⌋ at ⌊position · (size − box)⌋
 *
 * Both roundings are toward zero and both are fastai's: (453 / 224) · 224 comes out just below 453, so a shorter side
 * of 453 pixels loses one.
 */
export function resizeBox(givenWidth: number, givenHeight: number, plan: ResizePlan): Box {
  checkPlan(plan)
  const [width, height] = exchangesSides(plan.dihedral) ? [givenHeight, givenWidth] : [givenWidth, givenHeight]
  if (plan.method === 'window') return windowBox(width, height, plan)
  if (plan.method === 'random-crop') {
    let used = 0
    return (
      randomBox(() => plan.draws[used++], height, width, plan.scale, plan.ratio) ?? middleBox(height, width, plan.ratio)
    )
  }
  if (plan.method !== 'crop' && plan.method !== 'pad') return { left: 0, top: 0, width, height }
  const ratios = [width / plan.width, height / plan.height] as const
  const ratio = plan.method === 'pad' ? Math.max(...ratios) : Math.min(...ratios)
  // An image one pixel wide can round to nothing, where fastai fails.
  const boxWidth = Math.max(1, Math.trunc(ratio * plan.width))
  const boxHeight = Math.max(1, Math.trunc(ratio * plan.height))
  return {
    left: Math.trunc(plan.position[0] * (width - boxWidth)),
    top: Math.trunc(plan.position[1] * (height - boxHeight)),
    width: boxWidth,
    height: boxHeight,
  }
}

/** Box of a window. Source: fastai vision/augment.py, RandomCrop.before_call; torchvision RandomCrop (the padding). */
function windowBox(imageWidth: number, imageHeight: number, { width, height, padding, position }: WindowPlan): Box {
  if (!position) {
    return { left: (imageWidth - width) >> 1, top: (imageHeight - height) >> 1, width, height }
  }
  // All places at which the window lies inside the padded image, or, if that is smaller, the image inside the window.
  const place = (room: number, random: number) =>
    Math.min(0, room) + Math.floor(random * (Math.abs(room) + 1)) - padding
  const [left, top] = [
    place(imageWidth + 2 * padding - width, position[0]),
    place(imageHeight + 2 * padding - height, position[1]),
  ]
  return { left, top, width, height }
}

/**
 * Largest power of two, at most 8, by which both sides of a width × height image can be divided so that the box that `plan`
 * keeps still has at least as many pixels as are made of it.
 *
 * Source: Pillow JpegImagePlugin.py, draft.
 */
export function shrinkFor(width: number, height: number, plan: ResizePlan): number {
  if (plan.method === 'whole' || plan.method === 'window') return 1
  const box = resizeBox(width, height, plan)
  const extra = plan.method === 'middle' ? plan.extra : 0
  const most = Math.min(box.width / (plan.width + extra), box.height / (plan.height + extra))
  return [8, 4, 2].find((divisor) => divisor <= most) ?? 1
}

/** @throws OptionError  for a plan that no image could satisfy */
function checkPlan(plan: ResizePlan): void {
  if (plan.method === 'whole') return
  const { width, height, method } = plan
  if (!['crop', 'squish', 'pad', 'random-crop', 'middle', 'window'].includes(method)) {
    throw new OptionError('resize', `there is no method '${method}'`, { expected: "'crop', 'squish' or 'pad'" })
  }
  if (!(Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0)) {
    throw new OptionError('resize', 'the size is not a whole number of pixels', {
      given: { size: `${width} × ${height}` },
      expected: 'two positive integers',
    })
  }
  if ('padMode' in plan) checkPadMode('resize', plan.padMode)
  if ('position' in plan && plan.position && !plan.position.every((p) => p >= 0 && p <= 1)) {
    throw new OptionError('resize', 'the position is outside the image', {
      given: { position: [...plan.position] },
      expected: 'two numbers of 0 … 1, .5 being the centre',
    })
  }
  if (method === 'random-crop' && plan.draws.length < BOX_NUMBERS) {
    throw new OptionError('resize', 'there are too few random numbers', {
      given: { draws: plan.draws.length },
      expected: `${BOX_NUMBERS}, as randomResizedCrop draws`,
    })
  }
  if (method === 'middle' && !(plan.extra >= 0 && plan.extra % 2 === 0)) {
    throw new OptionError('resize', 'there is no middle', {
      given: { extra: plan.extra },
      expected: 'an even number of pixels',
    })
  }
}

/**
 * Pillow's `crop(box).resize((width, height), BILINEAR)`, bit for bit: horizontal, then vertical, each rounded to 8
 * bits, a pass left out where the size stays. Beyond the image the box sees what the pad mode says.
 */
export function resample(
  source: Pixels,
  box: Box,
  width: number,
  height: number,
  padMode: PadMode = 'reflection',
): Pixels {
  const inside =
    box.left >= 0 && box.top >= 0 && box.left + box.width <= source.width && box.top + box.height <= source.height
  if (!inside) return resample(padded(source, box, padMode), { ...box, left: 0, top: 0 }, width, height)

  let view: View = { data: source.data, first: (box.top * source.width + box.left) * 4, rowStep: source.width * 4 }
  if (width !== box.width) view = resampleRows(view, box.width, box.height, width)
  if (height !== box.height) view = resampleColumns(view, width, box.height, height)
  return { width, height, data: view.data === source.data ? copyRows(view, width, height) : view.data }
}

/** Pixels inside a larger image: where they start and how far apart their rows are, in bytes. */
interface View {
  readonly data: Uint8Array
  readonly first: number
  readonly rowStep: number
}

function copyRows({ data, first, rowStep }: View, width: number, height: number): Uint8Array {
  const target = new Uint8Array(width * height * 4)
  for (let y = 0; y < height; y++) {
    target.set(data.subarray(first + y * rowStep, first + y * rowStep + width * 4), y * width * 4)
  }
  for (let i = 3; i < target.length; i += 4) target[i] = 255
  return target
}

function resampleRows(view: View, width: number, height: number, newWidth: number): View {
  const target = new Uint8Array(newWidth * height * 4)
  const steps = { line: view.rowStep, pixel: 4, newLine: newWidth * 4, newPixel: 4 }
  resampleLines(view, target, height, steps, coefficients(width, newWidth))
  return { data: target, first: 0, rowStep: newWidth * 4 }
}

function resampleColumns(view: View, width: number, height: number, newHeight: number): View {
  const target = new Uint8Array(width * newHeight * 4)
  const steps = { line: 4, pixel: view.rowStep, newLine: 4, newPixel: width * 4 }
  resampleLines(view, target, width, steps, coefficients(height, newHeight))
  return { data: target, first: 0, rowStep: width * 4 }
}

/** Byte distances between lines and between the pixels of a line, before and after: rows and columns differ only in them. */
interface Steps {
  readonly line: number
  readonly pixel: number
  readonly newLine: number
  readonly newPixel: number
}

/** out[i] = (½ + Σ_k weights[i,k] · in[starts[i] + k]) / 2^BITS for every line and colour. */
function resampleLines(view: View, target: Uint8Array, lines: number, steps: Steps, table: Coefficients): void {
  const { data, first } = view
  const { line, pixel, newLine, newPixel } = steps
  const { starts, counts, weights, taps } = table
  const size = starts.length
  for (let l = 0; l < lines; l++) {
    let out = l * newLine
    for (let i = 0; i < size; i++, out += newPixel) {
      let red = HALF
      let green = HALF
      let blue = HALF
      let at = first + l * line + starts[i] * pixel
      const end = i * taps + counts[i]
      for (let k = i * taps; k < end; k++, at += pixel) {
        const weight = weights[k]
        red += Math.imul(weight, data[at])
        green += Math.imul(weight, data[at + 1])
        blue += Math.imul(weight, data[at + 2])
      }
      // No clipping: the weights are positive and add up to 1, so 255 is never passed.
      target[out] = red >> BITS
      target[out + 1] = green >> BITS
      target[out + 2] = blue >> BITS
      target[out + 3] = 255
    }
  }
}

/** Fraction bits of a weight: 32, minus 8 of the pixel, minus 2 to spare. Source: Pillow Resample.c, PRECISION_BITS. */
const BITS = 22
const HALF = 1 << (BITS - 1)

/** Resampling table: pixel i is made of counts[i] pixels from starts[i] on, with the fixed-point weights in row i of `weights`. */
export interface Coefficients {
  readonly starts: Int32Array
  readonly counts: Int32Array
  readonly weights: Int32Array
  readonly taps: number
}

const tables = new Map<number, Coefficients>()
/** Largest number of size pairs whose tables are kept: those of a data set of photographs fit, a few kilobytes each. */
const MAX_TABLES = 1024

/**
 * Triangle filter that resamples a line from size to newSize pixels, stretched when shrinking (so it is antialiased):
 *
 *   w_k ∝ max(0, 1 − |k + ½ − centre| / stretch),  centre = (i + ½) · size/newSize,  stretch = max(1, size/newSize)
 *
 * Source: Pillow Resample.c, precompute_coeffs and normalize_coeffs_8bpc, in double precision and in their order.
 */
export function coefficients(size: number, newSize: number): Coefficients {
  const key = size * 2 ** 20 + newSize
  const known = tables.get(key)
  if (known !== undefined) return known
  if (tables.size >= MAX_TABLES) tables.clear()

  const scale = size / newSize
  const stretch = Math.max(scale, 1)
  const taps = Math.ceil(stretch) * 2 + 1
  const starts = new Int32Array(newSize)
  const counts = new Int32Array(newSize)
  const weights = new Int32Array(newSize * taps)
  const row = new Float64Array(taps)
  for (let i = 0; i < newSize; i++) {
    const centre = (i + 0.5) * scale
    const start = Math.max(0, Math.trunc(centre - stretch + 0.5))
    const count = Math.min(size, Math.trunc(centre + stretch + 0.5)) - start
    let sum = 0
    for (let k = 0; k < count; k++) {
      row[k] = Math.max(0, 1 - Math.abs((k + start - centre + 0.5) * (1 / stretch)))
      sum += row[k]
    }
    for (let k = 0; k < count; k++) weights[i * taps + k] = Math.trunc((row[k] / sum) * 2 ** BITS + 0.5)
    starts[i] = start
    counts[i] = count
  }
  const table = { starts, counts, weights, taps }
  tables.set(key, table)
  return table
}

/** The box of an image that continues beyond its border as the pad mode says. */
function padded(source: Pixels, box: Box, padMode: PadMode): Pixels {
  const place = PLACES[padMode]
  const columns = Array.from({ length: box.width }, (_, x) => place(box.left + x, source.width) * 4)
  const data = new Uint8Array(box.width * box.height * 4)
  let out = 0
  for (let y = 0; y < box.height; y++) {
    const row = place(box.top + y, source.height) * source.width * 4
    for (const column of columns) {
      // Pixels from beyond the source stay black.
      if (row >= 0 && column >= 0) {
        for (let channel = 0; channel < 3; channel++) data[out + channel] = source.data[row + column + channel]
      }
      data[out + 3] = 255
      out += 4
    }
  }
  return { width: box.width, height: box.height, data }
}

/** Functions that return the pixel shown at a place along an axis; below 0: none. */
const PLACES: Readonly<Record<PadMode, (index: number, size: number) => number>> = {
  // The edge pixel is not repeated (numpy's pad mode 'reflect').
  reflection(index, size) {
    if (size === 1) return 0
    const period = 2 * (size - 1)
    const phase = ((index % period) + period) % period
    return phase < size ? phase : period - phase
  },
  border: (index, size) => Math.max(0, Math.min(size - 1, index)),
  zeros: (index, size) => (index >= 0 && index < size ? index : -1),
}
