/** Figures of one epoch of a fit. */
export interface EpochRow {
  /** Number of the epoch within its fit, from 0. */
  readonly epoch: number
  /** Smoothed training loss at the end of the epoch; smoothing continues from epoch to epoch. */
  readonly trainLoss: number
  /** Mean loss over the validation items. */
  readonly validLoss: number
  /** Value of each metric, by its name. */
  readonly metrics: Readonly<Record<string, number>>
  /** Milliseconds from the beginning of the epoch to the end of its validation. */
  readonly timeMs: number
  /** Images per second of the training pass alone; NaN where a callback cancelled the epoch before it. */
  readonly imagesPerSecond: number
  /**
   * Number of training steps of the epoch skipped because their gradients overflowed; present only in mixed precision.
   */
  readonly skippedSteps?: number
  /** Loss scale at the end of the epoch; present only in mixed precision. */
  readonly lossScale?: number
}

/** Everything that is recorded of one fit. */
export interface RecordedFit {
  /** One row per finished epoch. */
  readonly rows: readonly EpochRow[]
  /** Loss of every training step, in order. */
  readonly rawLosses: readonly number[]
  /** Exponentially smoothed loss after every training step. */
  readonly losses: readonly number[]
  /** Learning rate of the last parameter group at every training step. */
  readonly lrs: readonly number[]
  /** Momentum of the last parameter group at every training step. */
  readonly momentums: readonly number[]
  /** Number of training steps of an epoch. */
  readonly stepsPerEpoch: number
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
  /** Number of training steps of an epoch of this fit. */
  readonly stepsPerEpoch: number
  /** Smoothed loss that is shown; it lags some steps behind, NaN before the first. */
  readonly smoothLoss: number
}
