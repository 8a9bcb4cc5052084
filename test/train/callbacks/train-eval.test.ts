import { expect, test } from 'vitest'
import type { Rng } from '../../../src/base/rng.ts'
import type { Batch } from '../../../src/data/batch.ts'
import { trainEval } from '../../../src/train/callbacks/train-eval.ts'
import type { FitState } from '../../../src/train/fit/state.ts'

test('random numbers of layers differ by layer, epoch, batch and seed, and are the same for the same of each', () => {
  const bits = (layer: number, epochsBegun: number, index: number, seed: number) => {
    let drawn = 0
    const layers = [0, 1].map((i) => ({ draw: (random: Rng) => (drawn = i === layer ? random.bits() : drawn) }))
    const state = { model: { modules: () => layers }, seed, epochsBegun } as unknown as FitState
    trainEval.prepareBatch?.(state, { draw: { plan: { shape: { N: 4 } } }, index } as unknown as Batch)
    return drawn
  }
  const two = [0, 1]
  const all = two.flatMap((layer) =>
    two.flatMap((epoch) => two.flatMap((batch) => two.map((seed) => bits(layer, epoch, batch, seed)))),
  )
  expect(new Set(all).size).toBe(16)
  expect(bits(1, 1, 1, 1)).toBe(all.at(-1))
})
