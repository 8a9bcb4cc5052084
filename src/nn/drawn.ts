import type { Rng } from '../base/rng.ts'
import type { Module } from './module.ts'

/** Layer with random numbers, which a learner draws before every training step, so that a step can be recorded and replayed. */
export interface DrawnLayer extends Module {
  /** Draws the numbers of the next forward pass in training, for batches of N. They go to where a recorded step reads them. */
  draw(random: Rng, N: number): void
}

/** Returns true for a layer with random numbers: one that has `draw`. */
export function drawsNumbers(module: Module): module is DrawnLayer {
  return 'draw' in module && typeof module.draw === 'function'
}
