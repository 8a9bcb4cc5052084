/** All operations, by name. */
export { gelu, hardSigmoid, hardSwish, mish, relu6, sigmoid, silu, type GeluOptions } from './activations.ts'
export { add } from './add.ts'
export { avgPool, type AvgPoolOptions } from './avg-pool.ts'
export { batchNorm, type BatchNormOptions } from './batch-norm.ts'
export { sigmoidCrossEntropy, type SigmoidCrossEntropyOptions } from './binary-cross-entropy.ts'
export { cast } from './cast.ts'
export { concat } from './concat.ts'
export { conv2d, type Conv2dOptions } from './conv2d.ts'
export { softmaxCrossEntropy, type ClassTargets, type CrossEntropyOptions } from './cross-entropy.ts'
export { dropImages } from './drop-images.ts'
export { dropout, type DropoutOptions } from './dropout.ts'
export { globalAvgPool } from './global-avg-pool.ts'
export { globalMaxPool } from './global-max-pool.ts'
export { layerNorm, type LayerNormOptions } from './layer-norm.ts'
export { linear } from './linear.ts'
export { maxBlurPool } from './max-blur-pool.ts'
export { maxPool, type MaxPoolOptions } from './max-pool.ts'
export { mul } from './mul.ts'
export {
  absoluteError,
  huberError,
  squaredError,
  type HuberErrorOptions,
  type RegressionErrorOptions,
} from './regression-errors.ts'
export { relu } from './relu.ts'
export { flatten, reshape } from './reshape.ts'
export { softmax } from './softmax.ts'
export { sum } from './sum.ts'
