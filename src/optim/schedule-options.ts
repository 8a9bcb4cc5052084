import { listOf, NUMBER, type Kinds } from '../base/options.ts'

/** Options of `oneCycle`. */
export interface OneCycleOptions {
  /** Divisor of lrMax for the first learning rate. Default 25 */
  readonly div?: number
  /** Divisor of lrMax for the limit of the last learning rates. Default 1e5 */
  readonly divFinal?: number
  /** Fraction of the training in which the learning rate rises. Default 0.25 */
  readonly pctStart?: number
  /** Momentum at the beginning, at the highest learning rate, and at the end. Default 0.95, 0.85, 0.95 */
  readonly moms?: readonly [number, number, number]
}

/** Checks of the options of `oneCycle`. */
export const ONE_CYCLE_KINDS: Kinds<OneCycleOptions> = {
  div: NUMBER,
  divFinal: NUMBER,
  pctStart: NUMBER,
  moms: listOf(NUMBER),
}
/** Checks of the options of `flatCos`. */
export const FLAT_COS_KINDS: Kinds<{ readonly divFinal?: number; readonly pctStart?: number }> = {
  divFinal: NUMBER,
  pctStart: NUMBER,
}
