import { requireNumber } from '../base/check.ts'
import { DtypeError, ShapeError } from '../base/errors.ts'
import { NUMBER } from '../base/options.ts'
import { elementwise, empty, launch } from '../tensor/launch.ts'
import { defineOp } from '../tensor/op.ts'
import { storedCount, type Spec } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import '../gpu/wgsl/dropout/index.ts'

/** Options of `dropout`. */
export interface DropoutOptions {
  /** Probability with which the mask leaves out an element, 0 ≤ p < 1. */
  readonly p: number
}

const op = defineOp<readonly [x: Tensor, mask: Tensor], DropoutOptions, { readonly scale: number }>({
  name: 'dropout',
  required: 2,
  options: { p: NUMBER },

  plan([x, mask], { p }) {
    if (mask.dtype !== 'u32') {
      throw new DtypeError('dropout', 'the mask must hold bits in u32', { given: { mask }, expected: 'u32' })
    }
    const words = dropoutWords(x)
    if (mask.shape.length !== 1 || mask.shape[0] !== words) {
      throw new ShapeError('dropout', 'the mask does not fit x', {
        given: { x, mask },
        expected: `the mask as [${words}]`,
      })
    }
    requireNumber('dropout', 'p', p, { from: 0, below: 1 })
    return { scale: 1 / (1 - p) }
  },

  forward({ scale }, [x, mask]) {
    const y = empty(x, 'dropout')
    launch('dropout/apply', { x, mask, y }, { ...elementwise(x), constants: { SCALE: scale } })
    return y
  },

  backward({ scale }, dy, { inputs: [, mask] }, _needs, target) {
    const dx = target(0)
    launch('dropout/apply', { x: dy, mask, y: dx }, { ...elementwise(dx), constants: { SCALE: scale } })
    return [dx, undefined]
  },
})

/** Returns the number of words of the mask of a tensor: one bit per stored number, including the padding of its rows. */
export function dropoutWords(x: Spec): number {
  return Math.ceil(storedCount(x) / 32)
}

/**
 * Sets masked elements to zero and scales up the others, so that the expectation stays the same.
 *
 *   y[i] = x[i] / (1 − p) where the mask has a 1, otherwise 0
 *
 * @param x     any shape, f16 | f32
 * @param mask  [⌈stored numbers / 32⌉] u32: the number stored at place i (rows are padded to multiples of four) has bit
 *              i mod 32 of word i div 32. It is drawn on the CPU, each bit 1 with probability 1 − p
 * @returns     shape and type of x
 * @throws ShapeError, DtypeError, OptionError  if the mask does not fit x, or p is out of range
 *
 * Source: Srivastava et al. 2014, JMLR 15; torch.nn.functional.dropout.
 */
export function dropout(x: Tensor, mask: Tensor, options: DropoutOptions): Tensor {
  return op([x, mask], options)
}
