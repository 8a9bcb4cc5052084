import { requireInteger, requireRange } from '../base/check.ts'
import { ShapeError } from '../base/errors.ts'
import { NUMBER } from '../base/options.ts'
import { empty } from '../tensor/launch.ts'
import { defineOp } from '../tensor/op.ts'
import { windowOutput } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { launchPool, planWindowPool, type WindowPoolPlan } from './plans/window-pool.ts'
import '../gpu/wgsl/max-pool/index.ts'

/** Options of `maxPool`. */
export interface MaxPoolOptions {
  /** Height and width of the window, ≥ 1; at most 16, since positions in it are stored as bytes. */
  readonly kernelSize: number
  /** Step in pixels, ≥ 1. */
  readonly stride: number
  /** Number of pixels added on each side, which are never the maximum; at most half a window. Default 0 */
  readonly padding?: number
}

const op = defineOp<readonly [Tensor], MaxPoolOptions, WindowPoolPlan>({
  name: 'maxPool',
  options: { kernelSize: NUMBER, stride: NUMBER, padding: NUMBER },

  plan([x], { kernelSize, stride, padding = 0 }) {
    if (x.shape.length !== 4) {
      throw new ShapeError('maxPool', 'x must be a batch of images', { given: { x }, expected: 'x as [N,H,W,C]' })
    }
    requireInteger('maxPool', 'kernelSize', kernelSize, { from: 1, to: 16 })
    requireInteger('maxPool', 'stride', stride, { from: 1 })
    const mostPad = 'a whole number from 0 to half the window, so that every window has a pixel'
    requireRange(
      'maxPool',
      { padding, kernelSize },
      Number.isInteger(padding) && padding >= 0 && 2 * padding <= kernelSize,
      mostPad,
    )
    const [, H, W] = x.shape
    const P = windowOutput(H, kernelSize, stride, padding)
    const Q = windowOutput(W, kernelSize, stride, padding)
    if (P < 1 || Q < 1) {
      throw new ShapeError('maxPool', 'the window is larger than the padded image', {
        given: { x, kernelSize, padding },
        fix: 'use larger images, or a smaller kernelSize',
      })
    }
    return planWindowPool(x, P, Q, { WINDOW: kernelSize, constants: { STRIDE: stride, PAD: padding } })
  },

  forward(plan, [x]) {
    const [N, P, Q] = plan.output
    const y = empty({ shape: plan.output, dtype: x.dtype }, 'maxPool')
    const places = empty({ shape: [N, P, Q, plan.shape.VECTORS], dtype: 'u32' }, 'places of maxima')
    launchPool('max-pool/forward', plan, { x, y, places }, 'y')
    return { output: y, extras: [places] }
  },

  backward(plan, dy, { extras: [places] }, _needs, target) {
    const dx = target(0)
    launchPool('max-pool/backward', plan, { dy, places, dx }, 'dx')
    return [dx]
  },
})

/**
 * Returns the largest value of each window.
 *
 *   y[n,p,q,c] = max over r, s of x[n, p·stride + r − padding, q·stride + s − padding, c]
 *
 * @param x  [N,H,W,C] f16 | f32
 * @returns  [N,P,Q,C] in the type of x; P = ⌊(H + 2·padding − kernelSize) / stride⌋ + 1
 * @throws ShapeError   if the window is larger than the padded image
 * @throws OptionError  if kernelSize, stride or padding is out of range
 *
 * The gradient flows to the first maximum of a window, row by row, or to its last NaN, as in PyTorch.
 */
export function maxPool(x: Tensor, options: MaxPoolOptions): Tensor {
  return op([x], options)
}
