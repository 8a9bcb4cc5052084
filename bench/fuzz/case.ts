import { rng } from '../../src/base/rng.ts'
import type { Kind, Subject } from './subjects.ts'

/** Returns the mutated file of a number, the same on every machine. */
export function fuzzCase(kind: Kind, { seeds, mutate }: Subject, seed: number, index: number): Uint8Array {
  const random = rng(seed, `fuzz ${kind}`, index)
  return mutate(seeds[random.integer(0, seeds.length - 1)], random)
}
