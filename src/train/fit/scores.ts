/** Scores of decisions, of one class or label or of all together: precision, recall and F-beta. */

/** Numbers of decisions. */
export interface Counts {
  /** Decisions that are positive, rightly. */
  readonly right: number
  /** Decisions that are positive. */
  readonly predicted: number
  /** Decisions that should be positive. */
  readonly support: number
}

/** Function that rates counts of decisions, from 0 to 1. */
export type Score = (counts: Counts) => number

/** Returns a part of a whole; 0 of nothing. */
export function part(of: number, whole: number): number {
  return whole === 0 ? 0 : of / whole
}

/** Computes precision: of the positive decisions the fraction that is right. */
export const precisionScore: Score = ({ right, predicted }) => part(right, predicted)

/** Computes recall: of those that should be positive the fraction that is. */
export const recallScore: Score = ({ right, support }) => part(right, support)

/** Computes the three scores of one class or label. */
export function scoresOf(counts: Counts): { readonly precision: number; readonly recall: number; readonly f1: number } {
  return { precision: precisionScore(counts), recall: recallScore(counts), f1: fScore(1)(counts) }
}

/** Makes the score F-beta. Its formula is that in counts, which needs no case for precision and recall of 0. */
export function fScore(beta: number): Score {
  return ({ right, predicted, support }) => part((1 + beta ** 2) * right, beta ** 2 * support + predicted)
}
