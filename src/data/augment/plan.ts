import { OptionError } from '../../base/errors.ts'
import type { Rng } from '../../base/rng.ts'
import { extent, type AffineTransform } from './affine.ts'
import type { HueTransform, SaturationTransform } from './colour.ts'
import { reducedSize, type CropTransform } from './crop.ts'
import type { Box } from '../../image/box.ts'
import type { BatchShape, Split } from './draw.ts'
import type { Erased, ErasingTransform } from './erasing.ts'
import type { Light, LightingTransform } from './lighting.ts'
import { betweenPixels, identity, type Matrix } from './matrix.ts'
import type { NormalizeTransform } from './normalize.ts'
import type { BatchTransform } from './transforms.ts'

/** The transforms of a batch in the order of their work; at most one of each kind. */
export interface TransformChain {
  readonly affine: AffineTransform | undefined
  readonly crop: CropTransform | undefined
  readonly lighting: LightingTransform | undefined
  readonly saturation: SaturationTransform | undefined
  readonly hue: HueTransform | undefined
  readonly normalize: NormalizeTransform | undefined
  readonly erasing: ErasingTransform | undefined
}

/** In this order the launches do their work. */
const KINDS: readonly BatchTransform['kind'][] = [
  'affine',
  'crop',
  'lighting',
  'saturation',
  'hue',
  'normalize',
  'erasing',
]

/** What the launch for a batch is made of that every batch of its size and split shares. See augment/batch.wgsl. */
export interface BatchPlan {
  /** Of the input. */
  readonly shape: BatchShape
  /** Height and width of the output. */
  readonly P: number
  readonly Q: number
  /** Every item has a matrix of its own. */
  readonly warp: boolean
  /** The source may be averaged down before it is warped. */
  readonly shrink: boolean
  readonly lighting: boolean
  readonly saturation: boolean
  readonly hue: boolean
  /** Rectangles that may be erased; 0 for none. */
  readonly areas: number
}

/** The numbers drawn for one batch, as augment/batch.wgsl reads them. */
export interface BatchDraw {
  readonly plan: BatchPlan
  /** Sixteen for each of N items: rows of its matrix between pixels, with its light in between, then its hue. */
  readonly items: Float32Array
  /**
   * Sizes, heights before widths: of the source when it is warped and of the warped picture; top and left of the crop,
   * its size, and that it is averaged down to.
   */
  readonly geometry: Uint32Array
  readonly erased: Erased | undefined
}

/**
 * Sorts transforms by their order, as fastai does before it runs them: /255, affine and crop, light and colour,
 * normalize, erasing. Those of one order run as they are listed.
 *
 * @throws OptionError  for two of a kind, or where that would be another order than the launches have
 */
export function chain(transforms: readonly BatchTransform[]): TransformChain {
  const sorted = transforms.toSorted((a, b) => a.order - b.order)
  const kinds = sorted.map(({ kind }) => kind)
  const twice = kinds.find((kind, i) => kinds.indexOf(kind) !== i)
  const refuse = (what: string, fix: string) => {
    throw new OptionError('batch transforms', what, { given: { transforms: kinds }, fix })
  }
  if (kinds.some((kind) => !KINDS.includes(kind))) {
    refuse(
      'there is something else among them',
      'list [...augTransforms(…), normalize(…)], and what works on single pictures, as resize, in itemTransforms',
    )
  }
  if (twice) refuse(`there are two of the kind '${twice}'`, 'leave one out')
  const early = kinds.findIndex((kind, i) => i + 1 < kinds.length && KINDS.indexOf(kind) > KINDS.indexOf(kinds[i + 1]))
  if (early >= 0) refuse(`'${kinds[early]}' comes before '${kinds[early + 1]}'`, `list '${kinds[early + 1]}' first`)
  return {
    affine: transforms.find((transform) => transform.kind === 'affine'),
    crop: transforms.find((transform) => transform.kind === 'crop'),
    lighting: transforms.find((transform) => transform.kind === 'lighting'),
    saturation: transforms.find((transform) => transform.kind === 'saturation'),
    hue: transforms.find((transform) => transform.kind === 'hue'),
    normalize: transforms.find((transform) => transform.kind === 'normalize'),
    erasing: transforms.find((transform) => transform.kind === 'erasing'),
  }
}

/** @throws OptionError  when a side of the input has less than two pixels, so that there are no corners to align */
export function plan(transforms: TransformChain, shape: BatchShape, split: Split): BatchPlan {
  const { affine, crop, lighting, saturation, hue, erasing } = transforms
  const { H, W } = shape
  if (H < 2 || W < 2) {
    throw new OptionError('batch transforms', 'the pictures are too small', {
      given: { size: `${H} x ${W}` },
      expected: '2 x 2 or more',
    })
  }
  const [warpedH, warpedW] = affine?.size ?? [H, W]
  const [P, Q] = crop?.size ?? [warpedH, warpedW]
  // In validation the affine transform is the identity (fastai runs it all the same), so it is at most a resize, which
  // the last stage does unless a crop needs that stage for itself.
  const warp = affine !== undefined && (split === 'train' || (affine.size !== undefined && crop !== undefined))
  const shrink = warp && Math.min(H / warpedH, W / warpedW) > 2
  const train = split === 'train'
  return {
    shape,
    P,
    Q,
    warp,
    shrink,
    lighting: train && (lighting ?? saturation) !== undefined,
    saturation: train && saturation !== undefined,
    hue: train && hue !== undefined,
    areas: train && erasing ? erasing.maxCount : 0,
  }
}

/** Numbers that augment/batch.wgsl reads for an item, the last three of them unused. */
export const ITEM_NUMBERS = 16

/** Leaves the light as it is. */
const NEUTRAL: Light = { brightness: 0.5, contrast: 1 }

/** Draws what is random about one batch. */
export function drawBatch(transforms: TransformChain, random: Rng, shape: BatchShape, split: Split): BatchDraw {
  const planned = plan(transforms, shape, split)
  const { affine, crop, lighting, saturation, hue, erasing } = transforms
  const { N, H, W } = shape
  const { P, Q } = planned
  const matrices = affine && split === 'train' ? affine.draw(random, shape) : new Array<Matrix>(N).fill(identity)
  const warped = planned.warp ? (affine?.size ?? [H, W]) : ([H, W] as const)
  const source = planned.shrink ? reducedSize([H, W], warped, extent(matrices)) : ([H, W] as const)
  const whole: Box = { top: 0, left: 0, height: warped[0], width: warped[1] }
  const box = crop?.draw(random, warped[0], warped[1], split) ?? whole
  const reduced = reducedSize([box.height, box.width], [P, Q])
  const lights = planned.lighting ? lighting?.draw(random, N) : undefined

  const saturations = planned.saturation ? saturation?.draw(random, N) : undefined
  const hues = planned.hue ? hue?.draw(random, N) : undefined
  const erased = planned.areas > 0 ? erasing?.draw(random, { N, H: P, W: Q }) : undefined

  const items = new Float32Array(ITEM_NUMBERS * N)
  for (let n = 0; n < N; n++) {
    const m = betweenPixels(matrices[n], warped, source)
    const { brightness, contrast } = lights?.[n] ?? NEUTRAL
    const light = [(1 - brightness) / brightness, contrast, saturations?.[n] ?? 1]
    const rows = [0, 1, 2].flatMap((row) => [m[3 * row], m[3 * row + 1], m[3 * row + 2], light[row]])
    items.set([...rows, hues?.[n] ?? 0], ITEM_NUMBERS * n)
  }
  const geometry = Uint32Array.of(...source, ...warped, box.top, box.left, box.height, box.width, ...reduced)
  return { plan: planned, items, geometry, erased }
}
