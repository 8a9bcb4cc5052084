import type { Json } from '../../base/json.ts'
import type { Callback, StepLoss } from '../fit/callback.ts'
import type { EpochRow } from '../fit/history.ts'
import type { FitState } from '../fit/state.ts'
import type { EpochResult, FitFigures, StepFigures } from './figures.ts'

interface Growing extends FitFigures {
  readonly epochs: EpochResult[]
  readonly steps: StepFigures[]
}

/**
 * Callback that collects the figures of all steps and epochs for a report. It belongs to every fit of a run; a resumed fit
 * restores the figures of the fits before it.
 */
export class FitLog implements Callback {
  readonly name: string = 'fitLog'
  /** Position after the recorder. */
  readonly order = 55
  readonly duringLrFind = false
  /** Fits so far, in their order. */
  fits: readonly FitFigures[] = []

  beforeFit({ loaders }: FitState): void {
    this.fits = [...this.fits, { epochs: [], steps: [], stepsPerEpoch: loaders.train.batchCount }]
  }

  lossKnown({ recorder }: FitState, { iteration, loss, scaling }: StepLoss): void {
    const at = recorder.losses.length - 1
    const { losses, lrs, momentums } = recorder
    this.last?.steps.push({
      iteration,
      loss,
      smoothLoss: losses[at],
      lr: lrs[at],
      momentum: momentums[at],
      ...scaling,
    })
  }

  afterEpoch({ recorder }: FitState): void | Promise<void> {
    this.addEpoch(recorder.rows.at(-1))
  }

  protected addEpoch(row: EpochRow | undefined): void {
    if (row) this.last?.epochs.push(epochResult(row))
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

  private get last(): Growing | undefined {
    return this.fits.at(-1) as Growing | undefined
  }
}

/** Converts a row of the recorder to its form in a report; the accuracy is NaN without that metric, others are there by name. */
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
    accuracy: metrics.accuracy ?? NaN,
    ...(Object.keys(metrics).join() === 'accuracy' ? {} : { metrics }),
    seconds: timeMs / 1000,
    imagesPerSecond,
    ...scaling,
  }
}
