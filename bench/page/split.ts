import { DataError, parentLabel } from 'wgrad'
import type { Splitter } from 'wgrad/data'

/**
 * Every fifth picture of each class to measure on, and at least one: a random fifth of a few pictures could miss a class.
 *
 * @throws DataError  from the splitter, when a class has only one picture
 */
export const everyFifth: Splitter = (items) => {
  const places = new Map<string, number[]>()
  for (const [place, item] of items.entries()) {
    const label = parentLabel(item)
    places.set(label, [...(places.get(label) ?? []), place])
  }
  const [train, valid]: [number[], number[]] = [[], []]
  for (const [label, own] of places) {
    if (own.length < 2) {
      throw new DataError(label, 'has a single picture', {
        expected: 'at least two: one to learn from, one to measure on',
      })
    }
    const step = Math.min(5, own.length)
    for (const [i, place] of own.entries()) (i % step === step - 1 ? valid : train).push(place)
  }
  return { train: Uint32Array.from(train), valid: Uint32Array.from(valid) }
}
