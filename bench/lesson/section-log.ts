import { ClassificationInterpretation, type Callback, type FitState, type Learner, type Step } from '../../src/node.ts'
import type { Json } from '../../src/base/json.ts'
import type { Platform } from '../../src/exports/gpu.ts'
import { read, release, scope } from '../../src/exports/tensor.ts'
import type { ItemPredictions } from '../../src/exports/train.ts'
import { batchImages, channelStats, inputImages, type ChannelStats, type LabeledImage } from '../../src/exports/data.ts'
import { hears, type StepLoss } from '../../src/train/fit/callback.ts'
import {
  epochResult,
  type EpochResult,
  type FitFigures,
  type StepFigures,
  type Tile,
  type TileGroup,
} from '../../src/train/report/figures.ts'
import { confusionOf, pngUri, wrongTiles } from '../../src/train/report/images.ts'
import { className } from '../../src/cli/class-names.ts'
import type { BatchStats, SectionDetails } from './results.ts'

/** Number of images of each kind that the report shows. */
const SHOWN = 8

/** Batch as the network receives it. */
interface ShownBatch {
  readonly tiles: readonly Tile[]
  /** Statistics of all its pixels. */
  readonly stats: BatchStats
}

interface Growing extends FitFigures {
  readonly epochs: EpochResult[]
  readonly steps: StepFigures[]
}

/**
 * Callback that collects what the report shows of a section. Every learner of the section must have it; a resumed fit
 * restores the figures of the fits before it.
 */
export class SectionLog implements Callback {
  readonly name = 'sectionLog'
  /** Position after the recorder. */
  readonly order = 55
  readonly duringLrFind = false
  /** Fits of the section so far, in their order. */
  private fits: readonly Growing[] = []
  private section = ''
  /** First epoch of the section, counted over all fits of the learner. */
  private firstEpoch = 0

  begin(section: string): void {
    this.section = section
    this.fits = []
  }

  beforeFit({ epochsBegun, loaders }: FitState): void {
    // A fit that continues a checkpoint restores it only after this event, so this is the first epoch there too.
    if (this.fits.length === 0) this.firstEpoch = epochsBegun
    this.fits = [...this.fits, { epochs: [], steps: [], stepsPerEpoch: loaders.train.batchCount }]
  }

  lossKnown({ recorder }: FitState, { iteration, loss, scaling }: StepLoss): void {
    const at = recorder.losses.length - 1
    const { losses, lrs, momentums } = recorder
    this.fits.at(-1)?.steps.push({
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

  restore(saved: Json): void {
    this.fits = saved as unknown as Growing[]
  }

  /**
   * Computes the details of the section for the report.
   *
   * @param predictions  predictions for the validation items; without them, as after an interruption, their parts are
   *   left out
   * @param beside       callbacks that change batches, whose effect is shown too
   */
  async details(
    learner: Learner,
    predictions: ItemPredictions | undefined,
    beside: readonly Callback[],
  ): Promise<SectionDetails> {
    const { platform, loaders, callbacks } = learner
    const isTrained = this.fits.length > 0
    const imageGroups: TileGroup[] = []
    // Computed again instead of stored, so that it is the same in a resumed run.
    const changing = callbacks.filter((callback) => callback.beforeBatch && hears(callback, true))
    const first = isTrained ? await firstBatch(learner, this.firstEpoch, changing) : undefined
    if (first) imageGroups.push({ title: 'The first batch, as the network sees it', tiles: first.tiles })
    for (const callback of beside) {
      const changed = await firstBatch(learner, this.firstEpoch, [callback])
      imageGroups.push({ title: `The same batch with ${callback.name}`, tiles: changed.tiles })
    }
    // A section without training shows variations of a validation image, as test-time augmentation makes them.
    const source = isTrained ? loaders.train : loaders.valid
    const variations = await batchImages(source, {
      count: SHOWN,
      unique: true,
      draws: 'train',
      epoch: learner.epochsBegun,
    })
    imageGroups.push({ title: 'One image, varied at random', tiles: await tiles(platform, variations) })
    const wrong = predictions && new ClassificationInterpretation(predictions, loaders.vocab)
    return {
      fits: this.fits.map((figures, fit) => ({
        ...figures,
        steps: figures.steps.map((step) => ({ section: this.section, fit, ...step })),
      })),
      ...(first ? { batchStats: first.stats } : {}),
      imageGroups,
      ...(predictions && wrong
        ? { outputs: predictions.predictions.columns, confusion: confusionOf(wrong, className) }
        : {}),
      mostWrong: wrong ? await wrongTiles(platform, wrong.topLosses(SHOWN), loaders.valid.pictures, className) : [],
    }
  }
}

/** Returns the first batch of an epoch as the network receives it in training, after some callbacks. */
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
  // Callbacks draw by the epoch, so it is set to that epoch meanwhile.
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

/** Reads a batch. The reads have been submitted when this returns, so that the tensors of the step can be released. */
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
  const images = inputImages(values, [Math.min(N, SHOWN), ...size], train.stats)
  const shown = images.map((image, n) => ({
    image,
    label: vocab[batch.labels[n]],
    ...(others && shares ? { mixedWith: className(vocab[others[n]]), share: shares[n] } : {}),
  }))
  const after = channelStats(values)
  return { tiles: await tiles(platform, shown), stats: { before: withoutNormalization(after, train.stats), after } }
}

/** Undoes a normalization: x = y·std + mean, for the statistics of y = (x − mean) / std. */
function withoutNormalization(after: ChannelStats, { mean, std }: ChannelStats): ChannelStats {
  const each = (of: (c: number) => number): ChannelStats['mean'] => [of(0), of(1), of(2)]
  return { mean: each((c) => after.mean[c] * std[c] + mean[c]), std: each((c) => after.std[c] * std[c]) }
}

function tiles(platform: Platform, shown: readonly (LabeledImage & Omit<Tile, 'uri' | 'label'>)[]): Promise<Tile[]> {
  return Promise.all(
    shown.map(async ({ image, label, ...rest }) => ({
      uri: await pngUri(platform, image),
      label: className(label),
      ...rest,
    })),
  )
}

/**
 * Replaces the losses of averaged predictions, which are those of the pass without random transforms, by the
 * cross-entropy of the averages.
 */
export function withOwnLosses(averaged: ItemPredictions): ItemPredictions {
  const {
    predictions: { columns, data },
    targets,
  } = averaged
  return { ...averaged, losses: Float32Array.from(targets, (target, row) => -Math.log(data[row * columns + target])) }
}
