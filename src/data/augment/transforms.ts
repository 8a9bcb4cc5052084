import { requireNumber, requireRange } from '../../base/check.ts'
import { OptionError } from '../../base/errors.ts'
import { checkOptions, FLAG, listOf, NUMBER, oneOf, TEXT, type Kinds } from '../../base/options.ts'
import { checkPadMode, type PadMode } from '../../image/resize-plan.ts'
import { affine, type AffineTransform } from './affine.ts'
import type { HueTransform, SaturationTransform } from './colour.ts'
import { randomResizedCropGpu, toSize, type CropTransform, type Size } from './crop.ts'
import type { ErasingTransform } from './erasing.ts'
import { lighting, type LightingTransform } from './lighting.ts'
import type { NormalizeTransform } from './normalize.ts'
import { toOwnBatchTransform, type OwnBatch, type OwnBatchFunction, type OwnBatchTransform } from './own.ts'

/** Transform of a batch of images: data, and a function that draws its parameters on the CPU. */
export type BatchTransform =
  | AffineTransform
  | CropTransform
  | LightingTransform
  | SaturationTransform
  | HueTransform
  | NormalizeTransform
  | ErasingTransform
  | OwnBatchTransform

/** Item of a list of batch transforms: a built-in one, or code from outside the package. */
export type GivenBatchTransform = BatchTransform | OwnBatch | OwnBatchFunction

/** Returns a list with all code from outside as transforms. @throws OptionError  for code without a name or its parts */
export function toBatchTransforms<Built extends { readonly kind: string }>(
  given: readonly (Built | OwnBatch | OwnBatchFunction)[],
): readonly (Built | OwnBatchTransform)[] {
  return given.map((one) => ('kind' in one ? one : toOwnBatchTransform(one)))
}

/** Options of `augTransforms`. */
export interface AugTransformsOptions {
  /** Factor of maxRotate, maxLighting and maxWarp. Default 1 */
  readonly mult?: number
  /** Flip half of the items left to right. Default true */
  readonly doFlip?: boolean
  /** With doFlip: use any of the eight symmetries of the square instead. Default false */
  readonly flipVert?: boolean
  /** Largest rotation in degrees. Default 10 */
  readonly maxRotate?: number
  /** Smallest magnification. Default 1 */
  readonly minZoom?: number
  /** Largest magnification. Default 1.1 */
  readonly maxZoom?: number
  /** Largest relative change of brightness and contrast, below 1. Default 0.2 */
  readonly maxLighting?: number
  /** Largest displacement of a corner by the perspective, as a fraction of half a side. Default 0.2 */
  readonly maxWarp?: number
  /** Probability of each geometric change. Default 0.75 */
  readonly pAffine?: number
  /** Probability of each change of brightness and contrast. Default 0.75 */
  readonly pLighting?: number
  /** Output size in pixels. Default: that of the input */
  readonly size?: Size
  /** Interpolation; only 'bilinear' is supported. */
  readonly mode?: 'bilinear'
  /** Values beyond an image's border: its mirror image, the border repeated, or black. Default 'reflection' */
  readonly padMode?: PadMode
  /**
   * Alignment of the corners: the centers of the border pixels of input and output coincide; only true is supported.
   */
  readonly alignCorners?: true
  /** True for one draw for the whole batch. Default false */
  readonly batch?: boolean
  /**
   * Smallest fraction of the area to keep; below 1, a random box, the same for the whole batch, is cropped and resized
   * to `size`. Default 1
   */
  readonly minScale?: number
}

const KINDS: Kinds<AugTransformsOptions> = {
  mult: NUMBER,
  doFlip: FLAG,
  flipVert: FLAG,
  maxRotate: NUMBER,
  minZoom: NUMBER,
  maxZoom: NUMBER,
  maxLighting: NUMBER,
  maxWarp: NUMBER,
  pAffine: NUMBER,
  pLighting: NUMBER,
  size: oneOf(NUMBER, listOf(NUMBER)),
  mode: TEXT,
  padMode: TEXT,
  alignCorners: FLAG,
  batch: FLAG,
  minScale: NUMBER,
}

/**
 * Makes the usual augmentation of photographs: flip, warp, rotation and zoom in one resampling, then lighting, then,
 * with minScale, a crop. Half of the items are flipped, whatever pAffine is; a maximum of 0 leaves its change out.
 *
 * With minScale, `size` is that of the crop: everything before it happens at the size of the input.
 *
 * @returns [affine, lighting, crop], as far as they are requested
 * @throws OptionError  if an option is out of range, or minScale is given without a size
 * Source: fastai vision/augment.py, aug_transforms.
 */
export function augTransforms(options: AugTransformsOptions = {}): BatchTransform[] {
  checkOptions('augTransforms', options, KINDS)
  const { mult = 1, doFlip = true, flipVert = false, minZoom = 1, maxZoom = 1.1, minScale = 1, batch = false } = options
  const { pAffine: p = 0.75, pLighting = 0.75 } = options
  const maxRotate = (options.maxRotate ?? 10) * mult
  const maxLighting = (options.maxLighting ?? 0.2) * mult
  const maxWarp = (options.maxWarp ?? 0.2) * mult
  const size = options.size === undefined ? undefined : toSize('augTransforms', options.size)
  const crops = minScale !== 1
  const where = 'augTransforms'
  requireNumber(where, 'mult · maxRotate', maxRotate, { from: 0 })
  requireNumber(where, 'mult · maxLighting', maxLighting, { from: 0, below: 1 })
  // From √½ on the middle of an image tilted both ways would be at infinity.
  requireRange(where, { 'mult · maxWarp': maxWarp }, maxWarp >= 0 && maxWarp < Math.SQRT1_2, 'at least 0 and below √½')
  requireRange(
    where,
    { 'minZoom … maxZoom': `${minZoom} … ${maxZoom}` },
    minZoom > 0 && minZoom <= maxZoom && Number.isFinite(maxZoom),
    '0 < minZoom ≤ maxZoom',
  )
  requireNumber(where, 'pAffine', p, { from: 0, to: 1 })
  requireNumber(where, 'pLighting', pLighting, { from: 0, to: 1 })
  const { mode = 'bilinear', padMode = 'reflection', alignCorners = true } = options
  requireRange(where, { mode }, mode === 'bilinear', "'bilinear', the only one there is")
  checkPadMode(where, padMode)
  requireRange(where, { alignCorners }, alignCorners, 'true, the only one there is')

  const transforms: BatchTransform[] = []
  const padded = padMode === 'reflection' ? {} : { padMode }
  const affineSize = crops ? undefined : size
  if (doFlip || maxRotate > 0 || maxWarp > 0 || minZoom < 1 || maxZoom > 1 || affineSize) {
    const flips = !doFlip ? 'none' : flipVert ? 'dihedral' : 'horizontal'
    transforms.push(affine({ flips, maxRotate, minZoom, maxZoom, maxWarp, p, batch, size: affineSize, ...padded }))
  }
  if (maxLighting > 0) transforms.push(lighting({ maxLighting, p: pLighting, batch }))
  if (crops) {
    if (!size) {
      throw new OptionError('augTransforms', 'a crop needs a size', { given: { minScale }, fix: 'pass size too' })
    }
    transforms.push(randomResizedCropGpu(size, { minScale, ratio: [1, 1] }))
  }
  return transforms
}
