import type { Callback } from './callback.ts'
import type { Loss } from './losses.ts'

/**
 * Marks a part of training as `replayable`. The mark is not enumerable, so that a copy with code of its own, such as
 * `{ ...crossEntropy(), mean }`, does not have it.
 */
export function replayable<Part extends Callback | Loss>(part: Part): Part {
  return Object.defineProperty(part, 'replayable', { value: true })
}
