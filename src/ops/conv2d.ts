import { requireInteger, requireRange } from '../base/check.ts'
import { DeviceError, DtypeError, ShapeError } from '../base/errors.ts'
import { ANY, NUMBER } from '../base/options.ts'
import { KERNEL_FAMILIES, shadersOfFamily } from '../gpu/kernel-families.ts'
import { defineOp } from '../tensor/op.ts'
import { empty, storageDtype } from '../tensor/launch.ts'
import { windowOutput } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { GroupedSizes } from './convolution/grouped.ts'
import type * as Others from './convolution/others.ts'
import { convolve, convolveBackwardInput, convolveBackwardWeight } from './convolution/passes.ts'
import { addBias, requireBias } from './plans/bias.ts'
import { columnTotals } from './plans/column-totals.ts'

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

/** Convolutions with groups or dilation; undefined until a GPU has been opened. */
let others: typeof Others | undefined

for (const family of KERNEL_FAMILIES) {
  shadersOfFamily(family, async () => {
    others = await import('./convolution/others.ts')
  })
}

/** Kernels that compute a convolution. */
type Kind = 'dense' | 'depthwise' | 'grouped'

interface Plan {
  readonly sizes: GroupedSizes
  readonly kind: Kind
}

const op = defineOp<readonly [Tensor, Tensor, Tensor | undefined], Conv2dOptions, Plan>({
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
      })
    }
    if (bias) requireBias('conv2d', bias, O, given)
    const dtype = storageDtype(x)
    const sizes = { N, H, W, C, P, Q, O, R, S, STRIDE: stride, PAD: padding, DILATION: dilation, GROUPS: groups, dtype }
    return { sizes, kind: kindOf(sizes) }
  },

  forward({ sizes, kind }, [x, weight, bias]) {
    const y = empty({ shape: [sizes.N, sizes.P, sizes.Q, sizes.O], dtype: x.dtype }, 'conv2d')
    if (kind === 'depthwise') {
      const packed = loaded().packFilters(sizes, weight)
      loaded().convolveDepthwise(sizes, x, packed, bias, y)
      return { output: y, extras: [packed] }
    }
    if (kind === 'dense') convolve(sizes, x, weight, y)
    else loaded().convolveGroups(sizes, x, weight, y)
    if (bias) addBias(bias, y)
    return y
  },

  backward({ sizes, kind }, dy, { inputs: [x, weight], extras: [packed] }, [needsX, needsWeight, needsBias], target) {
    const dw = needsWeight ? target(1, 'f32') : undefined
    if (dw) weightGradientOf(kind)(sizes, x, dy, dw)
    const dbias = needsBias ? target(2, 'f32') : undefined
    if (dbias) columnTotals(dy, dbias)
    const dx = needsX ? target(0) : undefined
    if (dx) inputGradientOf(kind)(sizes, dy, kind === 'depthwise' ? packed : weight, dx)
    return [dx, dw, dbias]
  },
})

function weightGradientOf(kind: Kind): (sizes: GroupedSizes, x: Tensor, dy: Tensor, dw: Tensor) => void {
  if (kind === 'dense') return convolveBackwardWeight
  return kind === 'depthwise' ? loaded().convolveDepthwiseBackwardWeight : loaded().convolveGroupsBackwardWeight
}

/** Returns a function that takes the weight, or, for a depthwise convolution, its packed filters. */
function inputGradientOf(kind: Kind): (sizes: GroupedSizes, dy: Tensor, weight: Tensor, dx: Tensor) => void {
  if (kind === 'dense') return convolveBackwardInput
  return kind === 'depthwise' ? loaded().convolveDepthwiseBackwardInput : loaded().convolveGroupsBackwardInput
}

/** @throws DeviceError  if they have not arrived */
function loaded(): typeof Others {
  if (others) return others
  throw new DeviceError('conv2d', 'the kernels for groups and dilation are not loaded yet', {
    fix: 'import conv2d before the GPU is opened, or wait until the next task',
  })
}

function kindOf(sizes: GroupedSizes): Kind {
  if (sizes.GROUPS === 1 && sizes.DILATION === 1) return 'dense'
  return loaded().isDepthwise(sizes) ? 'depthwise' : 'grouped'
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
