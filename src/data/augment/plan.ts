import { OptionError } from '../../base/errors.ts'
import type { Rng } from '../../base/rng.ts'
import { extent, type AffineTransform } from './affine.ts'
import { reducedSize, type Box, type CropTransform } from './crop.ts'
import type { BatchShape, Split } from './draw.ts'
import type { Light, LightingTransform } from './lighting.ts'
import { betweenPixels, identity, type Matrix } from './matrix.ts'
import type { NormalizeTransform } from './normalize.ts'
import type { BatchTransform } from './transforms.ts'

/** The transforms of a batch in the order of their work; at most one of each kind. */
export interface TransformChain {
  readonly affine: AffineTransform | undefined
  readonly crop: CropTransform | undefined
  readonly lighting: LightingTransform | undefined
  readonly normalize: NormalizeTransform | undefined
}

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
}

/** The numbers drawn for one batch, as augment/batch.wgsl reads them. */
export interface BatchDraw {
  readonly plan: BatchPlan
  /** Twelve for each of N items: rows of its matrix between pixels, with its light in between. */
  readonly items: Float32Array
  /**
   * Sizes, heights before widths: of the source when it is warped and of the warped picture; top and left of the crop,
   * its size, and that it is averaged down to.
   */
  readonly geometry: Uint32Array
}

/**
 * Sorts transforms by their order, as fastai does before it runs them: /255, affine, crop, lighting, normalize.
 *
 * @throws OptionError  for two of a kind, or a crop that is listed before the affine transform
 */
export function chain(transforms: readonly BatchTransform[]): TransformChain {
  const sorted = transforms.toSorted((a, b) => a.order - b.order)
  const kinds = sorted.map(({ kind }) => kind)
  const twice = kinds.find((kind, i) => kinds.indexOf(kind) !== i)
  const refuse = (what: string, fix: string) => {
    throw new OptionError('batch transforms', what, { given: { transforms: kinds }, fix })
  }
  if (twice) refuse(`there are two of the kind '${twice}'`, 'leave one out')
  if (kinds[0] === 'crop' && kinds.includes('affine')) {
    refuse('the crop comes before the affine transform', 'list the crop last')
  }
  return {
    affine: transforms.find((transform) => transform.kind === 'affine'),
    crop: transforms.find((transform) => transform.kind === 'crop'),
    lighting: transforms.find((transform) => transform.kind === 'lighting'),
    normalize: transforms.find((transform) => transform.kind === 'normalize'),
  }
}

/** @throws OptionError  when a side of the input has less than two pixels, so that there are no corners to align */
export function plan({ affine, crop, lighting }: TransformChain, shape: BatchShape, split: Split): BatchPlan {
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
  return { shape, P, Q, warp, shrink, lighting: lighting !== undefined && split === 'train' }
}

/** Leaves the light as it is. */
const NEUTRAL: Light = { brightness: 0.5, contrast: 1 }

/** Draws what is random about one batch. */
export function drawBatch(transforms: TransformChain, random: Rng, shape: BatchShape, split: Split): BatchDraw {
  const planned = plan(transforms, shape, split)
  const { affine, crop, lighting } = transforms
  const { N, H, W } = shape
  const matrices = affine && split === 'train' ? affine.draw(random, shape) : new Array<Matrix>(N).fill(identity)
  const warped = planned.warp ? (affine?.size ?? [H, W]) : ([H, W] as const)
  const source = planned.shrink ? reducedSize([H, W], warped, extent(matrices)) : ([H, W] as const)
  const whole: Box = { top: 0, left: 0, height: warped[0], width: warped[1] }
  const box = crop?.draw(random, warped[0], warped[1], split) ?? whole
  const reduced = reducedSize([box.height, box.width], [planned.P, planned.Q])
  const lights = planned.lighting ? lighting?.draw(random, N) : undefined

  const items = new Float32Array(12 * N)
  for (let n = 0; n < N; n++) {
    const m = betweenPixels(matrices[n], warped, source)
    const { brightness, contrast } = lights?.[n] ?? NEUTRAL
    items.set([m[0], m[1], m[2], (1 - brightness) / brightness, m[3], m[4], m[5], contrast, m[6], m[7], m[8], 0], 12 * n)
  }
  const geometry = Uint32Array.of(...source, ...warped, box.top, box.left, box.height, box.width, ...reduced)
  return { plan: planned, items, geometry }
}
