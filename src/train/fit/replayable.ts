/**
 * Marks a loss or a callback as `replayable`. The property is not enumerable, so that a copy with other functions, such
 * as `{ ...crossEntropy(), mean }`, does not inherit it.
 */
export function replayable<Part extends { readonly name: string; readonly replayable?: boolean }>(part: Part): Part {
  return Object.defineProperty(part, 'replayable', { value: true })
}
