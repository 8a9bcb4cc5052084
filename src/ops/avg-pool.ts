import { requireInteger } from '../base/check.ts'
import { ShapeError } from '../base/errors.ts'
import { FLAG, NUMBER } from '../base/options.ts'
import { empty } from '../tensor/launch.ts'
import { defineOp } from '../tensor/op.ts'
import { windowOutput } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { launchPool, planWindowPool, type WindowPoolPlan } from './plans/window-pool.ts'
import '../gpu/wgsl/avg-pool/index.ts'

/** Options of `avgPool`. */
export interface AvgPoolOptions {
  /** Height and width of the window, ≥ 1. */
  readonly kernelSize: number
  /** Step in pixels, ≥ 1. */
  readonly stride: number
  /** True if remaining pixels at the end get a window of their own, which overhangs. Default false */
  readonly ceilMode?: boolean
}

const op = defineOp<readonly [Tensor], AvgPoolOptions, WindowPoolPlan>({
  name: 'avgPool',
  options: { kernelSize: NUMBER, stride: NUMBER, ceilMode: FLAG },

  plan([x], { kernelSize, stride, ceilMode = false }) {
    if (x.shape.length !== 4) {
      throw new ShapeError('avgPool', 'x must be a batch of images', { given: { x }, expected: 'x as [N,H,W,C]' })
    }
    requireInteger('avgPool', 'kernelSize', kernelSize, { from: 1 })
    requireInteger('avgPool', 'stride', stride, { from: 1 })
    const [, H, W] = x.shape
    const [P, Q] = [H, W].map((size) =>
      ceilMode ? overhangingOutput(size, kernelSize, stride) : windowOutput(size, kernelSize, stride, 0),
    )
    if (P < 1 || Q < 1) {
      throw new ShapeError('avgPool', 'the window is larger than the image', {
        given: { x, kernelSize },
        fix: 'use a smaller kernelSize, or ceilMode',
      })
    }
    return planWindowPool(x, P, Q, { WINDOW: kernelSize, constants: { STRIDE: stride } })
  },

  forward(plan, [x]) {
    const y = empty({ shape: plan.output, dtype: x.dtype }, 'avgPool')
    launchPool('avg-pool/forward', plan, { x, y }, 'y')
    return y
  },

  backward(plan, dy, _saved, _needs, target) {
    const dx = target(0)
    launchPool('avg-pool/backward', plan, { dy, dx }, 'dx')
    return [dx]
  },
})

/** Returns the number of windows that begin inside the image; the last one may overhang. */
function overhangingOutput(size: number, kernelSize: number, stride: number): number {
  const count = Math.ceil((size - kernelSize) / stride) + 1
  return Math.max(1, (count - 1) * stride >= size ? count - 1 : count)
}

/**
 * Averages the pixels of each window.
 *
 *   y[n,p,q,c] = mean over r, s of x[n, p·stride + r, q·stride + s, c], over the pixels inside the image
 *
 * @param x  [N,H,W,C] f16 | f32
 * @returns  [N,P,Q,C] in the type of x; P = ⌊(H − kernelSize) / stride⌋ + 1, rounded up with ceilMode
 * @throws ShapeError   if the window is larger than the image, without ceilMode
 * @throws OptionError  if kernelSize or stride is out of range
 *
 * Source: torch.nn.AvgPool2d; a window that overhangs divides by its pixels inside.
 */
export function avgPool(x: Tensor, options: AvgPoolOptions): Tensor {
  return op([x], options)
}
