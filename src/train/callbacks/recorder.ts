import { requireExtension } from '../../base/file-name.ts'
import type { Json } from '../../base/json.ts'
import type { Platform } from '../../platform/platform.ts'
import type { Callback, LossScaling, Step, StepLoss } from '../fit/callback.ts'
import type { EpochRow, History } from '../fit/history.ts'
import { SmoothLoss } from '../fit/smooth-loss.ts'
import type { FitState } from '../fit/state.ts'
import { trainingPlot } from '../results/plot.ts'

/**
 * Writes training down: losses, hyper-parameters and the table of epochs.
 *
 * Source: fastai learner.py, Recorder.
 */
export class Recorder implements Callback, History {
  readonly name = 'recorder'
  readonly order = 50
  readonly runsOn = 'train'
  readonly duringLrFind = false
  /** Of the fit going on or last made. */
  rows: EpochRow[] = []
  /** By training step: the loss as it was and as smoothed so far, and what the last group stepped with. */
  rawLosses: number[] = []
  losses: number[] = []
  lrs: number[] = []
  momentums: number[] = []
  /** The rows of all fits. */
  history: EpochRow[] = []
  private smooth = new SmoothLoss()
  private epochStartMs = 0
  private trainMs = 0
  /** After the last step that is known, and before the epoch. */
  private scaling: LossScaling | undefined
  private skippedBefore = 0
  private platform: Platform | undefined

  /** The loss that is shown; it lags some steps behind. */
  get smoothLoss(): number {
    return this.smooth.value
  }

  beforeFit({ platform }: FitState): void {
    this.platform = platform
    this.rows = []
    this.rawLosses = []
    this.losses = []
    this.lrs = []
    this.momentums = []
    this.smooth = new SmoothLoss()
    this.scaling = undefined
  }

  beforeEpoch({ platform }: FitState): void {
    this.epochStartMs = platform.now()
    this.skippedBefore = this.scaling?.skippedSteps ?? 0
  }

  /** Of steps that came as far as a loss. */
  afterBatch({ optimizer }: FitState, { loss }: Step): void {
    if (!loss || !optimizer) return
    const { lr, momentum } = optimizer.hyperparameters[optimizer.hyperparameters.length - 1]
    this.lrs.push(lr)
    this.momentums.push(momentum)
  }

  lossKnown(_state: FitState, { loss, scaling }: StepLoss): void {
    this.scaling = scaling
    this.smooth.add(loss)
    this.rawLosses.push(loss)
    this.losses.push(this.smooth.value)
  }

  afterTrain({ platform }: FitState): void {
    this.trainMs = platform.now() - this.epochStartMs
  }

  afterEpoch(state: FitState): void {
    const { platform, epoch, evaluation, loaders, metrics } = state
    const row: EpochRow = {
      epoch,
      trainLoss: this.smooth.value,
      validLoss: evaluation?.loss ?? NaN,
      metrics: Object.fromEntries(metrics.map(({ name }) => [name, evaluation?.metrics[name] ?? NaN])),
      timeMs: platform.now() - this.epochStartMs,
      imagesPerSecond: (loaders.train.itemCount / this.trainMs) * 1000,
      ...(this.scaling && {
        skippedSteps: this.scaling.skippedSteps - this.skippedBefore,
        lossScale: this.scaling.lossScale,
      }),
    }
    this.rows.push(row)
    this.history.push(row)
  }

  /**
   * Draws loss, learning rate and momentum over the steps of the last fit.
   *
   * @param file  the path of an SVG, which ends in .svg
   * @throws OptionError  when it does not, there was no fit, or the package echarts is not installed
   */
  async plot(file: string): Promise<void> {
    requireExtension('plot', file, '.svg')
    const svg = await trainingPlot(this)
    // There are losses to draw, so there was a fit.
    await this.platform?.files.write(file, svg)
  }

  state(): Json {
    const { rows, history, rawLosses, losses, lrs, momentums, smooth } = this
    return {
      rows: rows.map(asJson),
      history: history.map(asJson),
      rawLosses,
      losses,
      lrs,
      momentums,
      smooth: smooth.state,
    }
  }

  restore(saved: Json): void {
    const { smooth, ...figures } = saved as unknown as Figures
    const { rows, history, rawLosses, losses, lrs, momentums } = figures
    if (![rows, history].every(areRows) || ![rawLosses, losses, lrs, momentums, smooth].every(areNumbers)) {
      throw new TypeError('there are no rows, or no lists of numbers')
    }
    Object.assign(this, figures)
    this.smooth.state = smooth
  }
}

/** What is written down of all that came before. */
type Figures = Pick<Recorder, 'rows' | 'history' | 'rawLosses' | 'losses' | 'lrs' | 'momentums'> & {
  readonly smooth: SmoothLoss['state']
}

function areRows(rows: readonly EpochRow[]): boolean {
  return rows.every(
    ({ epoch, trainLoss, validLoss, metrics, timeMs, imagesPerSecond, skippedSteps = 0, lossScale = 1 }) =>
      areNumbers([
        epoch,
        trainLoss,
        validLoss,
        timeMs,
        imagesPerSecond,
        skippedSteps,
        lossScale,
        ...Object.values(metrics),
      ]),
  )
}

function areNumbers(values: readonly unknown[]): boolean {
  return values.every((value) => typeof value === 'number')
}

function asJson(row: EpochRow): Json {
  return { ...row }
}
