import { DataError } from '../base/errors.ts'
import type { Json } from '../base/json.ts'
import { FORMER_DECODING, toDecoding, type DecodeOptions, type Decoding } from '../image/decode-options.ts'
import { affine, type AffineOptions } from './augment/affine.ts'
import { hue, saturation, type HueOptions, type SaturationOptions } from './augment/colour.ts'
import { randomResizedCropGpu, type CropOptions } from './augment/crop.ts'
import { randomErasing, type ErasingOptions } from './augment/erasing.ts'
import { lighting, type LightingOptions } from './augment/lighting.ts'
import { normalize, type ChannelStats } from './augment/normalize.ts'
import { toOwnBatchTransform, type OwnBatch, type OwnBatchFunction } from './augment/own.ts'
import type { BatchTransform } from './augment/transforms.ts'
import { randAugment, trivialAugment, type RandAugmentOptions, type TrivialAugmentOptions } from './auto-augment.ts'
import {
  flipItem,
  randomResizedCrop,
  resize,
  type ItemTransform,
  type RandomCropOptions,
  type RandomResizedCropOptions,
} from './item-transforms.ts'
import { cropPad, dihedralItem, randomCrop } from './window-transforms.ts'
import { toOwnItemTransform, type OwnItem, type OwnItemFunction } from './own-item-transform.ts'

/**
 * Transforms as they are written down: their kinds and options. The way they draw is not data, and left out, as is code from
 * outside, of which the name remains.
 */
export function transformRecords(transforms: readonly (ItemTransform | BatchTransform)[]): Json {
  return JSON.parse(JSON.stringify(transforms)) as Json
}

interface Sized {
  readonly height: number
  readonly width: number
}

const ITEM_TRANSFORMS: Readonly<Record<Exclude<ItemTransform['kind'], 'own'>, (record: never) => ItemTransform>> = {
  resize: ({ height, width, ...options }: Sized & { readonly method: 'crop' }) => resize([height, width], options),
  randomResizedCrop: ({ height, width, ...options }: Sized & RandomResizedCropOptions) =>
    randomResizedCrop([height, width], options),
  randomCrop: ({ height, width, ...options }: Sized & RandomCropOptions) => randomCrop([height, width], options),
  cropPad: ({ height, width, ...options }: Sized & Pick<RandomCropOptions, 'padMode'>) =>
    cropPad([height, width], options),
  flipItem: ({ p }: { readonly p: number }) => flipItem(p),
  dihedralItem: ({ p }: { readonly p: number }) => dihedralItem(p),
  trivialAugment: (options: TrivialAugmentOptions) => trivialAugment(options),
  randAugment: (options: RandAugmentOptions) => randAugment(options),
}

const BATCH_TRANSFORMS: Readonly<Record<Exclude<BatchTransform['kind'], 'own'>, (record: never) => BatchTransform>> = {
  affine: (options: AffineOptions) => affine(options),
  crop: ({ size, ...options }: CropOptions & { readonly size: readonly [number, number] }) =>
    randomResizedCropGpu(size, options),
  lighting: (options: LightingOptions) => lighting(options),
  saturation: (options: SaturationOptions) => saturation(options),
  hue: (options: HueOptions) => hue(options),
  normalize: (stats: ChannelStats) => normalize(stats),
  erasing: (options: ErasingOptions) => randomErasing(options),
}

/** Decode options as a file holds them; of a file from before there was a choice, those of then. */
export function decodingFrom(record: Json | undefined): Decoding {
  return record === undefined ? FORMER_DECODING : toDecoding('decoding', record as DecodeOptions)
}

/** Transforms from outside the package by their names. */
export type OwnTransforms = Readonly<Record<string, OwnItem | OwnItemFunction | OwnBatch | OwnBatchFunction>>

/** Leaves out code from outside that predictions do not need: what runs only where transforms are random. */
export function forPrediction<Transform extends ItemTransform | BatchTransform>(
  transforms: readonly Transform[],
): Transform[] {
  return transforms.filter((one) => one.kind !== 'own' || one.runsOn === 'both')
}

/**
 * Item transforms as `transformRecords` wrote them.
 *
 * @param own  those from outside
 * @throws DataError, OptionError  when they are something else, or one from outside is not given
 */
export function itemTransformsFrom(records: Json | undefined, own: OwnTransforms = {}): ItemTransform[] {
  return revived(records, ITEM_TRANSFORMS, (name, { order }) => ({
    ...toOwnItemTransform(given(own, name) as OwnItem | OwnItemFunction),
    name,
    order: Number(order),
  }))
}

/** Batch transforms as `transformRecords` wrote them. @param own, @throws  as `itemTransformsFrom` */
export function batchTransformsFrom(records: Json | undefined, own: OwnTransforms = {}): BatchTransform[] {
  return revived(records, BATCH_TRANSFORMS, (name, { order }) => ({
    ...toOwnBatchTransform(given(own, name) as OwnBatch | OwnBatchFunction),
    name,
    order: Number(order),
  }))
}

/** @throws DataError  if a transform is not given */
function given(own: OwnTransforms, name: string): OwnTransforms[string] {
  if (Object.hasOwn(own, name)) return own[name]
  throw new DataError('transforms', `the model was trained with a transform '${name}', which is not in the file`, {
    given: { transforms: Object.keys(own).join(', ') || 'none' },
    expected: 'its code, which a file does not hold',
    fix: `pass it: loadLearner(path, { transforms: { ${name} } })`,
  })
}

interface WrittenTransform {
  readonly kind?: unknown
  readonly name?: unknown
  readonly order?: unknown
}

function revived<Transform>(
  records: Json | undefined,
  makers: Readonly<Record<string, (record: never) => Transform>>,
  ownOf: (name: string, record: WrittenTransform) => Transform,
): Transform[] {
  if (!Array.isArray(records)) throw new DataError('transforms', 'they are not a list')
  return records.map((record: WrittenTransform | null) => {
    const { kind: written, order: _order, ...options } = record ?? {}
    const kind = String(written)
    if (record && kind === 'own') return ownOf(String(options.name), record)
    if (!Object.hasOwn(makers, kind)) {
      throw new DataError('transforms', `there is no transform '${kind}'`, { expected: Object.keys(makers).join(', ') })
    }
    // The function that makes it checks its options.
    return makers[kind](options as never)
  })
}
