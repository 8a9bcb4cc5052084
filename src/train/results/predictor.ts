import { DataError, OptionError } from '../../base/errors.ts'
import { rng } from '../../base/rng.ts'
import { BatchPipeline } from '../../data/augment/pipeline.ts'
import type { BatchTransform } from '../../data/augment/transforms.ts'
import { drawPlan, sortItemTransforms, type ItemTransform } from '../../data/item-transforms.ts'
import type { Module } from '../../nn/module.ts'
import { cast } from '../../ops/cast.ts'
import { softmax } from '../../ops/softmax.ts'
import type { Platform } from '../../platform/platform.ts'
import type { ResizePlan } from '../../image/resize-plan.ts'
import type { Pixels } from '../../image/pixels.ts'
import { noGrad } from '../../tensor/op.ts'
import { release, scope } from '../../tensor/scope.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { read, tensor } from '../../tensor/transfer.ts'
import { argmax, outputName } from '../fit/metrics.ts'
import { writeOnnx, type ExportOnnxOptions } from './export-onnx.ts'

/** What a model says of a picture. */
export interface Prediction {
  /** The label of the largest probability; where the model has more outputs than there are labels, `output 734`. */
  readonly label: string
  readonly index: number
  /** Of all outputs of the model, with the sum 1. */
  readonly probabilities: Float32Array
}

export interface PredictorParts {
  readonly model: Module
  readonly vocab: readonly string[]
  readonly itemTransforms: readonly ItemTransform[]
  readonly batchTransforms: readonly BatchTransform[]
  readonly platform: Platform
  /** Default f32 */
  readonly precision?: 'f32' | 'mixed'
}

/** A model with all it takes to name what is on image files. Transforms do what they do in validation. */
export class Predictor {
  readonly model: Module
  readonly vocab: readonly string[]
  private readonly itemTransforms: readonly ItemTransform[]
  private readonly batchTransforms: readonly BatchTransform[]
  private readonly pipeline: BatchPipeline
  private readonly platform: Platform
  private readonly dtype: 'f32' | 'f16'

  constructor({ model, vocab, itemTransforms, batchTransforms, platform, precision = 'f32' }: PredictorParts) {
    this.model = model
    this.vocab = vocab
    this.itemTransforms = sortItemTransforms(itemTransforms)
    this.batchTransforms = batchTransforms
    this.pipeline = new BatchPipeline(batchTransforms)
    this.platform = platform
    this.dtype = precision === 'mixed' ? 'f16' : 'f32'
  }

  /**
   * What is on an image file.
   *
   * @throws DataError  that names the file, when it cannot be decoded
   * Source: fastai learner.py, Learner.predict.
   */
  async predict(path: string): Promise<Prediction> {
    return this.predictPixels(await this.platform.decoder.decode({ path, resize: this.resizePlan() }))
  }

  /**
   * What is on a picture that is as large as the item transforms make it.
   *
   * @throws OptionError  when it has another size, or not as many bytes
   */
  async predictPixels({ width, height, data }: Pixels): Promise<Prediction> {
    if (data.length !== 4 * width * height) {
      throw new OptionError('predict', 'these are not as many pixels as the picture has', {
        given: { width, height, bytes: data.length },
        expected: 'four bytes a pixel, red, green, blue and one that is not looked at',
      })
    }
    const plan = this.resizePlan()
    if (plan.method !== 'whole' && (plan.width !== width || plan.height !== height)) {
      throw new OptionError('predict', 'this picture has another size than the model was trained with', {
        given: { size: `${width} × ${height}` },
        expected: `${plan.width} × ${plan.height}`,
        fix: 'resize it to that, or let predict(path) do it',
      })
    }
    const probabilities = this.probabilities(new Uint32Array(data.slice().buffer), [1, height, width])
    const values = Float32Array.from(await read(probabilities))
    release(probabilities)
    if (!values.every(Number.isFinite)) {
      throw new DataError('predict', "the model's outputs are not finite, so that they say nothing", {
        given: { outputs: values.length, 'not finite': values.filter((value) => !Number.isFinite(value)).length },
        fix: 'its training has diverged: train it again, with a lower learning rate',
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

  /** How pictures are brought to the size that the model was trained with: as in validation, where nothing is random. */
  private resizePlan(): ResizePlan {
    return drawPlan(this.itemTransforms, rng(0, 'predict'), 'valid')
  }

  /** Waits for nothing while the model is in evaluation: a fit that goes on at the same time never sees it so. */
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
