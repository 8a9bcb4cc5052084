import { requireExtension } from '../base/file-name.ts'
import { formatClock } from '../base/format.ts'
import type { Json } from '../base/json.ts'
import type { Platform } from '../platform/platform.ts'
import type { Callback, LossScaling, Step, StepLoss } from './callback.ts'
import type { Learner } from './learner.ts'
import { trainingPlot } from './plot.ts'

/** How much of the smoothed loss stays at each batch. Source: fastai learner.py, Recorder. */
const BETA = 0.98

/**
 * An exponentially weighted mean that is right from the first value on:
 *
 *   v ← loss + beta·(v − loss),  value = v / (1 − beta^count)
 *
 * Source: fastai learner.py, AvgSmoothLoss.
 */
export class SmoothLoss {
  private sum = 0
  private count = 0
  private readonly beta: number

  constructor(beta = BETA) {
    this.beta = beta
  }

  add(loss: number): void {
    this.sum = loss + this.beta * (this.sum - loss)
    this.count++
  }

  /** NaN before the first loss. */
  get value(): number {
    return this.sum / (1 - this.beta ** this.count)
  }

  get state(): readonly [sum: number, count: number] {
    return [this.sum, this.count]
  }
  set state([sum, count]: readonly [sum: number, count: number]) {
    this.sum = sum
    this.count = count
  }
}

/** What one epoch came to. */
export interface EpochRow {
  /** From 0, within its fit. */
  readonly epoch: number
  /** The smoothed loss at the end of its training; it runs on from epoch to epoch. */
  readonly trainLoss: number
  readonly validLoss: number
  /** By the name of the metric. */
  readonly metrics: Readonly<Record<string, number>>
  /** From the beginning of the epoch to the end of its validation. */
  readonly timeMs: number
  /** Of the training alone. */
  readonly imagesPerSecond: number
  /** In mixed precision: training steps of the epoch that were left out, as their gradients overflowed, and the loss scale at its end. */
  readonly skippedSteps?: number
  readonly lossScale?: number
}

/**
 * Writes training down: losses, hyper-parameters and the table of epochs.
 *
 * Source: fastai learner.py, Recorder.
 */
export class Recorder implements Callback {
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

  beforeFit({ platform }: Learner): void {
    this.platform = platform
    this.rows = []
    this.rawLosses = []
    this.losses = []
    this.lrs = []
    this.momentums = []
    this.smooth = new SmoothLoss()
    this.scaling = undefined
  }

  beforeEpoch({ platform }: Learner): void {
    this.epochStartMs = platform.now()
    this.skippedBefore = this.scaling?.skippedSteps ?? 0
  }

  /** Of steps that came as far as a loss. */
  afterBatch({ optimizer }: Learner, { loss }: Step): void {
    if (!loss || !optimizer) return
    const { lr, momentum } = optimizer.hypers[optimizer.hypers.length - 1]
    this.lrs.push(lr)
    this.momentums.push(momentum)
  }

  lossKnown(_learner: Learner, { loss, scaling }: StepLoss): void {
    this.scaling = scaling
    this.smooth.add(loss)
    this.rawLosses.push(loss)
    this.losses.push(this.smooth.value)
  }

  afterTrain({ platform }: Learner): void {
    this.trainMs = platform.now() - this.epochStartMs
  }

  afterEpoch(learner: Learner): void {
    const { platform, epoch, evaluation, loaders, metrics } = learner
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

/** In mixed precision also what was skipped, and the loss scale. Source: fastai learner.py, Recorder.metric_names. */
export function columnNames({ metrics, precision }: Pick<Learner, 'metrics' | 'precision'>): string[] {
  const scaling = precision === 'mixed' ? ['skipped', 'scale'] : []
  return ['epoch', 'train_loss', 'valid_loss', ...metrics.map(({ name }) => name), ...scaling, 'time']
}

/** A row as its texts: six digits, time as mm:ss. */
export function cells({ epoch, trainLoss, validLoss, metrics, timeMs, skippedSteps, lossScale }: EpochRow): string[] {
  const values = [trainLoss, validLoss, ...Object.values(metrics)]
  const scaling =
    skippedSteps === undefined || lossScale === undefined ? [] : [String(skippedSteps), scaleText(lossScale)]
  return [String(epoch), ...values.map((value) => value.toFixed(6)), ...scaling, formatClock(timeMs)]
}

/** A power of two in at most eight characters: `65536`, `6.10e-5`. */
function scaleText(scale: number): string {
  const text = String(scale)
  return text.length <= 8 ? text : scale.toExponential(2)
}

/**
 * A line of the table in a terminal: columns of eight characters, or as wide as their name.
 *
 * Source: fastprogress, ConsoleMasterBar.write.
 */
export function tableLine(names: readonly string[], line: readonly string[]): string {
  return line
    .map((cell, i) => cell.padEnd(Math.max(8, names[i].length)))
    .join('  ')
    .trimEnd()
}
