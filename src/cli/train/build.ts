/** Makes the loaders and the learner of a run from the settings in its folder. */
import { readImageFolder, type Loaders, type Side } from '../../exports/data.ts'
import { architectures, backbones } from '../../exports/nn.ts'
import type { Pretrained } from '../../exports/train.ts'
import {
  accuracy,
  augTransforms,
  CategoryBlock,
  DataBlock,
  ImageBlock,
  imagenetStats,
  Learner,
  normalize,
  resize,
  visionLearner,
  type Callback,
} from '../../node.ts'
import type { RunFolder } from '../../platform/node/run-folder.ts'
import type { Output } from '../output.ts'
import { FILES } from './files.ts'
import type { Settings } from './options.ts'

/** Size of images before they are varied and cropped at random, in parts of the network's. Source: fastai's lessons, 460 for 224 and so on; smaller here, as every pixel is resampled. */
const ROOM = 1.25
/** Makes the loaders of a run, from the table of its images. */
export async function loadersOf(output: Output, run: RunFolder, settings: Settings): Promise<Loaders> {
  const { platform } = output
  const { size, batchSize, flip, augment, decoder, shrink, seed, pretrained } = settings
  const { images } = await readImageFolder(settings.folder, { csv: run.file(FILES.images), platform })
  const byPath = new Map(images.map((image) => [image.path, image]))
  const indices = (wanted: Side) => Uint32Array.from(images.flatMap(({ side }, i) => (side === wanted ? [i] : [])))
  const varied = augment ? augTransforms({ size, doFlip: flip, minScale: 0.75 }) : []
  const block = new DataBlock({
    blocks: [ImageBlock({ decoder, shrink }), CategoryBlock()],
    getItems: () => images.map(({ path }) => path),
    getY: (path) => byPath.get(path)?.label ?? '',
    splitter: () => ({ train: indices('train'), valid: indices('valid') }),
    itemTransforms: [resize(augment ? Math.round((size * ROOM) / 8) * 8 : size)],
    // The weights bring their own normalization.
    batchTransforms: [...varied, ...(pretrained === null ? [normalize(imagenetStats)] : [])],
  })
  // The look has said what they print.
  return output.quietly(() => block.loaders(settings.folder, { batchSize, seed, platform }))
}

/** Makes the learner of a run: with the weights that it begins from, or random ones. */
export async function learnerOf(
  { model, seed, fp32 }: Settings,
  loaders: Loaders,
  pretrained: Pretrained | undefined,
  callbacks: readonly Callback[],
): Promise<Learner> {
  const shared = { metrics: [accuracy], callbacks, seed }
  const outputs = loaders.vocab.length
  const learner = pretrained
    ? await visionLearner(loaders, backbones[model], { ...shared, pretrained, body: { seed } })
    : new Learner(loaders, architectures[model]({ outputs, seed }), shared)
  return fp32 ? learner : learner.toFp16()
}
