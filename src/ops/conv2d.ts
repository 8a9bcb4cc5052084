import { requireInteger } from '../base/check.ts'
import { DtypeError, ShapeError } from '../base/errors.ts'
import { NUMBER } from '../base/options.ts'
import { defineOp } from '../tensor/op.ts'
import { empty, storageDtype } from '../tensor/launch.ts'
import { windowOutput } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { convolve, convolveBackwardInput, convolveBackwardWeight, type ConvolutionSizes } from './convolution/passes.ts'

export interface Conv2dOptions {
  /** Step in pixels, ≥ 1. Default 1. */
  readonly stride?: number
  /** Zero pixels added on each side, ≥ 0. Default 0. */
  readonly padding?: number
}

const op = defineOp<readonly [Tensor, Tensor], Conv2dOptions, ConvolutionSizes>({
  name: 'conv2d',
  required: 2,
  options: { stride: NUMBER, padding: NUMBER },

  plan([x, weight], { stride = 1, padding = 0 }) {
    const given = { x, [weight.name ?? 'weight']: weight }
    if (x.shape.length !== 4) {
      throw new ShapeError('conv2d', 'x must be a batch of images', { given, expected: 'x as [N,H,W,C]' })
    }
    if (weight.shape.length !== 4) {
      throw new ShapeError('conv2d', 'the weight must be a filter bank', { given, expected: 'the weight as [O,R,S,C]' })
    }
    const [N, H, W, C] = x.shape
    const [O, R, S, channels] = weight.shape
    if (C !== channels) {
      throw new ShapeError('conv2d', 'the channels of x and weight differ', {
        given,
        expected: `the last axis of the weight to be ${C}, as that of x`,
        fix: `build the layer with inChannels = ${C}, or check the layout of the weights you loaded`,
      })
    }
    if (x.dtype !== weight.dtype) {
      throw new DtypeError('conv2d', 'the storage types differ', { given, fix: 'cast one of them' })
    }
    requireInteger('conv2d', 'stride', stride, { from: 1 })
    requireInteger('conv2d', 'padding', padding, { from: 0 })
    const P = windowOutput(H, R, stride, padding)
    const Q = windowOutput(W, S, stride, padding)
    if (P < 1 || Q < 1) {
      throw new ShapeError('conv2d', 'the filter is larger than the padded image', { given: { ...given, padding } })
    }
    return { N, H, W, C, P, Q, O, R, S, STRIDE: stride, PAD: padding, dtype: storageDtype(x) }
  },

  forward(sizes, [x, weight]) {
    const y = empty({ shape: [sizes.N, sizes.P, sizes.Q, sizes.O], dtype: x.dtype }, 'conv2d')
    convolve(sizes, x, weight, y)
    return y
  },

  backward(sizes, dy, { inputs: [x, weight] }, [needsX, needsWeight], target) {
    const dw = needsWeight ? target(1, 'f32') : undefined
    if (dw) convolveBackwardWeight(sizes, x, dy, dw)
    const dx = needsX ? target(0) : undefined
    if (dx) convolveBackwardInput(sizes, dy, weight, dx)
    return [dx, dw]
  },
})

/**
 * Convolves a batch of images with a filter bank, by sliding dot products.
 *
 *   y[n,p,q,o] = Σ_{r,s,c} x[n, p·stride + r − padding, q·stride + s − padding, c] · weight[o,r,s,c]
 *
 * @param x       [N,H,W,C] f16 | f32
 * @param weight  [O,R,S,C] in the type of x
 * @returns       [N,P,Q,O] in the type of x; P = ⌊(H + 2·padding − R) / stride⌋ + 1. Products are summed in f32.
 * @throws ShapeError   if C differs, or the filter is larger than the padded image
 * @throws OptionError  if stride or padding is not an integer in range
 *
 * Gradients flow to x (of its type) and weight (f32). Cost: 2·N·P·Q·O·R·S·C operations, the same again for each gradient.
 * Source: Dumoulin & Visin 2016, arXiv:1603.07285.
 */
export function conv2d(x: Tensor, weight: Tensor, options: Conv2dOptions = {}): Tensor {
  return op([x, weight], options)
}
