/** Makes the loaders and the learner of a run from the settings in its folder. */
import { DataError } from '../../base/errors.ts'
import {
  labelsOf,
  readImageFolder,
  type FolderImage,
  type Loaders,
  type Side,
  type TargetBlock,
} from '../../exports/data.ts'
import { architectures, backbones } from '../../exports/nn.ts'
import {
  accuracyMulti,
  binaryCrossEntropy,
  f1ScoreMulti,
  mae,
  mseLoss,
  r2Score,
  type Pretrained,
} from '../../exports/train.ts'
import {
  accuracy,
  augTransforms,
  CategoryBlock,
  crossEntropy,
  DataBlock,
  ImageBlock,
  imagenetStats,
  Learner,
  MultiCategoryBlock,
  normalize,
  RegressionBlock,
  resize,
  visionLearner,
  type Callback,
} from '../../node.ts'
import type { RunFolder } from '../../platform/node/run-folder.ts'
import { NAMED } from '../look.ts'
import type { Output } from '../output.ts'
import { runTable } from './begin.ts'
import type { Settings } from './options.ts'

/** Size of images before they are varied and cropped at random, in parts of the network's. Source: fastai's lessons, 460 for 224 and so on; smaller here, as every pixel is resampled. */
const ROOM = 1.25

/** Makes the loaders of a run, from the table of its images. */
export async function loadersOf(output: Output, run: RunFolder, settings: Settings): Promise<Loaders> {
  const { platform } = output
  const { size, batchSize, flip, augment, decoder, shrink, seed, pretrained } = settings
  const { images, apart } = await readImageFolder(settings.folder, { ...runTable(run, settings), platform })
  const gone = apart.find(({ kind }) => kind === 'no-file')
  if (gone) {
    throw new DataError(settings.folder, 'images that the run was begun with are not there any more', {
      given: { images: gone.names.length, named: gone.names.slice(0, NAMED).join(', ') },
      fix: 'put them back, or begin a new run with those that are left',
    })
  }
  const added = apart.find(({ kind }) => kind === 'not-in-table')
  if (added) {
    const named = added.names.slice(0, NAMED).join(', ')
    output.say(
      `images that are new since the run was begun, which goes on without them: ${added.names.length} (${named})`,
    )
  }
  const byPath = new Map(images.map((image) => [image.path, image]))
  const indices = (wanted: Side) => Uint32Array.from(images.flatMap(({ side }, i) => (side === wanted ? [i] : [])))
  const varied = augment ? augTransforms({ size, doFlip: flip, minScale: 0.75 }) : []
  const block = new DataBlock({
    blocks: [ImageBlock({ decoder, shrink }), targetBlock(settings, images)],
    getItems: () => images.map(({ path }) => path),
    getY: (path) => byPath.get(path)?.target,
    splitter: () => ({ train: indices('train'), valid: indices('valid') }),
    itemTransforms: [resize(augment ? Math.round((size * ROOM) / 8) * 8 : size)],
    // The weights bring their own normalization.
    batchTransforms: [...varied, ...(pretrained === null ? [normalize(imagenetStats)] : [])],
  })
  // The look has said what they print.
  return output.quietly(() => block.loaders(settings.folder, { batchSize, seed, platform }))
}

/** Returns the block of the targets of a run. */
function targetBlock({ targets, numbers }: Settings, images: readonly FolderImage[]): TargetBlock {
  if (targets === 'class') return CategoryBlock()
  if (targets === 'numbers') return RegressionBlock({ names: numbers })
  // All of them, as those of a few images may be on one side only.
  return MultiCategoryBlock({ vocab: [...new Set(images.flatMap(labelsOf))].sort() })
}

/** Part of the range of the numbers that the outputs of a network may go beyond it. Source: fastai's course, lesson 6: "a bit more". */
const BEYOND = 0.1

/** Returns the loss and metrics of a run, and the range of its outputs where they are numbers. */
function aimOf({ targets, threshold }: Settings, { train }: Loaders) {
  if (targets === 'class') return { loss: crossEntropy(), metrics: [accuracy] }
  if (targets === 'labels') {
    const how = typeof threshold === 'number' ? { threshold } : {}
    return { loss: binaryCrossEntropy(how), metrics: [accuracyMulti(how), f1ScoreMulti(how)] }
  }
  const columns = Number(train.target.columns)
  const [low, high, scale] = [[], [], []] as number[][]
  for (let column = 0; column < columns; column++) {
    const values = Array.from(train.items, (item) => train.labels[item * columns + column])
    // Not as arguments of a call, of which there are no more than some 100,000.
    const lowest = values.reduce((least, value) => Math.min(least, value))
    const highest = values.reduce((most, value) => Math.max(most, value))
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length)
    // A number that is always the same is learnt by any range around it.
    const span = highest - lowest || 1
    low.push(lowest - BEYOND * span)
    high.push(highest + BEYOND * span)
    scale.push(deviation || 1)
  }
  return { loss: mseLoss({ scale }), metrics: [mae, r2Score], yRange: [low, high] as const }
}

/** Makes the learner of a run: with the weights that it begins from, or random ones. */
export async function learnerOf(
  settings: Settings,
  loaders: Loaders,
  pretrained: Pretrained | undefined,
  callbacks: readonly Callback[],
): Promise<Learner> {
  const { model, widen, seed, fp32 } = settings
  const { yRange, ...aim } = aimOf(settings, loaders)
  const shared = { ...aim, callbacks, seed }
  const { outputs } = loaders
  // Only xresnets have widths to choose.
  const body = { seed, ...(widen !== 1 && { widen }) }
  // Numbers take the head of transfer learning, which knows their range.
  const head = { ...shared, body, ...(pretrained && { pretrained }), ...(yRange && { yRange }) }
  const learner =
    pretrained || yRange
      ? await visionLearner(loaders, backbones[model], head)
      : new Learner(loaders, architectures[model]({ outputs, ...body }), shared)
  return fp32 ? learner : learner.toFp16()
}
