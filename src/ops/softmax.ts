import { DtypeError, ShapeError, OptionError } from '../base/errors.ts'
import { checkArgument } from '../base/options.ts'
import { empty, launch } from '../tensor/launch.ts'
import { gradEnabled } from '../tensor/op.ts'
import { padTo4 } from '../tensor/shape.ts'
import { TENSOR, type Tensor } from '../tensor/tensor.ts'
import { onGrid, rowPass } from '../gpu/grid.ts'
import '../gpu/wgsl/softmax/index.ts'

/**
 * Computes probabilities from logits, row by row, for predictions. It has no gradient: losses take logits.
 *
 *   y[n,k] = exp(x[n,k]) / Σ_j exp(x[n,j])
 *
 * @param x  [N,K] f16 | f32
 * @returns  [N,K] f32
 * @throws ShapeError, DtypeError  if x is not a matrix of floats
 * @throws OptionError  if x is no tensor, or a gradient would flow through it
 */
export function softmax(x: Tensor): Tensor {
  checkArgument('softmax', 'x', x, TENSOR)
  const given = { x }
  if (x.shape.length !== 2) {
    throw new ShapeError('softmax', 'x must be a matrix of logits', { given, expected: 'x as [N,K]' })
  }
  if (x.dtype === 'u32') throw new DtypeError('softmax', 'x must hold floats', { given })
  if (gradEnabled() && x.needsGrad) {
    throw new OptionError('softmax', 'has no gradient', {
      given,
      fix: 'train on logits with softmaxCrossEntropy, or predict inside noGrad',
    })
  }
  const [N, K] = x.shape
  const VECTORS = padTo4(K) / 4
  const y = empty({ shape: [N, K], dtype: 'f32' }, 'softmax')
  launch('softmax/forward', { x, y }, onGrid(rowPass(N), { shape: { N, K, VECTORS }, dtype: x.dtype }))
  return y
}
