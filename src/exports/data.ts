/**
 * `wgrad/data`: loaders, their batches and the types of everything that makes them.
 *
 * @module wgrad/data
 */

export type { DataBlockOptions, LoadersOptions } from '../data/data-block.ts'
export {
  type GivenItemTransform,
  type ItemTransform,
  type RandomCropOptions,
  type RandomResizedCropOptions,
} from '../data/item-transforms.ts'
export { cropPad, dihedralItem, randomCrop } from '../data/window-transforms.ts'
export {
  randAugment,
  trivialAugment,
  type RandAugmentOptions,
  type TrivialAugmentOptions,
} from '../data/auto-augment.ts'
export type { ItemContext, OwnItem, OwnItemFunction } from '../data/own-item-transform.ts'
export type { GetImageFilesOptions } from '../data/items.ts'
export type { BadImage } from '../data/decode-each.ts'
export { ImageTable, type ImagesFromCsvOptions } from '../data/image-table.ts'
export {
  kFold,
  stratifiedSplitter,
  type KFoldOptions,
  type Split,
  type Splitter,
  type StratifiedOptions,
} from '../data/splitters.ts'
export {
  ImageLoaders,
  type FromCsvOptions,
  type FromFolderOptions,
  type ImageLoadersOptions,
} from '../data/image-loaders.ts'
export type { ItemWeights } from '../data/item-weights.ts'
export { classWeights } from '../data/weights.ts'
export {
  labelsOf,
  readImageFolder,
  type FolderImage,
  type ImageFolder,
  type ImageFolderOptions,
  type LeftApart,
  type Side,
} from '../data/image-folder.ts'
export {
  separatorFor,
  type FolderTargets,
  type ImageTarget,
  type LabelTableOptions,
  type TargetKind,
} from '../data/label-table.ts'
export {
  surveyImages,
  type Finding,
  type LeftOutImage,
  type Survey,
  type SurveyedImage,
  type SurveyOptions,
} from '../data/survey.ts'
export { csvLine } from '../data/csv.ts'
export type { UntarOptions } from '../data/untar-data.ts'
export type { HubModel, HubOptions } from '../data/hub.ts'
export { sampleClasses, sampleLabels, type SampleKind, type SampleOptions } from '../data/sample.ts'
export type { AugTransformsOptions, BatchTransform, GivenBatchTransform } from '../data/augment/transforms.ts'
export {
  brightness,
  contrast,
  dihedral,
  flip,
  rotate,
  warp,
  zoom,
  type CoordinateOptions,
  type LightOptions,
  type RotateOptions,
  type WarpOptions,
  type ZoomOptions,
} from '../data/augment/parts.ts'
export type { DrawnNumbers, DrawnTensors, OwnBatch, OwnBatchFunction } from '../data/augment/own.ts'
export type { OwnTransforms } from '../data/transform-records.ts'
export type { CropOptions } from '../data/augment/crop.ts'
export type { HueOptions, SaturationOptions } from '../data/augment/colour.ts'
export type { ErasingOptions } from '../data/augment/erasing.ts'
export type { ChannelStats } from '../data/augment/normalize.ts'
export { Loader, type LoaderOptions, type EpochOptions } from '../data/loader.ts'
export { Loaders, type TestLoaderOptions } from '../data/loaders.ts'
export { PixelCache } from '../data/pixel-cache.ts'
export { contactSheet, type LabeledImage, type SheetFormat, type SheetPlatform } from '../data/contact-sheet.ts'
export { batchImages, inputImages, type ShowOptions } from '../data/show.ts'
export {
  applyCleaning,
  cleaningListText,
  parseCleaningList,
  type ApplyCleaningOptions,
  type CleaningAction,
  type CleaningItem,
  type CleaningList,
  type CleaningMove,
} from '../data/cleaning.ts'
export { channelStats } from '../data/statistics.ts'
export type { Batch, Targets } from '../data/batch.ts'
export type {
  CategoryBlockOptions,
  MultiCategoryBlockOptions,
  RegressionBlockOptions,
  TargetBlock,
} from '../data/blocks.ts'
export { numberNames, type TargetCodec, type TargetCodecMaker, type TargetNumbers } from '../data/targets.ts'
export type { DecodeOptions, Decoding } from '../image/decode-options.ts'
export type { BlobLike, Drawable, ImageSource, PixelSource } from '../image/image-source.ts'
export type { ResizeImagesOptions } from '../data/resize-images.ts'

// Types that the others are made of, so that all of them can be named
export type { AffineOptions, AffineTransform } from '../data/augment/affine.ts'
export type { HueTransform, SaturationTransform } from '../data/augment/colour.ts'
export type { CropTransform, Size } from '../data/augment/crop.ts'
export type { BatchShape, Phase } from '../data/augment/draw.ts'
export type { Erased, ErasingTransform } from '../data/augment/erasing.ts'
export type { Light, LightingOptions, LightingTransform } from '../data/augment/lighting.ts'
export type { Matrix } from '../data/augment/matrix.ts'
export type { NormalizeByBatchTransform, NormalizeTransform, PerChannel } from '../data/augment/normalize.ts'
export type { BatchPipeline } from '../data/augment/pipeline.ts'
export type { BatchDraw, BatchPlan } from '../data/augment/plan.ts'
export type { HostBatch } from '../data/batch.ts'
export type {
  CropPadTransform,
  DihedralItemTransform,
  FlipItemTransform,
  RandomCropTransform,
  RandomResizedCropTransform,
  ResizeTransform,
  SizeTransform,
  SizingTransform,
} from '../data/item-transforms.ts'
export type { RandAugmentTransform, TrivialAugmentTransform } from '../data/auto-augment.ts'
export type { OwnItemTransform } from '../data/own-item-transform.ts'
export type { OwnBatchTransform } from '../data/augment/own.ts'
export type { Pictures, PicturesOptions } from '../data/pictures.ts'
export type { ResidentImage, ResidentImages } from '../data/resident-images.ts'
export type { Box, Range } from '../image/box.ts'
export type { CaptionRequest } from '../image/caption.ts'
export type { ImageKind, PlatformFormats } from '../image/image-kind.ts'
export type { HeatMap } from '../image/heat-map.ts'
export type { PixelEdit, PixelOperation } from '../image/pixel-edits.ts'
export type {
  FitPlan,
  MiddlePlan,
  PadMode,
  RandomCropPlan,
  ResizePlan,
  WholePlan,
  WindowPlan,
} from '../image/resize-plan.ts'
