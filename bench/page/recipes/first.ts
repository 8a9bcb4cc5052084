import {
  accuracy,
  CategoryBlock,
  DataBlock,
  getImageFiles,
  grandparentSplitter,
  ImageBlock,
  imagenetStats,
  Learner,
  normalize,
  parentLabel,
  resize,
  type LearnerOptions,
} from 'wgrad'
import { ConvLayer, GlobalAvgPool, Init, Linear, Sequential } from 'wgrad/nn'

/** Learner of the bundled pictures: a network of five layers that has never seen an image. */
export async function firstLearner(size: number, batchSize: number, options: LearnerOptions): Promise<Learner> {
  const loaders = await new DataBlock({
    blocks: [ImageBlock(), CategoryBlock()],
    getItems: getImageFiles,
    getY: parentLabel,
    splitter: grandparentSplitter({ valid: 'val' }),
    itemTransforms: [resize(size)],
    batchTransforms: [normalize(imagenetStats)],
  }).loaders('pictures', { batchSize })

  const init = new Init(0)
  const layer = (inChannels: number, outChannels: number) => new ConvLayer({ inChannels, outChannels, stride: 2, init })
  const model = new Sequential([
    layer(3, 16),
    layer(16, 32),
    layer(32, 64),
    layer(64, 128),
    new GlobalAvgPool(),
    new Linear(128, loaders.vocab.length, init),
  ])
  return new Learner(loaders, model, { metrics: [accuracy], ...options }).toFp16()
}
// … and then `await learner.fitOneCycle(epochs, 1e-2)`
