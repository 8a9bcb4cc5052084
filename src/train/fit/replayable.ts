/**
 * Marks a loss or a callback as `replayable`. The mark is not enumerable, so that a copy with code of its own, such as
 * `{ ...crossEntropy(), mean }`, does not have it.
 */
export function replayable<Part extends { readonly name: string; readonly replayable?: boolean }>(part: Part): Part {
  return Object.defineProperty(part, 'replayable', { value: true })
}
