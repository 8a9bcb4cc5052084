/** Weight of the previous value in the smoothed loss. Source: fastai learner.py, Recorder. */
const BETA = 0.98

/**
 * Exponentially weighted mean with bias correction:
 *
 *   v ← loss + beta·(v − loss),  value = v / (1 − beta^count),  beta = 0.98
 *
 * Source: fastai learner.py, AvgSmoothLoss.
 */
export class SmoothLoss {
  private sum = 0
  private count = 0

  /** Adds the loss of one step. */
  add(loss: number): void {
    this.sum = loss + BETA * (this.sum - loss)
    this.count++
  }

  /** Smoothed loss; NaN before the first loss. */
  get value(): number {
    return this.sum / (1 - BETA ** this.count)
  }

  /** Internal sum and count, for checkpoints. */
  get state(): readonly [sum: number, count: number] {
    return [this.sum, this.count]
  }
  set state([sum, count]: readonly [sum: number, count: number]) {
    this.sum = sum
    this.count = count
  }
}
