import type { Module } from '../nn/module.ts'
import type { WeightPrecision } from '../nn/weight-precision.ts'

/** Statistics that images are normalized with, one number per channel, of pixel values in 0…1. */
export interface OnnxNormalization {
  readonly mean: readonly number[]
  readonly std: readonly number[]
}

/** Options of `exportOnnx`. */
export interface OnnxOptions {
  /** Height and width of the images in pixels: one number for a square, or [height, width]. */
  readonly size: number | readonly [height: number, width: number]
  /** Channels of an image. Default 3 */
  readonly channels?: number
  /** Normalization that the graph does first: y = (x − mean) / std. Default: none, the network reads pixels in 0…1 */
  readonly normalize?: OnnxNormalization
  /** Labels of the outputs, in their order; stored in the file's metadata. Default: none */
  readonly labels?: readonly string[]
  /**
   * Storage of the weights of convolutions and linear layers. 'f16' makes the file half as large; it is still computed
   * in float32, with the rounded weights. Default 'f32'
   */
  readonly precision?: WeightPrecision
  /**
   * Function after the network: 'softmax' for one class per image, 'sigmoid' for several labels, 'none' for numbers. Default
   * 'softmax'
   */
  readonly activation?: 'softmax' | 'sigmoid' | 'none'
  /** Adds a second output with the numbers before the softmax or sigmoid. Default false */
  readonly logits?: boolean
  /** More texts for the file's metadata. Default: none */
  readonly metadata?: Readonly<Record<string, string>>
}

/**
 * The bytes of an ONNX file that computes class probabilities of images, for ONNX Runtime and other programs.
 *
 *   input   `image`          float32 [batch,channels,H,W], RGB or grey in 0…1, the top row first
 *   output  `probabilities`  float32 [batch,outputs], with the sum 1 per image; of several labels each by itself
 *   output  `values`         float32 [batch,outputs], in place of probabilities with the activation 'none'
 *   output  `logits`         float32 [batch,outputs], where `logits` is asked for
 *
 * These are images as torchvision's ToTensor makes them; normalization is part of the graph, resizing is not. The batch
 * may have any size, height and width are those of `size`. Opset 17. The file's metadata has the labels as a JSON list
 * under `labels`.
 *
 * The network is run once and its operations are written down, so that modules of one's own are exported as well, if
 * `forward` is made of operations of the library: conv2d, linear, batchNorm, layerNorm, relu, mish, sigmoid, silu, gelu,
 * hardSigmoid, hardSwish, relu6, add, mul, maxPool, avgPool, maxBlurPool, globalAvgPool, globalMaxPool, concat, reshape (flatten)
 * and cast. What `forward` decides in TypeScript is decided once.
 *
 * @throws OptionError  that names operation and module, when there is another operation, or an option is out of range
 * @throws ShapeError   when the network does not turn each image into one row of outputs
 * Source: ONNX, docs/IR.md and docs/Operators.md.
 */
export async function exportOnnx(model: Module, options: OnnxOptions): Promise<Uint8Array> {
  // Loaded when it is needed: a page that exports nothing leaves it out.
  const { buildOnnx } = await import('./build-onnx.ts')
  return buildOnnx(model, options)
}
