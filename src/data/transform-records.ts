import { DataError } from '../base/errors.ts'
import type { Json } from '../base/json.ts'
import { FORMER_DECODING, toDecoding, type DecodeOptions, type Decoding } from '../image/decode-options.ts'
import { affine, type AffineOptions } from './augment/affine.ts'
import { hue, saturation, type HueOptions, type SaturationOptions } from './augment/colour.ts'
import { randomResizedCropGpu, type CropOptions } from './augment/crop.ts'
import { randomErasing, type ErasingOptions } from './augment/erasing.ts'
import { lighting, type LightingOptions } from './augment/lighting.ts'
import { normalize, type ChannelStats } from './augment/normalize.ts'
import type { BatchTransform } from './augment/transforms.ts'
import {
  flipItem,
  randomResizedCrop,
  resize,
  type ItemTransform,
  type RandomResizedCropOptions,
} from './item-transforms.ts'

/** Transforms as they are written down: their kinds and options. The way they draw is not data, and left out. */
export function transformRecords(transforms: readonly (ItemTransform | BatchTransform)[]): Json {
  return JSON.parse(JSON.stringify(transforms)) as Json
}

interface Sized {
  readonly height: number
  readonly width: number
}

const ITEM_TRANSFORMS: Readonly<Record<ItemTransform['kind'], (record: never) => ItemTransform>> = {
  resize: ({ height, width, method }: Sized & { readonly method: 'crop' }) => resize([height, width], { method }),
  randomResizedCrop: ({ height, width, ...options }: Sized & RandomResizedCropOptions) =>
    randomResizedCrop([height, width], options),
  flipItem: ({ p }: { readonly p: number }) => flipItem(p),
}

const BATCH_TRANSFORMS: Readonly<Record<BatchTransform['kind'], (record: never) => BatchTransform>> = {
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

/** Item transforms as `transformRecords` wrote them. @throws DataError, OptionError when they are something else */
export function itemTransformsFrom(records: Json | undefined): ItemTransform[] {
  return revived(records, ITEM_TRANSFORMS)
}

/** Batch transforms as `transformRecords` wrote them. @throws DataError, OptionError when they are something else */
export function batchTransformsFrom(records: Json | undefined): BatchTransform[] {
  return revived(records, BATCH_TRANSFORMS)
}

function revived<Transform>(
  records: Json | undefined,
  makers: Readonly<Record<string, (record: never) => Transform>>,
): Transform[] {
  if (!Array.isArray(records)) throw new DataError('transforms', 'they are no list')
  return records.map((record: { readonly kind?: unknown; readonly order?: unknown } | null) => {
    const { kind: written, order: _order, ...options } = record ?? {}
    const kind = String(written)
    if (!Object.hasOwn(makers, kind)) {
      throw new DataError('transforms', `there is no transform '${kind}'`, { expected: Object.keys(makers).join(', ') })
    }
    // The function that makes it checks its options.
    return makers[kind](options as never)
  })
}
