import type { Hyperparameters } from '../../src/optim/optimizer.ts'

/** Adam in f64, one number at a time, as fastai's optimizer.py states it. */
export class ReferenceAdam {
  readonly p: Float64Array
  readonly m: Float64Array
  readonly v: Float64Array
  private t = 0

  constructor(start: ArrayLike<number>) {
    this.p = Float64Array.from(start)
    this.m = new Float64Array(start.length)
    this.v = new Float64Array(start.length)
  }

  step(
    gradient: ArrayLike<number>,
    { lr, momentum, weightDecay }: Hyperparameters,
    squareMomentum = 0.99,
    eps = 1e-5,
  ): void {
    this.t++
    for (let i = 0; i < this.p.length; i++) {
      this.p[i] *= 1 - lr * weightDecay
      this.m[i] = momentum * this.m[i] + (1 - momentum) * gradient[i]
      this.v[i] = squareMomentum * this.v[i] + (1 - squareMomentum) * gradient[i] ** 2
      const root = Math.sqrt(this.v[i] / (1 - squareMomentum ** this.t))
      this.p[i] -= ((lr / (1 - momentum ** this.t)) * this.m[i]) / (root + eps)
    }
  }
}
