/**
 * `wgrad/nn`: modules to build networks of, their parameters and the files of weights.
 *
 * @module wgrad/nn
 */

export { Module, type Architecture } from '../nn/module.ts'
export { Parameter, StateTensor } from '../nn/parameter.ts'
export { Sequential } from '../nn/sequential.ts'
export { layerRow, rowsUnder, type LayerRow } from '../nn/summary.ts'
export { Conv } from '../nn/conv.ts'
export { ConvLayer } from '../nn/conv-layer.ts'
export { BatchNorm, type BatchNormLayerOptions } from '../nn/batch-norm.ts'
export { Linear, type LinearOptions } from '../nn/linear.ts'
export { AvgPool, GlobalAvgPool, MaxPool } from '../nn/pool.ts'
export { ConcatPool } from '../nn/concat-pool.ts'
export { MaxBlurPool } from '../nn/max-blur-pool.ts'
export {
  ResBlock,
  type XResNetOptions,
  xresnet18Deep,
  xresnet34Deep,
  xresnet50Deep,
  xresnet18Deeper,
  xresnet34Deeper,
  xresnet50Deeper,
} from '../nn/xresnet.ts'
export { filled, Init, kaimingNormal, type Fan } from '../nn/init.ts'
export { architectures, backbones, type ModelMaker } from '../nn/architectures.ts'
export type { StateDict } from '../nn/state-dict.ts'
export { readWeights, writeWeights, type WriteWeightsOptions } from '../nn/weights.ts'
export { readSafetensors, writeSafetensors, type Safetensors, type StoredTensor } from '../nn/safetensors.ts'
export type { OnnxNormalization, OnnxOptions } from '../onnx/export-onnx.ts'
export type { WeightPrecision } from '../nn/weight-precision.ts'
export type { ExportOnnxOptions } from '../train/results/export-onnx.ts'
export type { ResNetOptions } from '../nn/resnet.ts'
export type { Backbone, Body } from '../nn/backbone.ts'
export { loadWeights, type LoadReport, type LoadWeightsOptions, type ShapeMismatch } from '../nn/load-weights.ts'
export { fromTimm, timmNames, toTimm } from '../nn/weight-names.ts'
export { Dropout } from '../nn/dropout.ts'
export type { DrawnLayer } from '../nn/drawn.ts'
export { StochasticDepth } from '../nn/stochastic-depth.ts'
export { SigmoidRange, type OutputRange } from '../nn/sigmoid-range.ts'
export { Elementwise, Gelu, HardSigmoid, HardSwish, Relu6, Sigmoid, Silu } from '../nn/activations.ts'
export { Relu } from '../nn/relu.ts'
export { Flatten } from '../nn/flatten.ts'
export { LayerNorm, type LayerNormLayerOptions } from '../nn/layer-norm.ts'
export { LayerScale, type LayerScaleOptions } from '../nn/layer-scale.ts'
export { SqueezeExcite, type SqueezeExciteOptions } from '../nn/squeeze-excite.ts'
export type { VisionModelOptions } from '../nn/vision-model.ts'

// Types that the others are made of, so that all of them can be named
export type { NormFollowUp } from '../nn/batch-norm.ts'
export type { Activation, ConvLayerOptions } from '../nn/conv-layer.ts'
export type { ConvOptions } from '../nn/conv.ts'
export type { Initial, ParameterKind } from '../nn/parameter.ts'
export type { SequentialOptions } from '../nn/sequential.ts'
export type { StateEntry } from '../nn/state-dict.ts'
export type { Renaming } from '../nn/weight-names.ts'
export type { WeightsFile } from '../nn/weights.ts'
