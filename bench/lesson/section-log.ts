import { ClassificationInterpretation, type Callback, type FitState, type Learner, type Step } from '../../src/node.ts'
import type { Pixels, Platform } from '../../src/exports/gpu.ts'
import { read, release, scope } from '../../src/exports/tensor.ts'
import type { EpochRow, ItemPredictions, StepLoss } from '../../src/exports/train.ts'
import {
  batchPictures,
  channelStats,
  inputPictures,
  type ChannelStats,
  type LabelledPicture,
} from '../../src/exports/data.ts'
import type { Json } from '../../src/base/json.ts'
import { hears } from '../../src/train/fit/callback.ts'
import { className } from '../../src/cli/class-names.ts'
import type {
  BatchStats,
  ConfusionResult,
  EpochResult,
  SectionDetails,
  StepResult,
  Tile,
  TileGroup,
  WrongTile,
} from './results.ts'

/** Pictures of each kind that the report shows. */
const SHOWN = 8
/** Pairs of classes that were confused. */
const PAIRS = 5
/** Pixels a side of the pictures that were judged wrong: larger than what the network saw, for people. */
const WRONG_SIZE = 128

/** A batch as the network gets it. */
interface ShownBatch {
  readonly tiles: readonly Tile[]
  /** Of all its pixels. */
  readonly stats: BatchStats
}

/** Writes down what the report shows of a section. Every learner of the section has it among its callbacks. */
export class SectionLog implements Callback {
  readonly name = 'sectionLog'
  /** After the recorder. */
  readonly order = 55
  readonly duringLrFind = false
  private section = ''
  private fits: { epochs: EpochResult[]; steps: StepResult[]; stepsPerEpoch: number }[] = []
  /** The epoch that the section began with, counted over all fits of the learner. */
  private firstEpoch = 0

  begin(section: string): void {
    this.section = section
    this.fits = []
  }

  beforeFit({ loaders, epochsBegun }: FitState): void {
    // Also where a fit goes on from a checkpoint, which is taken over only after this.
    if (this.fits.length === 0) this.firstEpoch = epochsBegun
    this.fits.push({ epochs: [], steps: [], stepsPerEpoch: loaders.train.batchCount })
  }

  lossKnown({ recorder }: FitState, { iteration, loss, scaling }: StepLoss): void {
    const at = recorder.losses.length - 1
    const { losses, lrs, momentums } = recorder
    this.fits.at(-1)?.steps.push({
      section: this.section,
      fit: this.fits.length - 1,
      iteration,
      loss,
      smoothLoss: losses[at],
      lr: lrs[at],
      momentum: momentums[at],
      ...scaling,
    })
  }

  afterEpoch({ recorder }: FitState): void {
    const row = recorder.rows.at(-1)
    if (row) this.fits.at(-1)?.epochs.push(epochResult(row))
  }

  state(): Json {
    return this.fits.map(({ epochs, steps, stepsPerEpoch }) => ({
      epochs: epochs.map((row) => ({ ...row })),
      steps: steps.map((step) => ({ ...step })),
      stepsPerEpoch,
    }))
  }

  /** Also the fits of the section before the one that goes on. */
  restore(saved: Json): void {
    this.fits = saved as unknown as typeof this.fits
  }

  /**
   * What there is to show.
   *
   * @param predictions  of the validation items; without them, as after an interruption, what they tell is left out
   * @param beside       callbacks that change batches, to be shown at work too
   */
  async details(
    learner: Learner,
    predictions: ItemPredictions | undefined,
    beside: readonly Callback[],
  ): Promise<SectionDetails> {
    const { platform, loaders, callbacks } = learner
    const isTrained = this.fits.length > 0
    const pictures: TileGroup[] = []
    // Made again and not kept: so it is the same in a run that goes on from a checkpoint.
    const changing = callbacks.filter((callback) => callback.beforeBatch && hears(callback, true))
    const first = isTrained ? await firstBatch(learner, this.firstEpoch, changing) : undefined
    if (first) pictures.push({ title: 'The first batch, as the network sees it', tiles: first.tiles })
    for (const callback of beside) {
      const changed = await firstBatch(learner, this.firstEpoch, [callback])
      pictures.push({ title: `The same batch with ${callback.name}`, tiles: changed.tiles })
    }
    // Where nothing is trained: variations of a validation picture, as test-time augmentation makes them.
    const source = isTrained ? loaders.train : loaders.valid
    const variations = await batchPictures(source, {
      count: SHOWN,
      unique: true,
      draws: 'train',
      epoch: learner.epochsBegun,
    })
    pictures.push({ title: 'One picture, varied at random', tiles: await tiles(platform, variations) })
    const wrong = predictions && new ClassificationInterpretation(predictions, loaders.vocab)
    return {
      fits: [...this.fits],
      ...(first ? { batchStats: first.stats } : {}),
      pictures,
      ...(predictions && wrong ? { outputs: predictions.predictions.columns, confusion: confusionOf(wrong) } : {}),
      mostWrong: wrong ? await mostWrong(learner, wrong) : [],
    }
  }
}

/** A row of the recorder, as results.json has it. */
export function epochResult({
  epoch,
  trainLoss,
  validLoss,
  metrics,
  timeMs,
  imagesPerSecond,
  skippedSteps,
  lossScale,
}: EpochRow): EpochResult {
  const scaling = skippedSteps === undefined ? {} : { skippedSteps, lossScale }
  return {
    epoch,
    trainLoss,
    validLoss,
    accuracy: metrics.accuracy,
    seconds: timeMs / 1000,
    imagesPerSecond,
    ...scaling,
  }
}

/** The first batch of an epoch as the network gets it in training: with what these callbacks make of it. */
async function firstBatch(learner: FitState, epoch: number, callbacks: readonly Callback[]): Promise<ShownBatch> {
  const { loaders, precision, epochsBegun } = learner
  const batch = await loaders.train.oneBatch({ epoch })
  const input = scope(() => batch.input(precision === 'mixed' ? 'f16' : 'f32'))
  const step: Step = {
    training: true,
    batch,
    input,
    targets: batch.targets,
    outputs: undefined,
    loss: undefined,
    seed: undefined,
  }
  // What it is while that epoch lasts: callbacks draw by it.
  learner.epochsBegun = epoch + 1
  for (const callback of callbacks) {
    callback.prepareBatch?.(learner, batch)
    callback.beforeBatch?.(learner, step)
  }
  learner.epochsBegun = epochsBegun
  const shown = shownBatch(learner, step)
  release(step.input)
  batch.release()
  for (const callback of callbacks) await callback.afterFit?.(learner)
  return shown
}

/** The reads are under way when this returns, so that the tensors of the step can go. */
async function shownBatch(
  { platform, loaders: { train, vocab } }: FitState,
  { input, targets, batch }: Step,
): Promise<ShownBatch> {
  const [N, ...size] = input.shape
  const [values, others, shares] = await Promise.all([
    read(input),
    targets.b && read(targets.b),
    targets.mix && read(targets.mix),
  ])
  const pictures = inputPictures(values, [Math.min(N, SHOWN), ...size], train.stats)
  const shown = pictures.map((picture, n) => ({
    picture,
    label: vocab[batch.labels[n]],
    ...(others && shares ? { mixedWith: className(vocab[others[n]]), share: shares[n] } : {}),
  }))
  const after = channelStats(values)
  return { tiles: await tiles(platform, shown), stats: { before: withoutNormalisation(after, train.stats), after } }
}

/** x = y·std + mean, for the statistics of y = (x − mean) / std. */
function withoutNormalisation(after: ChannelStats, { mean, std }: ChannelStats): ChannelStats {
  const each = (of: (c: number) => number): ChannelStats['mean'] => [of(0), of(1), of(2)]
  return { mean: each((c) => after.mean[c] * std[c] + mean[c]), std: each((c) => after.std[c] * std[c]) }
}

function tiles(platform: Platform, shown: readonly (LabelledPicture & Omit<Tile, 'uri' | 'label'>)[]): Promise<Tile[]> {
  return Promise.all(
    shown.map(async ({ picture, label, ...rest }) => ({
      uri: await pngUri(platform, picture),
      label: className(label),
      ...rest,
    })),
  )
}

/** Averaged predictions with their own cross-entropy: the losses they come with are those of the pass without random transforms. */
export function withOwnLosses(averaged: ItemPredictions): ItemPredictions {
  const {
    predictions: { columns, data },
    targets,
  } = averaged
  return { ...averaged, losses: Float32Array.from(targets, (target, row) => -Math.log(data[row * columns + target])) }
}

function confusionOf(interpretation: ClassificationInterpretation): ConfusionResult {
  const pairs = interpretation.mostConfused().slice(0, PAIRS)
  return {
    classes: interpretation.vocab.map(className),
    counts: interpretation.confusionMatrix(),
    pairs: pairs.map(({ actual, predicted, count }) => ({
      actual: className(actual),
      predicted: className(predicted),
      count,
    })),
  }
}

async function mostWrong(
  { platform, loaders: { valid } }: FitState,
  interpretation: ClassificationInterpretation,
): Promise<WrongTile[]> {
  const worst = interpretation.topLosses(SHOWN).filter(({ actual, predicted }) => actual !== predicted)
  const resize = { method: 'crop', width: WRONG_SIZE, height: WRONG_SIZE, position: [0.5, 0.5] } as const
  return Promise.all(
    worst.map(async ({ item, actual, predicted, loss, probability }) => ({
      uri: await pngUri(platform, await platform.decoder.decode({ path: valid.pictures.items[item], resize })),
      actual: className(actual),
      predicted: className(predicted),
      loss,
      probability,
    })),
  )
}

async function pngUri(platform: Platform, picture: Pixels): Promise<string> {
  return `data:image/png;base64,${Buffer.from(await platform.encodePng(picture)).toString('base64')}`
}
