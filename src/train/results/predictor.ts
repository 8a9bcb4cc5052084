import { DataError, OptionError } from '../../base/errors.ts'
import { rng } from '../../base/rng.ts'
import { BatchPipeline } from '../../data/augment/pipeline.ts'
import type { BatchTransform } from '../../data/augment/transforms.ts'
import { drawPlan, sortItemTransforms, type ItemTransform } from '../../data/item-transforms.ts'
import type { Decoding } from '../../image/decode-options.ts'
import type { Module } from '../../nn/module.ts'
import { cast } from '../../ops/cast.ts'
import { softmax } from '../../ops/softmax.ts'
import type { Platform } from '../../platform/platform.ts'
import type { ResizePlan } from '../../image/resize-plan.ts'
import type { Pixels } from '../../image/pixels.ts'
import { noGrad } from '../../tensor/op.ts'
import { release, scope } from '../../tensor/scope.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { read, tensor } from '../../tensor/read-write.ts'
import { argmax, outputName } from '../fit/metrics.ts'
import { writeOnnx, type ExportOnnxOptions } from './export-onnx.ts'

/** Prediction of a model for one image. */
export interface Prediction {
  /** Label with the largest probability; `output 734` for an output beyond the vocabulary. */
  readonly label: string
  /** Number of the output with the largest probability. */
  readonly index: number
  /** Probabilities of all outputs of the model, with sum 1. */
  readonly probabilities: Float32Array
}

/** Parts of a `Predictor`. */
export interface PredictorParts {
  readonly model: Module
  readonly vocab: readonly string[]
  /** Way in which files become pixels. Default: that of `ImageBlock()` */
  readonly decoding?: Decoding
  readonly itemTransforms: readonly ItemTransform[]
  readonly batchTransforms: readonly BatchTransform[]
  readonly platform: Platform
  /** Precision of the forward pass. Default f32 */
  readonly precision?: 'f32' | 'mixed'
}

/** Model with everything needed to classify image files. Transforms act as in validation. */
export class Predictor {
  readonly model: Module
  readonly vocab: readonly string[]
  private readonly decoding: Decoding | undefined
  private readonly itemTransforms: readonly ItemTransform[]
  private readonly batchTransforms: readonly BatchTransform[]
  private readonly pipeline: BatchPipeline
  private readonly platform: Platform
  private readonly dtype: 'f32' | 'f16'

  constructor(parts: PredictorParts) {
    const { model, vocab, decoding, itemTransforms, batchTransforms, platform, precision = 'f32' } = parts
    this.model = model
    this.vocab = vocab
    this.decoding = decoding
    this.itemTransforms = sortItemTransforms(itemTransforms)
    this.batchTransforms = batchTransforms
    this.pipeline = new BatchPipeline(batchTransforms)
    this.platform = platform
    this.dtype = precision === 'mixed' ? 'f16' : 'f32'
  }

  /**
   * Classifies an image file.
   *
   * @throws DataError  naming the file, if it cannot be decoded
   * Source: fastai learner.py, Learner.predict.
   */
  async predict(path: string): Promise<Prediction> {
    const { decoding, platform } = this
    return this.predictPixels(await platform.decoder.decode({ path, resize: this.resizePlan(), decoding }))
  }

  /**
   * Classifies an image that already has the size that the item transforms produce.
   *
   * @throws OptionError  if its size or the number of its bytes is another
   */
  async predictPixels({ width, height, data }: Pixels): Promise<Prediction> {
    if (data.length !== 4 * width * height) {
      throw new OptionError('predict', 'the number of bytes does not match the size of the image', {
        given: { width, height, bytes: data.length },
        expected: 'four bytes per pixel: red, green, blue and one that is ignored',
      })
    }
    const plan = this.resizePlan()
    if (plan.method !== 'whole' && (plan.width !== width || plan.height !== height)) {
      throw new OptionError('predict', 'the image has another size than the model was trained with', {
        given: { size: `${width} × ${height}` },
        expected: `${plan.width} × ${plan.height}`,
        fix: 'resize it to that, or let predict(path) do it',
      })
    }
    const probabilities = this.probabilities(new Uint32Array(data.slice().buffer), [1, height, width])
    const values = Float32Array.from(await read(probabilities))
    release(probabilities)
    if (!values.every(Number.isFinite)) {
      throw new DataError('predict', "the model's outputs are not finite, so there is no prediction", {
        given: { outputs: values.length, 'not finite': values.filter((value) => !Number.isFinite(value)).length },
        fix: 'its training has diverged: train it again with a lower learning rate',
      })
    }
    const [index] = argmax({ rows: 1, columns: values.length, data: values })
    return { label: outputName(this.vocab, index), index, probabilities: values }
  }

  /**
   * Writes an ONNX file that computes the same probabilities in other programs (see export-onnx.ts). Where no transform
   * resizes images, `size` says how large they are.
   *
   * @param path  ends in .onnx
   * @throws OptionError  as the function `exportOnnx`
   */
  exportOnnx(path: string, options: ExportOnnxOptions = {}): Promise<void> {
    const { model, vocab, itemTransforms, batchTransforms, platform } = this
    return writeOnnx(path, { model, vocab, itemTransforms, batchTransforms, platform }, options)
  }

  /** Returns the resize plan of validation, in which nothing is random. */
  private resizePlan(): ResizePlan {
    return drawPlan(this.itemTransforms, rng(0, 'predict'), 'valid')
  }

  /** Runs synchronously while the model is in evaluation mode, so that a concurrent fit never sees it in that mode. */
  private probabilities(pixels: Uint32Array, shape: readonly [number, number, number]): Tensor {
    const wasTraining = this.model.training
    this.model.eval()
    try {
      return scope(() =>
        noGrad(() => {
          const input = this.pipeline.run(tensor(pixels, shape, 'u32'), rng(0, 'predict'), 'valid', this.dtype)
          return softmax(cast(this.model.forward(input), 'f32'))
        }),
      )
    } finally {
      this.pipeline.release()
      if (wasTraining) this.model.train()
    }
  }
}
