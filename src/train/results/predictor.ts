import { requireRange } from '../../base/check.ts'
import type { DataError } from '../../base/errors.ts'
import { checkArgument, PATH } from '../../base/options.ts'
import type { BatchTransform } from '../../data/augment/transforms.ts'
import { sortItemTransforms, type ItemTransform } from '../../data/item-transforms.ts'
import { categoryTarget, type TargetCodec } from '../../data/targets.ts'
import { channelsOf, type Decoding } from '../../image/decode-options.ts'
import type { ImageSource } from '../../image/image-source.ts'
import type { Pixels } from '../../image/pixels.ts'
import type { Module } from '../../nn/module.ts'
import type { Platform } from '../../platform/platform.ts'
import type { Activation } from '../fit/losses.ts'
import type { ExportOnnxOptions, OnnxParts } from './export-onnx.ts'

type Classifier = import('./classifier.ts').Classifier

/** Label and its probability. */
export interface LabelProbability {
  /** Label; `output 734` for an output beyond the vocabulary. */
  readonly label: string
  /** Number of the output. */
  readonly index: number
  readonly probability: number
}

/** Prediction of a model for one image. */
export interface Prediction {
  /**
   * Label with the largest probability, or `undefined` if that is below the threshold: the answer is then "none of
   * these" (see `suggestThreshold`). Without a threshold there always is a label, except where numbers are predicted.
   */
  readonly label: string | undefined
  /** All labels: where an image may have several, those whose probability is above the threshold; otherwise one or none. */
  readonly labels: readonly string[]
  /** Numbers that are predicted, where targets are numbers: of several labels 0 or 1 for each. */
  readonly values: Float32Array | undefined
  /** The prediction as a text: the label, the labels with `;` between them, or the numbers. */
  readonly text: string
  /** False if the largest probability is below the threshold, or no label is above it. */
  readonly isKnown: boolean
  /** Number of the output with the largest probability, whether or not it reaches the threshold. */
  readonly index: number
  /** Largest probability; NaN where numbers are predicted. */
  readonly probability: number
  /** The likeliest labels, the likeliest first (see `topK`); empty where numbers are predicted. */
  readonly top: readonly LabelProbability[]
  /**
   * Probabilities of all outputs of the model: with the sum 1, or each by itself where an image may have several labels;
   * empty where numbers are predicted.
   */
  readonly probabilities: Float32Array
}

/** Options of `Predictor.predict`. */
export interface PredictOptions {
  /**
   * Test-time augmentation: number of passes with the random transforms of training, or true for 4. Their mean counts
   * 0.75, the pass without random transforms 0.25, as in `learner.tta`. The random numbers depend on the place of an
   * image among those of the call. Default false
   */
  readonly tta?: boolean | number
  /** Number of labels in `top`. Default 5 */
  readonly topK?: number
  /**
   * Smallest probability with which an image is known, in [0,1]; 0 for always. Where an image may have several labels, the
   * probability above which each counts. Default: the threshold of the model
   */
  readonly threshold?: number
}

/** Options of `Predictor.predictAll` and `predictEach`. */
export interface PredictAllOptions extends PredictOptions {
  /** Largest number of images in one batch. Default 32 */
  readonly batchSize?: number
}

/** Outcome for one of many images: a prediction, or the reason why there is none. */
export type PredictionOutcome = {
  /** Place of the image among those given. */
  readonly index: number
  readonly item: ImageSource
} & (
  | { readonly prediction: Prediction; readonly error?: undefined }
  | { readonly prediction?: undefined; readonly error: DataError }
)

/** Parts of a `Predictor`. */
export interface PredictorParts {
  readonly model: Module
  readonly vocab: readonly string[]
  /** Meaning of the outputs. Default: one class of the vocabulary */
  readonly target?: TargetCodec
  /** Function from the outputs of the model to predictions. Default 'softmax' */
  readonly activation?: Activation | undefined
  /** Way in which files become pixels. Default: that of `ImageBlock()` */
  readonly decoding?: Decoding
  readonly itemTransforms: readonly ItemTransform[]
  readonly batchTransforms: readonly BatchTransform[]
  readonly platform: Platform
  /** Precision of the forward pass. Default f32 */
  readonly precision?: 'f32' | 'mixed'
  /** Smallest probability with which an image is known. Default 0: every image is; of labels, 0.5 */
  readonly threshold?: number | undefined
}

/** Parts with their defaults filled in, and item transforms in their order. */
export type CompleteParts = PredictorParts & { readonly target: TargetCodec; readonly threshold: number }

/**
 * Model with everything needed to classify images. Transforms act as in validation.
 *
 * It may be called again before earlier calls have ended: images are decoded at the same time, and the model runs for
 * one call after the other.
 */
export class Predictor {
  readonly model: Module
  readonly vocab: readonly string[]
  /** Meaning of the outputs. */
  readonly target: TargetCodec
  readonly activation: Activation
  /** Channels of the network's input: 3, or 1 for grey images. */
  readonly channels: 1 | 3
  /** Smallest probability with which an image is known; 0 if every image is. Of labels, above which each counts. */
  readonly threshold: number
  readonly batchTransforms: readonly BatchTransform[]
  readonly platform: Platform
  private readonly parts: CompleteParts
  private classifier: Promise<Classifier> | undefined

  constructor(parts: PredictorParts) {
    this.model = parts.model
    this.vocab = parts.vocab
    this.target = parts.target ?? categoryTarget(parts.vocab)
    this.activation = parts.activation ?? 'softmax'
    this.channels = channelsOf(parts.decoding)
    this.threshold = checkedThreshold('Predictor', parts.threshold ?? (this.activation === 'sigmoid' ? 0.5 : 0))
    this.batchTransforms = parts.batchTransforms
    this.platform = parts.platform
    this.parts = {
      ...parts,
      target: this.target,
      itemTransforms: sortItemTransforms(parts.itemTransforms),
      threshold: this.threshold,
    }
  }

  /**
   * Classifies an image: the path of a file, its bytes (`Uint8Array`, `ArrayBuffer`, `Blob`, `File`), decoded pixels of
   * any size, and in a page also an `ImageBitmap`, `ImageData`, canvas, `<img>`, `<video>` or `VideoFrame`. It is resized
   * as in validation.
   *
   * @throws DataError  naming the image, if it cannot be decoded
   * Source: fastai learner.py, Learner.predict.
   */
  async predict(item: ImageSource, options: PredictOptions = {}): Promise<Prediction> {
    return (await this.loaded()).predict(item, options)
  }

  /** Classifies decoded pixels; the same as `predict(pixels)`. */
  predictPixels(pixels: Pixels): Promise<Prediction> {
    return this.predict(pixels)
  }

  /**
   * Classifies many images in batches, with the results in their order.
   *
   * @throws DataError  naming the first image that cannot be decoded; `predictEach` goes on with the others
   */
  async predictAll(
    items: Iterable<ImageSource> | AsyncIterable<ImageSource>,
    options: PredictAllOptions = {},
  ): Promise<Prediction[]> {
    const predictions: Prediction[] = []
    for await (const { prediction, error } of this.predictEach(items, options)) {
      if (error) throw error
      predictions.push(prediction)
    }
    return predictions
  }

  /**
   * Classifies many images in batches and yields the outcome of each, in their order, as soon as its batch is done. An
   * image that cannot be read or decoded has an `error` in place of a prediction. The next batch is decoded while the
   * model runs; no more of the items are asked for than that. A generator may yield the same canvas, video or array of pixels
   * again and again: each image is read before the next is asked for.
   */
  async *predictEach(
    items: Iterable<ImageSource> | AsyncIterable<ImageSource>,
    options: PredictAllOptions = {},
  ): AsyncGenerator<PredictionOutcome, void, undefined> {
    yield* (await this.loaded()).predictEach(items, options)
  }

  /**
   * Writes an ONNX file that computes the same probabilities in other programs (see export-onnx.ts). Where no transform
   * resizes images, `size` says how large they are.
   *
   * @param path  ends in .onnx
   * @throws OptionError  as the function `exportOnnx`
   */
  async exportOnnx(path: string, options: ExportOnnxOptions = {}): Promise<void> {
    checkArgument('exportOnnx', 'path', path, PATH)
    const { writeOnnx } = await import('./export-onnx.ts')
    await writeOnnx(path, this.onnxParts(), options)
  }

  /** Returns the bytes that `exportOnnx` writes. @throws  as `exportOnnx` */
  async exportOnnxBytes(options: ExportOnnxOptions = {}): Promise<Uint8Array> {
    const { writeOnnx } = await import('./export-onnx.ts')
    return writeOnnx(undefined, this.onnxParts(), options)
  }

  /** Returns what `writeOnnx` writes down. */
  onnxParts(): OnnxParts {
    const { vocab, target, threshold, activation, channels } = this
    const { model, itemTransforms, batchTransforms, platform } = this.parts
    const names = vocab.length > 0 ? vocab : (target.names ?? [])
    return { model, names, threshold, activation, channels, itemTransforms, batchTransforms, platform }
  }

  /** Decodes an image and resizes it as in validation. @throws DataError  naming it, if it cannot be decoded */
  async pixelsOf(item: ImageSource, where: string): Promise<Pixels> {
    return (await this.loaded()).pixelsOf(item, where)
  }

  /** What classifies is loaded with the first image: a page that only trains leaves it out. */
  private loaded(): Promise<Classifier> {
    return (this.classifier ??= import('./classifier.ts').then(({ Classifier }) => new Classifier(this.parts)))
  }
}

/** Returns a threshold. @throws OptionError  if it is not a probability */
export function checkedThreshold(where: string, threshold: number): number {
  requireRange(where, { threshold }, threshold >= 0 && threshold <= 1, '0 to 1')
  return threshold
}
