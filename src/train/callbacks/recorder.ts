import { requireExtension } from '../../base/file-name.ts'
import type { Json } from '../../base/json.ts'
import type { Platform } from '../../platform/platform.ts'
import type { Callback, LossScaling, Step, StepLoss } from '../fit/callback.ts'
import type { EpochRow, History, RecordedFit } from '../fit/history.ts'
import { SmoothLoss } from '../fit/smooth-loss.ts'
import type { FitState } from '../fit/state.ts'
import { lossPlot, metricsPlot, trainingPlot } from '../results/plot.ts'

/**
 * Callback that records training: losses, learning rates and momentums of the steps, and the table of epochs.
 *
 * Source: fastai learner.py, Recorder.
 */
export class Recorder implements Callback, History {
  readonly name = 'recorder'
  readonly order = 50
  readonly runsOn = 'train'
  readonly duringLrFind = false
  /** Rows of the fit that is going on or was made last, one per epoch. */
  rows: EpochRow[] = []
  /** Loss of every training step of this fit, in order. */
  rawLosses: number[] = []
  /** Exponentially smoothed loss after every training step of this fit. */
  losses: number[] = []
  /** Learning rate of the last parameter group at every training step of this fit. */
  lrs: number[] = []
  /** Momentum of the last parameter group at every training step of this fit. */
  momentums: number[] = []
  /** Rows of all fits, one per epoch. */
  history: EpochRow[] = []
  /** Number of training steps of an epoch of this fit. */
  stepsPerEpoch = 0
  /** Fits of the learner before this one. */
  private earlier: RecordedFit[] = []
  private smooth = new SmoothLoss()
  private epochStartMs = 0
  /** Milliseconds of the current epoch's training pass. */
  private trainMs = 0
  /** Images whose loss that pass computed. */
  private imageCount = 0
  /** State of loss scaling after the last step whose loss has been read. */
  private scaling: LossScaling | undefined
  /** Number of skipped steps before the current epoch. */
  private skippedBefore = 0
  private platform: Platform | undefined

  /** Smoothed loss that is shown; it lags some steps behind. */
  get smoothLoss(): number {
    return this.smooth.value
  }

  /** All fits of the learner in their order, the one that is going on or was made last included. */
  get fits(): readonly RecordedFit[] {
    const { rows, rawLosses, losses, lrs, momentums, stepsPerEpoch } = this
    const last = { rows, rawLosses, losses, lrs, momentums, stepsPerEpoch }
    return rawLosses.length === 0 ? this.earlier : [...this.earlier, last]
  }

  beforeFit({ platform, loaders }: FitState): void {
    this.earlier = [...this.fits]
    this.stepsPerEpoch = loaders.train.batchCount
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
    this.trainMs = 0
    this.imageCount = 0
    this.skippedBefore = this.scaling?.skippedSteps ?? 0
  }

  /** Records images, learning rate and momentum of a step, unless it was cancelled before its loss. */
  afterBatch({ optimizer }: FitState, { loss, batch }: Step): void {
    if (!loss || !optimizer) return
    this.imageCount += batch.count
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
    const { platform, epoch, evaluation, metrics } = state
    const row: EpochRow = {
      epoch,
      trainLoss: this.smooth.value,
      validLoss: evaluation?.loss ?? NaN,
      metrics: Object.fromEntries(metrics.map(({ name }) => [name, evaluation?.metrics[name] ?? NaN])),
      timeMs: platform.now() - this.epochStartMs,
      imagesPerSecond: (this.imageCount / this.trainMs) * 1000,
      ...(this.scaling && {
        skippedSteps: this.scaling.skippedSteps - this.skippedBefore,
        lossScale: this.scaling.lossScale,
      }),
    }
    this.rows.push(row)
    this.history.push(row)
  }

  /**
   * Plots loss, learning rate and momentum over the steps of the last fit.
   *
   * @param file  path of the SVG file to write, ending in .svg. Default: nothing is written
   * @returns     text of the SVG
   * @throws OptionError  if the extension is another, there was no fit, or the package echarts is not installed
   */
  plot(file?: string): Promise<string> {
    return this.written('plot', file, () => trainingPlot(this))
  }

  /**
   * Plots the smoothed training loss over the steps of the last fit, with the validation loss after each epoch.
   *
   * @param file  path of the SVG file to write, ending in .svg. Default: nothing is written
   * @param skipStart  number of steps at the beginning that are left out. Default 5
   * @returns     text of the SVG
   * @throws OptionError  as `plot`
   */
  plotLoss(file?: string, skipStart?: number): Promise<string> {
    return this.written('plotLoss', file, () => lossPlot(this, skipStart))
  }

  /**
   * Plots losses and every metric over the epochs of all fits.
   *
   * @param file  path of the SVG file to write, ending in .svg. Default: nothing is written
   * @returns     text of the SVG
   * @throws OptionError  as `plot`, and if no epoch was finished
   */
  plotMetrics(file?: string): Promise<string> {
    return this.written('plotMetrics', file, () => metricsPlot(this))
  }

  private async written(where: string, file: string | undefined, plot: () => Promise<string>): Promise<string> {
    if (file !== undefined) requireExtension(where, file, '.svg')
    const svg = await plot()
    // There is something to plot, so there was a fit, and `platform` is set.
    if (file !== undefined) await this.platform?.files.write(file, svg)
    return svg
  }

  state(): Json {
    const { rows, history, rawLosses, losses, lrs, momentums, stepsPerEpoch, smooth } = this
    return {
      stepsPerEpoch,
      earlier: this.earlier.map((fit) => ({ ...fit, rows: fit.rows.map(asJson) })),
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
    const { history, earlier } = figures
    if (![...earlier, figures].every(isFit) || !areRows(history) || !areNumbers(smooth)) {
      throw new TypeError('expected rows and lists of numbers')
    }
    Object.assign(this, figures)
    this.smooth.state = smooth
  }
}

/** State of a recorder in a checkpoint. */
type Figures = RecordedFit & {
  readonly history: readonly EpochRow[]
  readonly earlier: readonly RecordedFit[]
  readonly smooth: SmoothLoss['state']
}

function isFit({ rows, rawLosses, losses, lrs, momentums, stepsPerEpoch }: RecordedFit): boolean {
  return areRows(rows) && [rawLosses, losses, lrs, momentums, [stepsPerEpoch]].every(areNumbers)
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
