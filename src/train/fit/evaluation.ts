import type { TargetNumbers } from '../../data/targets.ts'
import type { Predictions } from './metrics.ts'

/** Loss and metrics of a validation. */
export interface Evaluation {
  /** Mean loss over all items. */
  readonly loss: number
  /** Value of each metric, by its name. */
  readonly metrics: Readonly<Record<string, number>>
}

/** Outputs or probabilities of the model for some items, one row per item in the order of the loader. */
export interface ItemPredictions {
  readonly predictions: Predictions
  /**
   * Class of each item, as its number in the vocabulary, or a row of numbers for each, row by row (see
   * `loaders.target.columns`); empty where labels are not known (see `Loaders.test`).
   */
  readonly targets: TargetNumbers
  /** Loss of each item; empty where labels are not known. */
  readonly losses: Float32Array
  /** Number of each item in the data set. */
  readonly items: Uint32Array
}
