import type { Hyperparameters } from '../../src/optim/optimizer.ts'

export interface RAdamReferenceOptions {
  readonly squareMomentum?: number
  readonly eps?: number
  readonly beta?: number
  readonly decouple?: boolean
}

/** RAdam in f64, one number at a time, as fastai's optimizer.py states it. */
export class ReferenceRAdam {
  readonly p: Float64Array
  readonly m: Float64Array
  readonly v: Float64Array
  private readonly options: Required<RAdamReferenceOptions>
  private t = 0

  constructor(start: ArrayLike<number>, options: RAdamReferenceOptions = {}) {
    this.p = Float64Array.from(start)
    this.m = new Float64Array(start.length)
    this.v = new Float64Array(start.length)
    this.options = { squareMomentum: 0.99, eps: 1e-5, beta: 0, decouple: true, ...options }
  }

  step(gradient: ArrayLike<number>, { lr, momentum, weightDecay }: Hyperparameters): void {
    const { squareMomentum, eps, beta, decouple } = this.options
    const t = ++this.t
    const debias1 = 1 - momentum ** t
    const debias2 = 1 - squareMomentum ** t
    const last = 2 / (1 - squareMomentum) - 1
    const r = last - (2 * t * squareMomentum ** t) / debias2
    for (let i = 0; i < this.p.length; i++) {
      const g = gradient[i] + (decouple ? 0 : weightDecay * this.p[i])
      if (decouple) this.p[i] *= 1 - lr * weightDecay
      this.m[i] = momentum * this.m[i] + (1 - momentum) * g
      this.v[i] = squareMomentum * this.v[i] + (1 - squareMomentum) * g ** 2
      if (r > 5) {
        const rectified = Math.sqrt(((r - 4) * (r - 2) * last) / ((last - 4) * (last - 2) * r))
        let d = Math.sqrt(this.v[i] / debias2) + eps
        if (beta !== 0) d = Math.log1p(Math.exp(-beta * d)) / beta + d
        this.p[i] -= ((lr * rectified) / debias1) * (this.m[i] / d)
      } else {
        this.p[i] -= (lr / debias1) * this.m[i]
      }
    }
  }
}
