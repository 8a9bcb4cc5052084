import { requireNumber } from '../base/check.ts'
import { ShapeError } from '../base/errors.ts'
import { formatShape } from '../base/format.ts'
import { NUMBER } from '../base/options.ts'
import { currentGpu } from '../gpu/device.ts'
import { columnSums, LANES, onGrid, workgroupThreads } from '../gpu/grid.ts'
import { empty, launch, storageDtype } from '../tensor/launch.ts'
import { defineOp } from '../tensor/op.ts'
import { release } from '../tensor/scope.ts'
import { elementCount, storedLastAxis } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { totalOf } from './plans/column-totals.ts'
import { requirePerChannel } from './plans/per-channel.ts'
import '../gpu/wgsl/layer-norm/index.ts'

/** Options of `layerNorm`. */
export interface LayerNormOptions {
  /** Number added to the variance, > 0. Default 1e-5 */
  readonly eps?: number
}

interface Plan {
  /** Sizes of x as a matrix, and the number of vectors of four per row. */
  readonly shape: { readonly PIXELS: number; readonly C: number; readonly VECTORS: number }
  readonly eps: number
  readonly dtype: 'f32' | 'f16'
  readonly detail: string
}

const op = defineOp<readonly [x: Tensor, weight: Tensor, bias: Tensor], LayerNormOptions, Plan>({
  name: 'layerNorm',
  required: 3,
  options: { eps: NUMBER },

  plan([x, weight, bias], { eps = 1e-5 }) {
    if (x.shape.length < 2) {
      throw new ShapeError('layerNorm', 'x must have rows', { given: { x }, expected: 'x as [N,C] or [N,…,C]' })
    }
    const C = x.shape[x.shape.length - 1]
    requirePerChannel('layerNorm', x, { [weight.name ?? 'weight']: weight, [bias.name ?? 'bias']: bias })
    requireNumber('layerNorm', 'eps', eps, { above: 0 })
    const shape = { PIXELS: elementCount(x.shape.slice(0, -1)), C, VECTORS: storedLastAxis(x) / 4 }
    return { shape, eps, dtype: storageDtype(x), detail: formatShape(x.shape) }
  },

  forward({ shape, eps, dtype, detail }, [x, weight, bias]) {
    const y = empty(x, 'layerNorm')
    const [means, inverses] = ['means', 'inverses'].map((name) => empty({ shape: [shape.PIXELS], dtype: 'f32' }, name))
    const { kept, groups, constants } = sharedRows(shape.PIXELS, shape.VECTORS)
    launch(
      kept ? 'layer-norm/forward-kept' : 'layer-norm/forward',
      { x, weight, bias, means, inverses, y },
      { groups, shape, constants: { ...constants, EPSILON: eps }, dtype, detail },
    )
    return { output: y, extras: [means, inverses] }
  },

  backward(plan, dy, { inputs: [x, weight], extras: [means, inverses] }, needs, target) {
    const { shape, dtype, detail } = plan
    const [dweight, dbias] = [1, 2].map((input) => (needs[input] ? target(input, 'f32') : undefined))
    if (dweight || dbias) parameterGradients(plan, { x, dy, means, inverses }, dweight, dbias)
    const dx = needs[0] ? target(0) : undefined
    if (dx) {
      const { kept, ...grid } = sharedRows(shape.PIXELS, shape.VECTORS)
      launch(
        kept ? 'layer-norm/backward-input-kept' : 'layer-norm/backward-input',
        { x, dy, weight, means, inverses, dx },
        { ...grid, shape, dtype, detail },
      )
    }
    return [dx, dweight, dbias]
  },
})

function parameterGradients(
  { shape: { PIXELS, C, VECTORS }, dtype, detail }: Plan,
  given: Readonly<Record<'x' | 'dy' | 'means' | 'inverses', Tensor>>,
  dweight: Tensor | undefined,
  dbias: Tensor | undefined,
): void {
  const { RUN, SLICES, runs, total } = columnSums(PIXELS, VECTORS)
  const [sums, products] = ['sums', 'products'].map((name) =>
    empty({ shape: [SLICES, C], dtype: 'f32' }, `${name} of runs`),
  )
  launch(
    'layer-norm/backward-sums',
    { ...given, sums, products },
    onGrid(runs, { shape: { PIXELS, RUN, C, VECTORS }, dtype, detail }),
  )
  if (dweight) totalOf(products, dweight, SLICES, VECTORS, total)
  if (dbias) totalOf(sums, dbias, SLICES, VECTORS, total)
  release(sums)
  release(products)
}

/**
 * Numbers that only a GPU can decide: threads of a workgroup, the vectors of a row that each of them should keep in registers, and
 * those that it keeps at most: 64 numbers, and in the backward pass as many again.
 */
const NORM = { threads: 128, vectors: 4, kept: 16 }

/**
 * Returns the threads that normalize each row of a matrix, [rows, vectors], and the count of their workgroups. On a GPU a row has
 * as many as keep some `NORM.vectors` vectors each, eight at least, which load whole sectors of memory, where it has as
 * many vectors, and 32 at most; a row that is too long for them is read again and again, as on a processor.
 */
function sharedRows(
  rows: number,
  vectors: number,
): { readonly kept: boolean; readonly constants: Readonly<Record<string, number>>; readonly groups: number } {
  if (currentGpu().family === 'broadcast') {
    return { kept: false, constants: { LANES, ROWS: 1 }, groups: Math.ceil(rows / LANES) }
  }
  const threads = workgroupThreads(NORM.threads)
  const wanted = Math.max(Math.min(8, vectors), vectors / NORM.vectors)
  const PARTS = Math.min(32, threads, 2 ** Math.ceil(Math.log2(wanted)))
  const EACH = Math.ceil(vectors / PARTS)
  const shared = threads / PARTS
  const groups = Math.ceil(rows / shared)
  if (EACH > NORM.kept) return { kept: false, constants: { LANES: shared, ROWS: PARTS }, groups }
  return { kept: true, constants: { PARTS, ROWS: shared, EACH }, groups }
}

/**
 * Normalizes every row over its channels: every pixel of an image, as ConvNeXt does.
 *
 *   y[…,c] = (x[…,c] − mean) / √(variance + eps) · weight[c] + bias[c],  mean and variance (biased) over the last axis
 *
 * @param x       […,C] f16 | f32, of two axes at least
 * @param weight  [C] f32
 * @param bias    [C] f32
 * @returns       shape and type of x; statistics are f32
 * @throws ShapeError, DtypeError  if weight or bias is not [C] f32
 * @throws OptionError  if eps is out of range
 *
 * Gradients flow to x (of its type), weight and bias (f32).
 * Source: Ba, Kiros & Hinton 2016, arXiv:1607.06450; torch.nn.functional.layer_norm over the last axis.
 */
export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor, options: LayerNormOptions = {}): Tensor {
  return op([x, weight, bias], options)
}
