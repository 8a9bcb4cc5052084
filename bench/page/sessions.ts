/** Learners of the page, one for each of its parts. */
import type { Learner } from 'wgrad'
import type { Part } from './protocol.ts'

/** Learner with what the page shows of it. */
export interface Session {
  readonly part: Part
  readonly learner: Learner
  /** Validation pictures on the page. */
  readonly shown: readonly string[]
  readonly batchSize: number
  /** True if the body of the network began with weights that know images. */
  readonly pretrained?: boolean
  epochsLeft: number
  /** Aborted when the training is to end, which may be before its fit begins. */
  signal: AbortSignal
  /** True until the first loss is known. */
  fresh: boolean
}

export const sessions = new Map<Part, Session>()

export function missing(): never {
  throw new Error('Nothing has been trained yet.')
}

export function ownSession(): Session {
  return sessions.get('own') ?? missing()
}
