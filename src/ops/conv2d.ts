import { requireInteger, requireRange } from '../base/check.ts'
import { DtypeError, ShapeError } from '../base/errors.ts'
import { ANY, NUMBER } from '../base/options.ts'
import { defineOp } from '../tensor/op.ts'
import { empty, storageDtype } from '../tensor/launch.ts'
import { windowOutput } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { GroupedSizes } from './convolution/grouped.ts'
import { loaded } from './convolution/loaded.ts'
import { convolve, convolveBackwardInput, convolveBackwardWeight } from './convolution/passes.ts'
import { addBias, requireBias } from './plans/bias.ts'

/** Options of `conv2d`. */
export interface Conv2dOptions {
  /** Step in pixels, ≥ 1. Default 1. */
  readonly stride?: number
  /** Zero pixels added on each side, ≥ 0. Default 0. */
  readonly padding?: number
  /** Distance of the taps of the filter in pixels, ≥ 1. Default 1 */
  readonly dilation?: number
  /**
   * Groups that channels and out-channels fall into, in order; each out-channel sees the channels of its own group. As many
   * as channels make a depthwise convolution. Default 1
   */
  readonly groups?: number
  /** Number added to each out-channel, [O] f32. Default none */
  readonly bias?: Tensor | undefined
}

const op = defineOp<readonly [Tensor, Tensor, Tensor | undefined], Conv2dOptions, GroupedSizes>({
  name: 'conv2d',
  required: 2,
  options: { stride: NUMBER, padding: NUMBER, dilation: NUMBER, groups: NUMBER, bias: ANY },

  plan([x, weight, bias], { stride = 1, padding = 0, dilation = 1, groups = 1 }) {
    const given = { x, [weight.name ?? 'weight']: weight }
    if (x.shape.length !== 4) {
      throw new ShapeError('conv2d', 'x must be a batch of images', { given, expected: 'x as [N,H,W,C]' })
    }
    if (weight.shape.length !== 4) {
      throw new ShapeError('conv2d', 'the weight must be a filter bank', { given, expected: 'the weight as [O,R,S,C]' })
    }
    const [N, H, W, C] = x.shape
    const [O, R, S, channels] = weight.shape
    requireInteger('conv2d', 'groups', groups, { from: 1 })
    requireRange(
      'conv2d',
      { groups, channels: C, outChannels: O },
      C % groups === 0 && O % groups === 0,
      'a divisor of both',
    )
    if (C / groups !== channels) {
      throw new ShapeError('conv2d', 'the channels of x and weight differ', {
        given: groups === 1 ? given : { ...given, groups },
        expected: `the last axis of the weight to be ${C / groups}, ${groups === 1 ? 'as that of x' : 'the channels of a group of x'}`,
        fix: `build the layer with inChannels = ${C}, or check the layout of the weights you loaded`,
      })
    }
    if (x.dtype !== weight.dtype) {
      throw new DtypeError('conv2d', 'the storage types differ', { given, fix: 'cast one of them' })
    }
    requireInteger('conv2d', 'stride', stride, { from: 1 })
    requireInteger('conv2d', 'padding', padding, { from: 0 })
    requireInteger('conv2d', 'dilation', dilation, { from: 1 })
    const P = windowOutput(H, dilation * (R - 1) + 1, stride, padding)
    const Q = windowOutput(W, dilation * (S - 1) + 1, stride, padding)
    if (P < 1 || Q < 1) {
      throw new ShapeError('conv2d', 'the filter is larger than the padded image', {
        given: { ...given, padding, ...(dilation === 1 ? {} : { dilation }) },
        fix: 'use larger images, a smaller filter, or more padding',
      })
    }
    if (bias) requireBias('conv2d', bias, O, given)
    const dtype = storageDtype(x)
    return { N, H, W, C, P, Q, O, R, S, STRIDE: stride, PAD: padding, DILATION: dilation, GROUPS: groups, dtype }
  },

  forward(sizes, [x, weight, bias]) {
    const y = empty({ shape: [sizes.N, sizes.P, sizes.Q, sizes.O], dtype: x.dtype }, 'conv2d')
    if (isDense(sizes)) convolve(sizes, x, weight, y)
    const { biased, packed } = isDense(sizes)
      ? { biased: false }
      : loaded('conv2d').convolveOthers(sizes, x, weight, bias, y)
    if (bias && !biased) addBias(bias, y)
    return packed ? { output: y, extras: [packed] } : y
  },

  backward(sizes, dy, { inputs: [x, weight], extras: [packed] }, [needsX, needsWeight, needsBias], target) {
    const dw = needsWeight ? target(1, 'f32') : undefined
    if (dw) (isDense(sizes) ? convolveBackwardWeight : loaded('conv2d').convolveOthersBackwardWeight)(sizes, x, dy, dw)
    const dbias = needsBias ? target(2, 'f32') : undefined
    if (dbias) loaded('conv2d').columnTotals(dy, dbias)
    const dx = needsX ? target(0) : undefined
    if (dx && isDense(sizes)) convolveBackwardInput(sizes, dy, weight, dx)
    else if (dx) loaded('conv2d').convolveOthersBackwardInput(sizes, dy, weight, packed, dx)
    return [dx, dw, dbias]
  },
})

function isDense({ GROUPS, DILATION }: GroupedSizes): boolean {
  return GROUPS === 1 && DILATION === 1
}

/**
 * Convolves a batch of images with a filter bank, by sliding dot products.
 *
 *   y[n,p,q,o] = bias[o] + Σ_{r,s,c} x[n, p·stride + r·dilation − padding, q·stride + s·dilation − padding, g·C/groups + c] · weight[o,r,s,c]
 *
 * with g = ⌊o·groups/O⌋, the group of o. Windows of even size are windows as any other.
 *
 * @param x       [N,H,W,C] f16 | f32
 * @param weight  [O,R,S,C/groups] in the type of x
 * @returns       [N,P,Q,O] in the type of x; P = ⌊(H + 2·padding − dilation·(R − 1) − 1) / stride⌋ + 1. Products are summed in f32.
 * @throws ShapeError   if C differs, or the filter is larger than the padded image
 * @throws OptionError  if an option is not an integer in range, or groups divide C or O with a remainder
 *
 * Gradients flow to x (of its type), weight and bias (f32). Cost: 2·N·P·Q·O·R·S·C/groups operations, the same again for each
 * gradient; dense, depthwise and other convolutions have kernels of their own.
 * Source: Dumoulin & Visin 2016, arXiv:1603.07285; torch.nn.functional.conv2d.
 */
export function conv2d(x: Tensor, weight: Tensor, options: Conv2dOptions = {}): Tensor {
  return op([x, weight, options?.bias], options)
}
