import { requireRange } from '../../base/check.ts'
import { requireExtension } from '../../base/file-name.ts'
import { DataError, OptionError } from '../../base/errors.ts'
import { checkOptions, FLAG, listOf, NUMBER, oneOf, type Kinds } from '../../base/options.ts'
import { rng } from '../../base/rng.ts'
import type { CropTransform } from '../../data/augment/crop.ts'
import { chain } from '../../data/augment/plan.ts'
import type { BatchTransform } from '../../data/augment/transforms.ts'
import { drawPlan, sortItemTransforms, type ItemTransform } from '../../data/item-transforms.ts'
import { WEIGHT_PRECISION, type WeightPrecision } from '../../nn/weight-precision.ts'
import type { Module } from '../../nn/module.ts'
import { exportOnnx } from '../../onnx/export-onnx.ts'
import type { Platform } from '../../platform/platform.ts'
import type { Activation } from '../fit/losses.ts'

/** Options of `Learner.exportOnnx` and `Predictor.exportOnnx`. */
export interface ExportOnnxOptions {
  /**
   * Storage of the weights of convolutions and linear layers. 'f16' makes the file half as large; it is still computed
   * in float32. Default 'f32'
   */
  readonly precision?: WeightPrecision
  /** Adds a second output with the numbers before the softmax or sigmoid. Default false */
  readonly logits?: boolean
  /** Height and width of the network's input in pixels. Default: the size that the transforms make in validation */
  readonly size?: number | readonly [height: number, width: number]
  /**
   * Smallest probability with which an image is known, or above which a label counts, for the file's metadata. Default: that of
   * the model, if it has one
   */
  readonly threshold?: number
}

const KINDS: Kinds<ExportOnnxOptions> = {
  precision: WEIGHT_PRECISION,
  logits: FLAG,
  size: oneOf(NUMBER, listOf(NUMBER)),
  threshold: NUMBER,
}

/** A network and the transforms that images go through before it. */
export interface OnnxParts {
  readonly model: Module
  /** Names of the outputs: classes, labels, or numbers; empty where they have none. */
  readonly names: readonly string[]
  /** Smallest probability with which an image is known, or above which a label counts; 0 where there is none. */
  readonly threshold: number
  /** Function after the network. */
  readonly activation: Activation
  /** Channels of an image. */
  readonly channels: number
  readonly itemTransforms: readonly ItemTransform[]
  readonly batchTransforms: readonly BatchTransform[]
  readonly platform: Pick<Platform, 'files'>
}

/**
 * Writes an ONNX file that computes the probabilities of a predictor (see onnx/export-onnx.ts), whole or not at all, and
 * returns its bytes.
 *
 * Normalization is that of the batch transforms and part of the graph. Resizing is not: unless `size` is given, the
 * file's metadata says how validation does it. `labels` is a JSON list of the names of the outputs; `threshold` is that of
 * the options or of the predictor, where there is one; `resize` is how an item transform resizes one image; `resizeBatch`,
 * where batch transforms resize afterwards, has height, width and the part of each side that is kept, from the middle;
 * `transforms` has the names of item transforms from outside that the file does not do.
 *
 * @param path    undefined writes nothing
 * @param images  finds the size of images where no transform says it; without it that is an error
 * @throws OptionError  as `exportOnnx`, when the path does not end in .onnx, for a threshold that is none, and for a batch
 *   transform from outside that predictions need
 * @throws DataError    when the size is not known
 */
export async function writeOnnx(
  path: string | undefined,
  { model, names, activation, channels, itemTransforms, batchTransforms, platform, ...parts }: OnnxParts,
  options: ExportOnnxOptions = {},
  images?: () => Promise<readonly [height: number, width: number]>,
): Promise<Uint8Array> {
  if (path !== undefined) requireExtension('exportOnnx', path, '.onnx')
  checkOptions('exportOnnx', options, KINDS)
  const { precision = 'f32', logits = false, threshold = parts.threshold } = options
  requireRange('exportOnnx', { threshold }, threshold >= 0 && threshold <= 1, '0 to 1')
  if (options.threshold !== undefined && activation === 'none') {
    throw new OptionError('exportOnnx', 'numbers that are predicted have no threshold', { given: { threshold } })
  }
  const { normalize, crop, affine, own } = chain(batchTransforms)
  const lost = own.find(({ runsOn }) => runsOn === 'both')
  if (lost) {
    throw new OptionError('exportOnnx', `the batch transform '${lost.name}' is code that an ONNX file cannot hold`, {
      fix: "make it part of the model, or let it run in training only: runsOn: 'train'",
    })
  }
  const items = sortItemTransforms(itemTransforms)
  const ownItems = items.flatMap((one) => (one.kind === 'own' && one.runsOn === 'both' ? [one.name] : []))
  const resize = drawPlan(items, rng(0, 'predict'), 'valid')
  const resizedBatch = crop?.size ?? affine?.size
  const resized = resize.method === 'whole' ? undefined : ([resize.height, resize.width] as const)
  const size = options.size ?? resizedBatch ?? resized ?? (await images?.())
  if (size === undefined) {
    throw new DataError('exportOnnx', 'the size of the images is not known, as no transform resizes them', {
      fix: 'give it: { size: [height, width] }',
    })
  }
  const bytes = await exportOnnx(model, {
    size,
    precision,
    logits,
    activation,
    channels,
    ...(names.length > 0 ? { labels: names } : {}),
    ...(normalize ? { normalize } : {}),
    metadata: {
      ...(threshold > 0 ? { threshold: String(threshold) } : {}),
      ...(ownItems.length > 0 ? { transforms: JSON.stringify(ownItems) } : {}),
      ...(options.size === undefined && resized ? { resize: JSON.stringify(resize) } : {}),
      ...(options.size === undefined && resizedBatch ? { resizeBatch: batchResizeText(resizedBatch, crop) } : {}),
    },
  })
  if (path !== undefined) await platform.files.write(path, bytes, { lasting: true })
  return bytes
}

function batchResizeText([height, width]: readonly [number, number], crop: CropTransform | undefined): string {
  return JSON.stringify({ height, width, kept: crop?.validScale ?? 1 })
}
