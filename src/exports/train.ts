/**
 * `wgrad/train`: parts of training to replace or to look at: schedules, callbacks, figures, optimizers.
 *
 * @module wgrad/train
 */

export type {
  FineTuneOptions,
  FitFlatCosOptions,
  FitOneCycleOptions,
  FitOptions,
  FitSgdrOptions,
  LearningRate,
} from '../train/learner-options.ts'
export { pretrainedNames, VisionLearner, type VisionLearnerOptions } from '../train/vision-learner.ts'
export { pretrainedConfig, type Pretrained, type PretrainedConfig } from '../train/files/pretrained.ts'
export { convertLearner, type ExportOptions, type LoadLearnerOptions } from '../train/files/export.ts'
export {
  Predictor,
  type LabelProbability,
  type PredictAllOptions,
  type PredictionOutcome,
  type PredictOptions,
  type PredictorParts,
} from '../train/results/predictor.ts'
export type { SaveOptions } from '../train/files/save-load.ts'
export {
  binaryCrossEntropy,
  focalLoss,
  huberLoss,
  l1Loss,
  mseLoss,
  type NumberLossOptions,
  smoothedLabels,
  smoothL1Loss,
  type Activation,
  type BinaryCrossEntropyOptions,
  type ClassLossOptions,
  type FocalLossOptions,
} from '../train/fit/losses.ts'
export {
  accuracyMulti,
  f1ScoreMulti,
  fBetaMulti,
  mae,
  mse,
  precisionMulti,
  r2Score,
  recallMulti,
  rmse,
  type MultiAverage,
  type MultiAverageOptions,
  type MultiFBetaOptions,
  type MultiOptions,
} from '../train/fit/target-metrics.ts'
export { argmax, type Predictions } from '../train/fit/metrics.ts'
export { wilsonInterval } from '../train/results/confidence.ts'
export type { ConfusionPlotOptions } from '../train/results/confusion-plot.ts'
export {
  TargetInterpretation,
  type LabelScores,
  type NumberErrors,
  type TargetLoss,
} from '../train/results/target-interpretation.ts'
export type { ClassScores, Confusion, ItemLoss, MeasuredAccuracy } from '../train/results/interpretation.ts'
export {
  minimum,
  slide,
  steep,
  valley,
  type LrCurve,
  type Suggestion,
  type SuggestionMethod,
} from '../train/results/lr-suggestions.ts'
export { Cancel, type Level, type LossScaling, type StepLoss } from '../train/fit/callback.ts'
export { progressEvents, type FitProgress, type ProgressEventsOptions } from '../train/callbacks/progress-events.ts'
export { tensorBoard } from '../train/callbacks/tensor-board.ts'
export type { SaveModelOptions } from '../train/callbacks/save-model.ts'
export type { EarlyStoppingOptions } from '../train/callbacks/early-stopping.ts'
export type { ReduceLrOnPlateauOptions } from '../train/callbacks/reduce-lr-on-plateau.ts'
export type { TrackerOptions } from '../train/callbacks/tracker.ts'
export type { LrFindOptions, SuggestionName } from '../train/callbacks/lr-find-options.ts'
export type { LrSearch } from '../train/callbacks/lr-finder.ts'
export { scheduler, type GroupSchedules } from '../train/callbacks/scheduler.ts'
export { Recorder } from '../train/callbacks/recorder.ts'
export type { EpochRow, History, RecordedFit } from '../train/fit/history.ts'
export type { LearnerReportOptions } from '../train/report/learner-report.ts'
export { lineChart, type Line, type LineChartOptions } from '../train/results/line-chart.ts'
export {
  resultImages,
  plotTopLosses,
  topLossImages,
  type ShowResultsOptions,
  type PlotTopLossesOptions,
} from '../train/results/show-results.ts'
export type { Evaluation, ItemPredictions } from '../train/fit/evaluation.ts'
export { cleaningList, type CleaningListOptions, type LearnerCleaningOptions } from '../train/results/cleaning-list.ts'
export { gradCam, type GradCam, type GradCamOptions } from '../train/results/grad-cam.ts'
export { suggestThreshold, type SuggestedThreshold, type ThresholdOptions } from '../train/results/threshold.ts'
export type { TtaOptions, TtaPair, TtaPairOptions } from '../train/results/tta.ts'
export type { AdamOptions } from '../optim/adam.ts'
export type { SgdOptions } from '../optim/sgd.ts'
export type { RAdamOptions } from '../optim/radam.ts'
export type { LookaheadOptions } from '../optim/lookahead.ts'
export { clipGradients } from '../optim/clip.ts'
export type { Hyperparameters, Optimizer, OptimizerFactory, Trainable } from '../optim/optimizer.ts'
export { LossScaler } from '../optim/loss-scaler.ts'
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
} from '../optim/schedule.ts'
export {
  balancedAccuracy,
  cohenKappa,
  f1Score,
  fBeta,
  matthewsCorrelation,
  precision,
  recall,
  rocAuc,
  type Average,
  type AverageOptions,
  type BalancedAccuracyOptions,
  type FBetaOptions,
  type KappaOptions,
  type RocAucOptions,
} from '../train/fit/class-metrics.ts'

// Types that the others are made of, so that all of them can be named
export type { OptimizerState } from '../optim/optimizer.ts'
export type { Cycle } from '../optim/schedule.ts'
export type { OnnxParts } from '../train/results/export-onnx.ts'
export type { ModelSource } from '../train/files/model-file.ts'
export type { LoopEvent, StepEvent } from '../train/fit/callback.ts'
export type { RunningFit } from '../train/fit/events.ts'
export type { FittingState } from '../train/fits.ts'
export type { NamedMetrics } from '../train/fit/metrics.ts'
export type { Occupancy } from '../train/fit/occupancy.ts'
export type { Groups } from '../train/parameter-groups.ts'
