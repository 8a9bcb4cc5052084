import { OptionError } from '../../base/errors.ts'
import type { Rng } from '../../base/rng.ts'
import type { PadMode } from '../../image/resize-plan.ts'
import { extent, type AffineTransform } from './affine.ts'
import type { HueTransform, SaturationTransform } from './colour.ts'
import { reducedSize, type CropTransform } from './crop.ts'
import type { Box } from '../../image/box.ts'
import type { BatchShape, Phase } from './draw.ts'
import type { Erased, ErasingTransform } from './erasing.ts'
import type { Light, LightingTransform } from './lighting.ts'
import { betweenPixels, identity, type Matrix } from './matrix.ts'
import { mergedAffine, mergedLighting } from './merge.ts'
import type { NormalizeTransform } from './normalize.ts'
import { checkNumbers, type DrawnNumbers, type OwnBatchTransform } from './own.ts'
import type { BatchTransform } from './transforms.ts'

/** Transforms of a batch by kind, at most one of each; they run in the order of `KINDS`. */
export interface TransformChain {
  readonly affine: AffineTransform | undefined
  readonly crop: CropTransform | undefined
  readonly lighting: LightingTransform | undefined
  readonly saturation: SaturationTransform | undefined
  readonly hue: HueTransform | undefined
  readonly normalize: NormalizeTransform | undefined
  readonly erasing: ErasingTransform | undefined
  /** Transforms from outside, in their order. */
  readonly own: readonly OwnBatchTransform[]
}

/** Kinds of transforms in the order in which the launches apply them. */
const KINDS: readonly Exclude<BatchTransform['kind'], 'own'>[] = [
  'affine',
  'crop',
  'lighting',
  'saturation',
  'hue',
  'normalize',
  'erasing',
]

/** Parts of the launch that all batches of one shape and phase share (see augment/batch.wgsl). */
export interface BatchPlan {
  /** Shape of the input. */
  readonly shape: BatchShape
  /** Height of the output in pixels. */
  readonly P: number
  /** Width of the output in pixels. */
  readonly Q: number
  /** True if every item has a map of its own. */
  readonly warp: boolean
  /** Values beyond the border of a warped image. */
  readonly padMode: PadMode
  /** True if the source may be averaged down before it is warped. */
  readonly shrink: boolean
  readonly lighting: boolean
  readonly saturation: boolean
  readonly hue: boolean
  /** Largest number of rectangles that are erased; 0 for none. */
  readonly areas: number
  readonly phase: Phase
  /** Transforms from outside that run in this phase. */
  readonly own: readonly OwnBatchTransform[]
}

/** Random numbers of one batch, in the layout that augment/batch.wgsl reads. */
export interface BatchDraw {
  readonly plan: BatchPlan
  /**
   * Sixteen numbers per item, [N,16]: the three rows of its map between pixels, each followed by a number of its
   * lighting, then its hue.
   */
  readonly items: Float32Array
  /**
   * Ten sizes, heights before widths: the source when it is warped, the warped image, top and left of the crop, the
   * size of the crop, and the size to which the crop is averaged down.
   */
  readonly geometry: Uint32Array
  readonly erased: Erased | undefined
  /** Numbers of the transforms from outside, by their names. */
  readonly own: ReadonlyMap<string, DrawnNumbers>
}

/**
 * Sorts transforms by their order, as fastai does before it runs them: /255, affine and crop, lighting and color,
 * normalize, erasing. Transforms of one order run as listed. Flips, rotations and the like become one resampling, and
 * brightness and contrast one change of light.
 *
 * @throws OptionError  if a kind or a part of one is repeated, parts do not fit each other, or the order differs from the one
 *   in which the launches apply them
 */
export function chain(transforms: readonly BatchTransform[]): TransformChain {
  const sorted = transforms.toSorted((a, b) => a.order - b.order)
  const names = sorted.map((one) => (one.kind === 'own' ? one.name : one.kind))
  const refuse = (what: string, fix: string): never => {
    throw new OptionError('batch transforms', what, { given: { transforms: names }, fix })
  }
  const own = sorted.filter((transform) => transform.kind === 'own')
  const twiceOwn = own.find(({ name }, i) => own.findIndex((other) => other.name === name) !== i)
  if (twiceOwn) refuse(`there are two of the name '${twiceOwn.name}'`, 'give each a name of its own')
  const affine = mergedAffine(transforms.filter((transform) => transform.kind === 'affine'))
  const lighting = mergedLighting(transforms.filter((transform) => transform.kind === 'lighting'))
  const kinds = sorted.flatMap(({ kind }) => (kind === 'own' ? [] : [kind]))
  if (kinds.some((kind) => !KINDS.includes(kind))) {
    refuse(
      'an item is not a batch transform',
      'list [...augTransforms(…), normalize(…)] here, and transforms of single images, such as resize, in itemTransforms',
    )
  }
  const merged = kinds.filter((kind, i) => !(MERGED.includes(kind) && kinds[i - 1] === kind))
  const twice = merged.find((kind, i) => merged.indexOf(kind) !== i)
  if (twice) {
    const fix = MERGED.includes(twice) ? 'list those of one kind one after the other' : 'leave one out'
    refuse(`there are two of the kind '${twice}'`, fix)
  }
  const early = merged.findIndex(
    (kind, i) => i + 1 < merged.length && KINDS.indexOf(kind) > KINDS.indexOf(merged[i + 1]),
  )
  if (early >= 0) refuse(`'${merged[early]}' comes before '${merged[early + 1]}'`, `list '${merged[early + 1]}' first`)
  return {
    affine,
    crop: transforms.find((transform) => transform.kind === 'crop'),
    lighting,
    saturation: transforms.find((transform) => transform.kind === 'saturation'),
    hue: transforms.find((transform) => transform.kind === 'hue'),
    normalize: transforms.find((transform) => transform.kind === 'normalize'),
    erasing: transforms.find((transform) => transform.kind === 'erasing'),
    own,
  }
}

/** Kinds of which several become one. */
const MERGED: readonly string[] = ['affine', 'lighting']

/**
 * Plans the launch for a batch of one shape.
 *
 * @throws OptionError  if a side of the input has fewer than two pixels, so that it has no distinct corners to align
 */
export function plan(transforms: TransformChain, shape: BatchShape, phase: Phase): BatchPlan {
  const { affine, crop, lighting, saturation, hue, erasing, own } = transforms
  const { H, W } = shape
  if (H < 2 || W < 2) {
    throw new OptionError('batch transforms', 'the images are too small', {
      given: { size: `${H} x ${W}` },
      expected: '2 x 2 or more',
    })
  }
  const [warpedH, warpedW] = affine?.size ?? [H, W]
  const [P, Q] = crop?.size ?? [warpedH, warpedW]
  // In validation the affine transform is the identity (which fastai still runs), so it is at most a resize, which the
  // last stage does, unless a crop needs that stage.
  const warp = affine !== undefined && (phase === 'train' || (affine.size !== undefined && crop !== undefined))
  const shrink = warp && Math.min(H / warpedH, W / warpedW) > 2
  const train = phase === 'train'
  return {
    shape,
    P,
    Q,
    warp,
    shrink,
    lighting: train && (lighting ?? saturation) !== undefined,
    saturation: train && saturation !== undefined,
    hue: train && hue !== undefined,
    padMode: affine?.padMode ?? 'reflection',
    areas: train && erasing ? erasing.maxCount : 0,
    phase,
    own: own.filter(({ runsOn }) => train || runsOn === 'both'),
  }
}

/** Numbers that augment/batch.wgsl reads per item, of which the last three are unused. */
export const ITEM_NUMBERS = 16

/** Lighting that changes nothing. */
const NEUTRAL: Light = { brightness: 0.5, contrast: 1 }

/**
 * Draws the random numbers of one batch.
 *
 * @param ownRandom  returns the stream of a transform from outside by its name. Default: the one stream for all
 */
export function drawBatch(
  transforms: TransformChain,
  random: Rng,
  shape: BatchShape,
  phase: Phase,
  ownRandom: (name: string) => Rng = () => random,
): BatchDraw {
  const planned = plan(transforms, shape, phase)
  const { affine, crop, lighting, saturation, hue, erasing } = transforms
  const { N, H, W } = shape
  const { P, Q } = planned
  const matrices = affine && phase === 'train' ? affine.draw(random, shape) : new Array<Matrix>(N).fill(identity)
  const warped = planned.warp ? (affine?.size ?? [H, W]) : ([H, W] as const)
  const source = planned.shrink ? reducedSize([H, W], warped, extent(matrices)) : ([H, W] as const)
  const whole: Box = { top: 0, left: 0, height: warped[0], width: warped[1] }
  const box = crop?.draw(random, warped[0], warped[1], phase) ?? whole
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
  const own = planned.own.map(({ name, draw }): [string, DrawnNumbers] => {
    const numbers: unknown = draw ? draw(ownRandom(name), { N, H: P, W: Q }, phase) : {}
    checkNumbers(name, numbers)
    return [name, numbers]
  })
  return { plan: planned, items, geometry, erased, own: new Map(own) }
}
