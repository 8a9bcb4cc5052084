/** The names that most programs need; the rest is in the subpaths of src/exports. `node.ts` and `browser.ts` add what needs a platform. */

// Bytes to batches
export { DataBlock } from './data/data-block.ts'
export { ImageBlock, CategoryBlock, MultiCategoryBlock, RegressionBlock } from './data/blocks.ts'
export { getImageFiles, parentLabel } from './data/items.ts'
export { getImagesFromCsv, columnSplitter } from './data/image-table.ts'
export { grandparentSplitter, randomSplitter } from './data/splitters.ts'
export { verifyImages } from './data/verify-images.ts'
export { resizeImages } from './data/resize-images.ts'
export { untarData } from './data/untar-data.ts'
export { urls } from './data/urls.ts'
export { hubModel } from './data/hub.ts'
export { sampleData } from './data/sample.ts'
export { resize, randomResizedCrop, flipItem } from './data/item-transforms.ts'
export { augTransforms } from './data/augment/transforms.ts'
export { randomResizedCropGpu } from './data/augment/crop.ts'
export { hue, saturation } from './data/augment/colour.ts'
export { randomErasing } from './data/augment/erasing.ts'
export { normalize, imagenetStats, cifarStats, mnistStats } from './data/augment/normalize.ts'
export { showBatch } from './data/show.ts'
export { batchStats } from './data/statistics.ts'

// Models
export { xresnet, xresnet18, xresnet34, xresnet50, xresnet101, xresnet152, xresnetGroups } from './nn/xresnet.ts'
export { resnet, resnet18, resnet34, resnet50, resnet101, resnet152, resnetGroups } from './nn/resnet.ts'
export { visionGroups, visionModel } from './nn/vision-model.ts'
export { exportOnnx } from './onnx/export-onnx.ts'

// Training
export { Learner } from './train/learner.ts'
export { visionLearner } from './train/vision-learner.ts'
export { crossEntropy, labelSmoothing, type Loss } from './train/fit/losses.ts'
export { accuracy, errorRate, topKAccuracy, type Metric } from './train/fit/metrics.ts'
export { ClassificationInterpretation } from './train/results/interpretation.ts'
export { showResults } from './train/results/show-results.ts'
export { lrFindPlot } from './train/results/plot.ts'
export { Interrupted, type Callback, type Step } from './train/fit/callback.ts'
export { mixUp } from './train/callbacks/mixup.ts'
export { cutMix } from './train/callbacks/cut-mix.ts'
export { gradientAccumulation } from './train/callbacks/gradient-accumulation.ts'
export { gradientClip } from './train/callbacks/gradient-clip.ts'
export { saveModel } from './train/callbacks/save-model.ts'
export { earlyStopping } from './train/callbacks/early-stopping.ts'
export { reduceLrOnPlateau } from './train/callbacks/reduce-lr-on-plateau.ts'
export { csvLogger } from './train/callbacks/csv-logger.ts'
export { terminateOnNaN } from './train/callbacks/terminate-on-nan.ts'
export { adam } from './optim/adam.ts'
export { sgd } from './optim/sgd.ts'
export { radam } from './optim/radam.ts'
export { ranger, lookahead } from './optim/lookahead.ts'
export type { LearnerOptions } from './train/learner-options.ts'
export type { FitState } from './train/fit/state.ts'
export type { Prediction } from './train/results/predictor.ts'

// The machine
export type { Gpu } from './gpu/device.ts'
export {
  type ErrorDetails,
  WgradError,
  DataError,
  DecodeError,
  DeviceError,
  DtypeError,
  NotFiniteError,
  OptionError,
  ShaderError,
  ShapeError,
} from './base/errors.ts'
