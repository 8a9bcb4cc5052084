/** Figures of one epoch of a fit. */
export interface EpochRow {
  /** From 0, within its fit. */
  readonly epoch: number
  /** The smoothed loss at the end of its training; it runs on from epoch to epoch. */
  readonly trainLoss: number
  readonly validLoss: number
  /** Value of each metric, by its name. */
  readonly metrics: Readonly<Record<string, number>>
  /** Milliseconds from the beginning of the epoch to the end of its validation. */
  readonly timeMs: number
  /** Images per second of the training pass alone. */
  readonly imagesPerSecond: number
  /** In mixed precision: training steps of the epoch that were left out, as their gradients overflowed, and the loss scale at its end. */
  readonly skippedSteps?: number
  readonly lossScale?: number
}

/** Figures of the fit that is going on or was made last, and of all fits of a learner. */
export interface History {
  /** One row per finished epoch of this fit. */
  readonly rows: readonly EpochRow[]
  /** One row per finished epoch of all fits. */
  readonly history: readonly EpochRow[]
  /** Loss of every training step of this fit, in order. */
  readonly rawLosses: readonly number[]
  /** Exponentially smoothed loss after every training step of this fit. */
  readonly losses: readonly number[]
  /** Learning rate of the last parameter group at every training step of this fit. */
  readonly lrs: readonly number[]
  /** Momentum of the last parameter group at every training step of this fit. */
  readonly momentums: readonly number[]
  /** Smoothed loss that is shown; it lags some steps behind, NaN before the first. */
  readonly smoothLoss: number
}
