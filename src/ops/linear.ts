import { DtypeError, ShapeError } from '../base/errors.ts'
import { formatShape } from '../base/format.ts'
import { defineOp } from '../tensor/op.ts'
import { elementwise, empty, launch, storageDtype } from '../tensor/launch.ts'
import { parts } from '../tensor/parts.ts'
import { release } from '../tensor/scope.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { padTo4 } from '../tensor/shape.ts'
import { convolve, convolveBackwardInput, convolveBackwardWeight, type ConvolutionSizes } from './convolution/passes.ts'
import '../gpu/wgsl/add/accumulate.ts'
import '../gpu/wgsl/linear/index.ts'

/** A matrix product is the 1×1 convolution of 1×1 images: one set of kernels serves both. */
const op = defineOp<readonly [Tensor, Tensor, Tensor | undefined], undefined, ConvolutionSizes>({
  name: 'linear',
  required: 2,

  plan([x, weight, bias]) {
    const given = { x, [weight.name ?? 'weight']: weight, ...(bias ? { [bias.name ?? 'bias']: bias } : {}) }
    if (x.shape.length !== 2 || weight.shape.length !== 2) {
      throw new ShapeError('linear', 'x and the weight must be matrices', {
        given,
        expected: 'x as [N,C], the weight as [O,C]',
      })
    }
    const [N, C] = x.shape
    const [O, channels] = weight.shape
    if (C !== channels) {
      throw new ShapeError('linear', 'the columns of x and weight differ', {
        given,
        expected: `the last axis of the weight to be ${C}`,
      })
    }
    if (x.dtype !== weight.dtype) {
      throw new DtypeError('linear', 'the storage types differ', { given, fix: 'cast one of them' })
    }
    if (bias && (bias.shape.length !== 1 || bias.shape[0] !== O)) {
      throw new ShapeError('linear', 'there must be one bias per output', {
        given,
        expected: `the bias as ${formatShape([O])}`,
      })
    }
    if (bias && bias.dtype !== 'f32') {
      throw new DtypeError('linear', 'the bias must be f32, for any type of x', { given })
    }
    return { N, H: 1, W: 1, C, P: 1, Q: 1, O, R: 1, S: 1, STRIDE: 1, PAD: 0, dtype: storageDtype(x) }
  },

  forward(sizes, [x, weight, bias]) {
    const y = empty({ shape: [sizes.N, sizes.O], dtype: x.dtype }, 'linear')
    convolve(sizes, x, weight, y)
    if (bias) {
      const columns = padTo4(sizes.O) / 4
      launch(
        'linear/add-bias',
        { bias, y },
        { groups: Math.ceil((sizes.N * columns) / 64), shape: { N: sizes.N, COLUMNS: columns }, dtype: sizes.dtype },
      )
    }
    return y
  },

  backward(sizes, dy, { inputs: [x, weight] }, [needsX, needsWeight, needsBias], target) {
    const dw = needsWeight ? target(1, 'f32') : undefined
    if (dw) weightGradient(sizes, x, dy, dw)
    const dbias = needsBias ? target(2, 'f32') : undefined
    if (dbias) {
      const columns = padTo4(sizes.O) / 4
      launch(
        'linear/backward-bias',
        { dy, dbias },
        { groups: Math.ceil(columns / 64), shape: { N: sizes.N, COLUMNS: columns }, dtype: sizes.dtype },
      )
    }
    const dx = needsX ? target(0) : undefined
    if (dx) convolveBackwardInput(sizes, dy, weight, dx)
    return [dx, dw, dbias]
  },
})

/** Most rows whose products a kernel adds up in one f32: the relative error was 6e-4 with 65,535 equal products, 7e-6 with 512. */
const MOST_ROWS = 512

/** Computes dw of all rows, in parts for long batches. */
function weightGradient(sizes: ConvolutionSizes, x: Tensor, dy: Tensor, dw: Tensor): void {
  let sum: Tensor | undefined
  for (const part of parts({ x, dy }, MOST_ROWS)) {
    const own = sum ? empty(dw, 'a part of dw') : dw
    convolveBackwardWeight({ ...sizes, N: part.x.shape[0] }, part.x, part.dy, own)
    if (sum) {
      launch('add/accumulate', { x: own, total: sum }, elementwise(sum))
      release(own)
    }
    sum = dw
  }
}

/**
 * Computes a fully connected layer.
 *
 *   y[n,o] = Σ_c x[n,c] · weight[o,c] + bias[o]
 *
 * @param x       [N,C] f16 | f32
 * @param weight  [O,C] in the type of x
 * @param bias    [O] f32, or none
 * @returns       [N,O] in the type of x. Products are summed in f32.
 * @throws ShapeError, DtypeError  if the three do not fit each other
 *
 * Gradients flow to x (of its type), weight and bias (f32). Cost: 2·N·O·C operations, the same again for each of dx, dw.
 */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  return op([x, weight, bias], undefined)
}
