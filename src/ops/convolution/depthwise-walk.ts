import { empty, launch } from '../../tensor/launch.ts'
import { padTo4 } from '../../tensor/shape.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { groupedFlops, type GroupedSizes } from './grouped.ts'
import { describeSizes } from './sizes.ts'
import { mayWalk, rowsEach, walkGrid } from './walk.ts'
import '../../gpu/wgsl/depthwise/index.ts'

/** Largest filter, in rows and columns, of the kernels that walk: they keep it in registers, and their code grows with it. */
const LARGEST = 7
/** Most rows of a filter of which a thread sums the gradient: with seven the kernel runs and compiles longer than with four. */
const MOST_ROWS = 5

/** Sizes of a convolution that a kernel computes, which may be the gradient of another. */
type Walk = Readonly<Record<'H' | 'W' | 'P' | 'Q' | 'PAD', number>>

/** Returns true if the kernels that walk compute a depthwise convolution. */
export function walks(sizes: GroupedSizes): boolean {
  return mayWalk(sizes) && sizes.R <= LARGEST && sizes.S <= LARGEST
}

/** Computes y = x ∗ filters + bias; with FLIPPED = 1 the filters are read from their end. */
export function walkForward(
  sizes: GroupedSizes,
  own: Walk & { readonly STRIDE: number; readonly FLIPPED: number },
  { x, packed, bias, y }: { readonly x: Tensor; readonly packed: Tensor; readonly bias?: Tensor; readonly y: Tensor },
): void {
  const { STRIDE, ...shape } = own
  const EACH = rowsEach(STRIDE)
  const N = x.shape[0]
  const { RUN, groups, constants } = walkGrid(N * Math.ceil(own.P / EACH), padTo4(sizes.C) / 4)
  launch(
    'depthwise/forward-walk',
    { x, packed, bias: bias ?? packed, y },
    {
      ...depthwiseLaunch(sizes),
      groups,
      shape: { ...shape, ...filterShape(sizes), N, RUN, BIAS: Number(bias !== undefined) },
      constants: { ...constants, R: sizes.R, S: sizes.S, STRIDE, EACH },
    },
  )
}

/** Computes dx from dy. Every pixel of dx is written, with zero where no tap reaches it. */
export function walkBackwardInput(sizes: GroupedSizes, dy: Tensor, packed: Tensor, dx: Tensor): void {
  const { N, H, W, P, Q, R, S, STRIDE, PAD } = sizes
  const EACH = rowsEach(STRIDE)
  const { RUN, groups, constants } = walkGrid(N * Math.ceil((H + PAD) / (EACH * STRIDE)), padTo4(sizes.C) / 4)
  launch(
    'depthwise/backward-input-walk',
    { dy, packed, dx },
    {
      ...depthwiseLaunch(sizes),
      groups,
      shape: { N, H, W, P, Q, PAD, RUN, ...filterShape(sizes) },
      constants: { ...constants, R, S, STRIDE, EACH },
    },
  )
}

/** Returns slices of dw, in f32, which depthwise/finish adds up. */
export function walkBackwardWeight(sizes: GroupedSizes, x: Tensor, dy: Tensor): Tensor {
  const { N, H, W, P, Q, R, S, C, STRIDE, PAD } = sizes
  const EACH = rowsEach(STRIDE)
  const TAPS = Math.ceil(R / Math.ceil(R / MOST_ROWS))
  const { RUN, groups, constants } = walkGrid(N * Math.ceil(P / EACH), padTo4(sizes.C) / 4)
  const slices = empty({ shape: [groups[1] * constants.ROWS, R * S, C], dtype: 'f32' }, 'slices of dw')
  launch(
    'depthwise/backward-weight-walk',
    { x, dy, slices },
    {
      ...depthwiseLaunch(sizes),
      groups: [groups[0], groups[1], Math.ceil(R / TAPS)],
      shape: { N, H, W, P, Q, R, PAD, RUN, VECTORS: padTo4(C) / 4 },
      constants: { ...constants, TAPS, S, STRIDE, EACH },
    },
  )
  return slices
}

function filterShape({ R, C }: GroupedSizes) {
  return { FILTER_ROWS: R, VECTORS: padTo4(C) / 4 }
}

/** Returns the storage type of a launch, its text in profiles and its arithmetic. */
export function depthwiseLaunch(sizes: GroupedSizes) {
  return { dtype: sizes.dtype, detail: `${describeSizes(sizes)} depthwise`, flops: groupedFlops(sizes) }
}
