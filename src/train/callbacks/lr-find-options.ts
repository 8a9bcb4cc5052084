import { FLAG, NUMBER, type Kind, type Kinds } from '../../base/options.ts'

/** Names of the rules of a search. */
const SUGGESTIONS = ['valley', 'slide', 'minimum', 'steep'] as const

/** Name of a rule that derives a learning rate from the curve of a search (see results/lr-suggestions.ts). */
export type SuggestionName = (typeof SUGGESTIONS)[number]

/** Options of `Learner.lrFind`. */
export interface LrFindOptions<Name extends SuggestionName = SuggestionName> {
  /** First learning rate. Default 1e-7 */
  readonly startLr?: number
  /** Last learning rate. Default 10 */
  readonly endLr?: number
  /** Number of training steps. Default 100 */
  readonly steps?: number
  /** True to end the search when the smoothed loss exceeds four times its minimum. Default true */
  readonly stopWhenDiverged?: boolean
  /** Rules whose suggestions are returned. Default ['valley'] */
  readonly suggest?: readonly Name[]
}

const LISTED: Kind = { expected: `a list of ${SUGGESTIONS.join(', ')}`, is: Array.isArray }
/** Checks of the options of `Learner.lrFind`. */
export const LR_FIND_KINDS: Kinds<LrFindOptions> = {
  startLr: NUMBER,
  endLr: NUMBER,
  steps: NUMBER,
  stopWhenDiverged: FLAG,
  suggest: LISTED,
}
