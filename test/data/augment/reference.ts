/**
 * fastai's batch transforms, stage by stage, in plain loops and float64: the witness for the one launch that does all.
 * Nothing here is shared with the library but the drawn parameters and the noise.
 */
import type { BatchShape, Phase } from '../../../src/data/augment/draw.ts'
import { erasingNoise, NOISE_PIXELS } from '../../../src/data/augment/erasing.ts'
import type { Light } from '../../../src/data/augment/lighting.ts'
import type { BatchTransform } from '../../../src/data/augment/transforms.ts'
import type { PadMode } from '../../../src/image/resize-plan.ts'
import type { Rng } from '../../../src/base/rng.ts'

/** [height][width][channel] */
export type Picture = number[][][]
type Colour = readonly number[]
type Coordinates = [x: number, y: number][][]

/** The batch as the network should see it: [N,P,Q,3]. */
export function reference(
  pixels: Uint32Array,
  { N, H, W }: BatchShape,
  transforms: readonly BatchTransform[],
  random: Rng,
  phase: Phase,
): Picture[] {
  const affine = transforms.find((transform) => transform.kind === 'affine')
  const crop = transforms.find((transform) => transform.kind === 'crop')
  const lighting = transforms.find((transform) => transform.kind === 'lighting')
  const saturation = transforms.find((transform) => transform.kind === 'saturation')
  const hue = transforms.find((transform) => transform.kind === 'hue')
  const normalize = transforms.find((transform) => transform.kind === 'normalize')
  const erasing = transforms.find((transform) => transform.kind === 'erasing')

  let batch = Array.from({ length: N }, (_, n) => fromBytes(pixels.subarray(n * H * W, (n + 1) * H * W), H, W))
  if (affine) {
    const [P, Q] = affine.size ?? [H, W]
    const matrices = phase === 'train' ? affine.draw(random, { N, H, W }) : undefined
    batch = gridSample(
      batch,
      batch.map((_, n) => grid(P, Q, matrices?.[n] ?? [1, 0, 0, 0, 1, 0, 0, 0, 1])),
      affine.padMode,
    )
  }
  if (crop) {
    const { top, left, height, width } = crop.draw(random, batch[0].length, batch[0][0].length, phase)
    batch = batch.map((picture) => picture.slice(top, top + height).map((row) => row.slice(left, left + width)))
    batch = gridSample(
      batch,
      batch.map(() => grid(...crop.size, [1, 0, 0, 0, 1, 0, 0, 0, 1])),
    )
  }
  if ((lighting ?? saturation) && phase === 'train') {
    const lights = lighting?.draw(random, N)
    const factors = saturation?.draw(random, N)
    batch = batch.map((picture, n) => mapColours(picture, (colour) => lit(colour, lights?.[n], factors?.[n])))
  }
  if (hue && phase === 'train') {
    const turns = hue.draw(random, N)
    batch = batch.map((picture, n) => mapColours(picture, (colour) => turned(colour, turns[n])))
  }
  if (normalize) {
    const { mean, std } = normalize
    batch = batch.map((picture) =>
      mapColours(picture, (colour) => colour.map((value, c) => (value - mean[c]) / std[c])),
    )
  }
  if (erasing && phase === 'train') {
    const [P, Q] = [batch[0].length, batch[0][0].length]
    const { areas, starts } = erasing.draw(random, { N, H: P, W: Q })
    const noise = erasingNoise()
    for (let area = 0; area < areas.length; area += 4) {
      const [top, left, bottom, right] = areas.slice(area, area + 4)
      for (const [n, picture] of batch.entries()) {
        for (let i = top; i < bottom; i++) {
          for (let j = left; j < right; j++) {
            const place = (starts[n] + i * Q + j) % NOISE_PIXELS
            picture[i][j] = [...noise.slice(3 * place, 3 * place + 3)]
          }
        }
      }
    }
  }
  return batch
}

/** Sampling coordinates of a P × Q output, x before y: torch's affine_grid with aligned corners, then the division by w. */
export function grid(P: number, Q: number, m: readonly number[]): Coordinates {
  return Array.from({ length: P }, (_, i) =>
    Array.from({ length: Q }, (_, j) => {
      const x = -1 + (2 * j) / (Q - 1)
      const y = -1 + (2 * i) / (P - 1)
      const w = m[6] * x + m[7] * y + m[8]
      return [(m[0] * x + m[1] * y + m[2]) / w, (m[3] * x + m[4] * y + m[5]) / w]
    }),
  )
}

/** fastai's _grid_sample for a batch: averages down first where the output has less than half the pixels along both axes. */
export function gridSample(batch: Picture[], coordinates: Coordinates[], padMode: PadMode = 'reflection'): Picture[] {
  const [H, W] = [batch[0].length, batch[0][0].length]
  const [P, Q] = [coordinates[0].length, coordinates[0][0].length]
  const all = coordinates.flat(3)
  const z = (1 / (all.reduce((a, b) => Math.max(a, b)) - all.reduce((a, b) => Math.min(a, b)))) * 2
  const d = Math.min(H / P, W / Q) / 2
  const [h, w] = [Math.floor(H * (1 / d)), Math.floor(W * (1 / d))]
  const source = d > 1 && d > z ? batch.map((picture) => areaInterpolate(picture, h, w)) : batch
  return source.map((picture, n) => coordinates[n].map((row) => row.map(([x, y]) => sample(picture, x, y, padMode))))
}

/** torch's grid_sample at one place: bilinear, align_corners. */
export function sample(picture: Picture, x: number, y: number, padMode: PadMode = 'reflection'): number[] {
  const [H, W] = [picture.length, picture[0].length]
  const place = (at: number, size: number) =>
    padMode === 'reflection' ? reflect(at, size) : padMode === 'border' ? Math.min(Math.max(at, 0), size - 1) : at
  const px = place(((x + 1) / 2) * (W - 1), W)
  const py = place(((y + 1) / 2) * (H - 1), H)
  const [left, top] = [Math.floor(px), Math.floor(py)]
  return picture[0][0].map((_, c) => {
    let sum = 0
    for (const i of [top, top + 1]) {
      for (const j of [left, left + 1]) {
        const inside = i >= 0 && i < H && j >= 0 && j < W
        if (inside) sum += (1 - Math.abs(px - j)) * (1 - Math.abs(py - i)) * picture[i][j][c]
      }
    }
    return sum
  })
}

function reflect(place: number, size: number): number {
  if (size === 1) return 0
  const folds = Math.floor(Math.abs(place) / (size - 1))
  const rest = Math.abs(place) - folds * (size - 1)
  return folds % 2 === 0 ? rest : size - 1 - rest
}

/** torch's interpolate(mode='area'): adaptive average pooling. */
export function areaInterpolate(picture: Picture, h: number, w: number): Picture {
  const [H, W] = [picture.length, picture[0].length]
  return Array.from({ length: h }, (_, i) =>
    Array.from({ length: w }, (_, j) => {
      const rows = picture.slice(Math.floor((i * H) / h), Math.ceil(((i + 1) * H) / h))
      const bin = rows.flatMap((row) => row.slice(Math.floor((j * W) / w), Math.ceil(((j + 1) * W) / w)))
      return bin[0].map((_, c) => bin.reduce((sum, pixel) => sum + pixel[c], 0) / bin.length)
    }),
  )
}

const logit = (v: number) => -Math.log(1 / v - 1)

/** fastai's lighting: brightness, contrast and saturation between logit and sigmoid. */
export function lit(
  colour: Colour,
  { brightness, contrast }: Light = { brightness: 0.5, contrast: 1 },
  saturation = 1,
): number[] {
  const kept = colour.map((value) => Math.min(Math.max(value, 1e-7), Math.fround(1 - 1e-7)))
  const z = kept.map((value) => (logit(value) + logit(brightness)) * contrast)
  const grey = 0.2989 * z[0] + 0.587 * z[1] + 0.114 * z[2]
  return z.map((value) => 1 / (1 + Math.exp(-(value * saturation + grey * (1 - saturation)))))
}

/** fastai's rgb2hsv, a turn of the hue, and hsv2rgb. */
export function turned([r, g, b]: Colour, by: number): number[] {
  const [most, least] = [Math.max(r, g, b), Math.min(r, g, b)]
  const [rc, gc, bc] = [r, g, b].map((value) => (most === least ? 0 : (most - value) / (most - least)))
  const sixths = most === r ? bc - gc : most === g ? 2 + rc - bc : 4 + gc - rc
  const h = (((((sixths / 6 + 1) % 1) + by) % 1) + 1) % 1
  const s = most === least ? 0 : (most - least) / most
  const sector = Math.floor(h * 6)
  const f = h * 6 - sector
  const [p, q, t] = [most * (1 - s), most * (1 - s * f), most * (1 - s * (1 - f))]
  return [
    [most, t, p],
    [q, most, p],
    [p, most, t],
    [p, q, most],
    [t, p, most],
    [most, p, q],
  ][sector % 6]
}

function fromBytes(pixels: Uint32Array, H: number, W: number): Picture {
  return Array.from({ length: H }, (_, y) =>
    Array.from({ length: W }, (_, x) => {
      const rgba = pixels[y * W + x]
      return [rgba & 255, (rgba >>> 8) & 255, (rgba >>> 16) & 255].map((byte) => byte / 255)
    }),
  )
}

function mapColours(picture: Picture, f: (colour: Colour) => number[]): Picture {
  return picture.map((row) => row.map(f))
}
