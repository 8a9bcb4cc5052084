/** Every public name, by room. `node.ts` and `browser.ts` add what needs a platform. */

// Bytes to batches
export { DataBlock, type DataBlockOptions, type LoadersOptions } from './data/data-block.ts'
export { CategoryBlock, ImageBlock } from './data/blocks.ts'
export {
  flipItem,
  randomResizedCrop,
  resize,
  type ItemTransform,
  type RandomResizedCropOptions,
} from './data/item-transforms.ts'
export { getImageFiles, parentLabel, type GetImageFilesOptions } from './data/items.ts'
export { verifyImages, type BadImage } from './data/verify-images.ts'
export { columnSplitter, getImagesFromCsv, ImageTable, type ImagesFromCsvOptions } from './data/image-table.ts'
export { grandparentSplitter, randomSplitter, type Split, type Splitter } from './data/splitters.ts'
export { untarData, type UntarOptions } from './data/untar-data.ts'
export { urls } from './data/urls.ts'
export { sampleClasses, sampleData, type SampleOptions } from './data/sample.ts'
export { augTransforms, type AugTransformsOptions, type BatchTransform } from './data/augment/transforms.ts'
export { randomResizedCropGpu, type CropOptions } from './data/augment/crop.ts'
export { hue, saturation, type HueOptions, type SaturationOptions } from './data/augment/colour.ts'
export { randomErasing, type ErasingOptions } from './data/augment/erasing.ts'
export { cifarStats, imagenetStats, normalize, type ChannelStats } from './data/augment/normalize.ts'
export { Loader, type LoaderOptions, type Pass } from './data/loader.ts'
export { Loaders, type TestLoaderOptions } from './data/loaders.ts'
export { PixelCache } from './data/pixel-cache.ts'
export { batchPictures, inputPictures, showBatch, type LabelledPicture, type ShowOptions } from './data/show.ts'
export { batchStats, channelStats } from './data/statistics.ts'
export type { Batch, Targets } from './data/batch.ts'

// Models
export {
  xresnet,
  xresnet18,
  xresnet34,
  xresnet50,
  xresnet101,
  xresnet152,
  xresnet18Deep,
  xresnet34Deep,
  xresnet50Deep,
  xresnet18Deeper,
  xresnet34Deeper,
  xresnet50Deeper,
  xresnetGroups,
  ResBlock,
  type XResNetOptions,
} from './nn/xresnet.ts'
export { Module, type Architecture } from './nn/module.ts'
export { Parameter, StateTensor } from './nn/parameter.ts'
export { Sequential } from './nn/sequential.ts'
export { Conv } from './nn/conv.ts'
export { ConvLayer } from './nn/conv-layer.ts'
export { BatchNorm } from './nn/batch-norm.ts'
export { Linear } from './nn/linear.ts'
export { AvgPool, GlobalAvgPool, MaxPool } from './nn/pool.ts'
export { MaxBlurPool } from './nn/max-blur-pool.ts'
export { filled, Init, kaimingNormal } from './nn/init.ts'
export { architectures, type ModelMaker } from './nn/architectures.ts'
export type { StateDict } from './nn/state-dict.ts'
export { readWeights, writeWeights } from './nn/weights.ts'
export { readSafetensors, writeSafetensors, type Safetensors, type StoredTensor } from './nn/safetensors.ts'

// Training
export { Learner } from './train/learner.ts'
export type {
  FineTuneOptions,
  FitFlatCosOptions,
  FitOneCycleOptions,
  FitOptions,
  FitSgdrOptions,
  LearnerOptions,
  LearningRate,
} from './train/learner-options.ts'
export { loadLearner, type LoadLearnerOptions } from './train/files/export.ts'
export { Predictor, type Prediction, type PredictorParts } from './train/results/predictor.ts'
export type { SaveOptions } from './train/files/save-load.ts'
export { crossEntropy, labelSmoothing, smoothedLabels, type Loss } from './train/fit/losses.ts'
export { accuracy, argmax, errorRate, topKAccuracy, type Metric, type Predictions } from './train/fit/metrics.ts'
export { ClassificationInterpretation, type Confusion, type ItemLoss } from './train/results/interpretation.ts'
export {
  minimum,
  slide,
  steep,
  valley,
  type LrCurve,
  type Suggestion,
  type SuggestionMethod,
} from './train/results/lr-suggestions.ts'
export {
  Cancel,
  Interrupted,
  type Callback,
  type Level,
  type LossScaling,
  type Step,
  type StepLoss,
} from './train/fit/callback.ts'
export { mixUp } from './train/callbacks/mixup.ts'
export { cutMix } from './train/callbacks/cut-mix.ts'
export { gradientAccumulation } from './train/callbacks/gradient-accumulation.ts'
export { gradientClip } from './train/callbacks/gradient-clip.ts'
export { saveModel, type SaveModelOptions } from './train/callbacks/save-model.ts'
export { earlyStopping, type EarlyStoppingOptions } from './train/callbacks/early-stopping.ts'
export { reduceLrOnPlateau, type ReduceLrOnPlateauOptions } from './train/callbacks/reduce-lr-on-plateau.ts'
export { csvLogger } from './train/callbacks/csv-logger.ts'
export { terminateOnNaN } from './train/callbacks/terminate-on-nan.ts'
export type { TrackerOptions } from './train/callbacks/tracker.ts'
export type { LrFindOptions, LrSearch, SuggestionName } from './train/callbacks/lr-finder.ts'
export { scheduler, type GroupSchedules } from './train/callbacks/scheduler.ts'
export { Recorder } from './train/callbacks/recorder.ts'
export type { EpochRow, History } from './train/fit/history.ts'
export type { FitState } from './train/fit/state.ts'
export { lineChart, type Line, type LineChartOptions } from './train/results/line-chart.ts'
export { lrFindPlot } from './train/results/plot.ts'
export { resultPictures, showResults, type ShowResultsOptions } from './train/results/show-results.ts'
export type { Evaluation, ItemPredictions } from './train/fit/evaluation.ts'
export type { TtaOptions, TtaPair, TtaPairOptions } from './train/results/tta.ts'

// Optimizers and schedules
export { adam, type AdamOptions } from './optim/adam.ts'
export { sgd, type SgdOptions } from './optim/sgd.ts'
export { radam, type RAdamOptions } from './optim/radam.ts'
export { lookahead, ranger, type LookaheadOptions } from './optim/lookahead.ts'
export { clipGradients } from './optim/clip.ts'
export type { Hypers, Optimizer, OptimizerFactory, Trainable } from './optim/optimizer.ts'
export { LossScaler } from './optim/loss-scaler.ts'
export {
  combineSchedules,
  constantSchedule,
  cosineSchedule,
  exponentialSchedule,
  flatCos,
  learningRates,
  linearSchedule,
  oneCycle,
  polynomialSchedule,
  sgdr,
  type OneCycleOptions,
  type Schedule,
} from './optim/schedule.ts'

// Tensors and operations
export { Tensor } from './tensor/tensor.ts'
export { item, read, tensor, upload, zeros } from './tensor/transfer.ts'
export { keep, release, scope } from './tensor/scope.ts'
export { backward } from './tensor/backward.ts'
export { defineOp, noGrad } from './tensor/op.ts'
export { clear, copy, elementwise, empty, launch } from './tensor/launcher.ts'
export type { Dtype } from './tensor/dtype.ts'
export type { Shape } from './tensor/shape.ts'
export * from './ops/index.ts'

// Which kernels compute them
export { tune, type Tuned, type TuneOptions } from './ops/convolution/tuner.ts'
export { exportChoices, importChoices } from './ops/convolution/choices.ts'

// The machine
export { currentGpu, openGpuOn, useGpu, type Gpu, type GpuOptions } from './gpu/device.ts'
export type { Files, Platform } from './platform/platform.ts'
export type { Pixels } from './image/pixels.ts'
export { rng, type Rng } from './base/rng.ts'
export type { Json } from './base/json.ts'
export {
  DataError,
  DecodeError,
  DeviceError,
  DtypeError,
  NotFiniteError,
  OptionError,
  ShaderError,
  ShapeError,
  WgradError,
} from './base/errors.ts'
