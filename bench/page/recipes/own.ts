import {
  accuracy,
  augTransforms,
  CategoryBlock,
  DataBlock,
  getImageFiles,
  ImageBlock,
  imagenetStats,
  normalize,
  parentLabel,
  resize,
  visionLearner,
} from 'wgrad'
import { backbones } from 'wgrad/nn'
import type { Splitter } from 'wgrad/data'
import type { VisionLearner, VisionLearnerOptions } from 'wgrad/train'

export interface OwnOptions extends VisionLearnerOptions {
  readonly size: number
  readonly batchSize: number
  /** Name of the network's body, such as xresnet18. */
  readonly backbone: string
  readonly splitter: Splitter
}

/** Learner of the visitor's pictures: one folder per class, a body that may know images already, a new head. */
export async function ownLearner({
  size,
  batchSize,
  backbone,
  splitter,
  ...options
}: OwnOptions): Promise<VisionLearner> {
  const loaders = await new DataBlock({
    blocks: [ImageBlock(), CategoryBlock()],
    getItems: getImageFiles,
    getY: parentLabel,
    splitter,
    itemTransforms: [resize(size)],
    batchTransforms: [...augTransforms({ maxRotate: 5 }), normalize(imagenetStats)],
  }).loaders('own', { batchSize })

  const learner = await visionLearner(loaders, backbones[backbone], { metrics: [accuracy], ...options })
  return learner.toFp16()
}
// … and then `await learner.fineTune(epochs)`: first the head alone, then everything
