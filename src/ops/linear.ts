import { DtypeError, ShapeError } from '../base/errors.ts'
import { defineOp } from '../tensor/op.ts'
import { elementwise, empty, launch, storageDtype } from '../tensor/launch.ts'
import { parts } from '../tensor/parts.ts'
import { release } from '../tensor/scope.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { elementCount, padTo4, type Shape } from '../tensor/shape.ts'
import { loaded } from './convolution/loaded.ts'
import { convolve, convolveBackwardInput, convolveBackwardWeight, type ConvolutionSizes } from './convolution/passes.ts'
import { addBias, requireBias } from './plans/bias.ts'
import '../gpu/wgsl/add/accumulate.ts'
import '../gpu/wgsl/linear/index.ts'

/** A matrix product is the 1×1 convolution of 1×1 images: one set of kernels serves both. */
const op = defineOp<readonly [Tensor, Tensor, Tensor | undefined], undefined, ConvolutionSizes>({
  name: 'linear',
  required: 2,

  plan([x, weight, bias]) {
    const given = { x, [weight.name ?? 'weight']: weight }
    if (x.shape.length < 2 || weight.shape.length !== 2) {
      throw new ShapeError('linear', 'x must have rows and the weight must be a matrix', {
        given,
        expected: 'x as [N,C] or [N,…,C], the weight as [O,C]',
      })
    }
    const C = x.shape[x.shape.length - 1]
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
    if (bias) requireBias('linear', bias, O, given)
    const [N, H, W] = rowsOf(x.shape)
    return { N, H, W, C, P: H, Q: W, O, R: 1, S: 1, STRIDE: 1, PAD: 0, dtype: storageDtype(x) }
  },

  forward(sizes, [x, weight, bias]) {
    const y = empty({ shape: [...x.shape.slice(0, -1), sizes.O], dtype: x.dtype }, 'linear')
    convolve(sizes, x, weight, y)
    if (bias) addBias(bias, y)
    return y
  },

  backward(sizes, dy, { inputs: [x, weight] }, [needsX, needsWeight, needsBias], target) {
    const isMatrix = x.shape.length === 2
    const dw = needsWeight ? target(1, 'f32') : undefined
    // The pixels of images are distributed among slices by the convolution itself.
    if (dw) (isMatrix ? weightGradient : convolveBackwardWeight)(sizes, x, dy, dw)
    const dbias = needsBias ? target(2, 'f32') : undefined
    if (dbias && isMatrix) {
      const columns = padTo4(sizes.O) / 4
      launch(
        'linear/backward-bias',
        { dy, dbias },
        { groups: Math.ceil(columns / 64), shape: { N: sizes.N, COLUMNS: columns }, dtype: sizes.dtype },
      )
    } else if (dbias) loaded('linear').columnTotals(dy, dbias)
    const dx = needsX ? target(0) : undefined
    if (dx) convolveBackwardInput(sizes, dy, weight, dx)
    return [dx, dw, dbias]
  },
})

/** Returns the axes of x before the last as those of images: [N,C] → [N,1,1], [N,L,C] → [N,1,L], [N,H,W,C] → [N,H,W]. */
function rowsOf(shape: Shape): readonly [number, number, number] {
  const [N, ...rest] = shape.slice(0, -1)
  const last = rest.pop() ?? 1
  return [N, elementCount(rest), last]
}

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
 * Computes a fully connected layer, of every pixel where x has more axes.
 *
 *   y[n,…,o] = Σ_c x[n,…,c] · weight[o,c] + bias[o]
 *
 * @param x       [N,C] or [N,…,C], such as images [N,H,W,C], f16 | f32
 * @param weight  [O,C] in the type of x
 * @param bias    [O] f32, or none
 * @returns       [N,…,O] in the type of x. Products are summed in f32.
 * @throws ShapeError, DtypeError  if the three do not fit each other
 *
 * Gradients flow to x (of its type), weight and bias (f32). Cost: 2·O·C operations for each row, the same again for each of dx, dw.
 */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  return op([x, weight, bias], undefined)
}
