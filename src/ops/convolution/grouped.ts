import { columnSums, onGrid } from '../../gpu/grid.ts'
import { empty, launch } from '../../tensor/launch.ts'
import { release } from '../../tensor/scope.ts'
import { padTo4, vectorCount } from '../../tensor/shape.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { describeSizes, type ConvolutionSizes } from './sizes.ts'
import '../../gpu/wgsl/conv2d/reduce-slices.ts'
import '../../gpu/wgsl/grouped-conv/index.ts'

/** Sizes of a convolution with groups and dilation: weight [O,R,S,C/GROUPS]. */
export interface GroupedSizes extends ConvolutionSizes {
  readonly DILATION: number
  readonly GROUPS: number
}

/** Pixels per thread, which share the filters that it loads. */
const TILE = 4

/** Computes y = x ∗ weight. */
export function convolveGroups(sizes: GroupedSizes, x: Tensor, weight: Tensor, y: Tensor): void {
  const { N, P, Q, O } = sizes
  const threads = (N * P * Math.ceil(Q / TILE) * padTo4(O)) / 4
  launch('grouped-conv/forward', { x, weight, y }, options(sizes, threads))
}

/** Computes dx from dy. Every pixel of dx is written, with zero where no tap reaches it. */
export function convolveGroupsBackwardInput(sizes: GroupedSizes, dy: Tensor, weight: Tensor, dx: Tensor): void {
  const { N, H, W, C, STRIDE } = sizes
  const strips = STRIDE * Math.ceil(Math.ceil(W / STRIDE) / TILE)
  launch('grouped-conv/backward-input', { dy, weight, dx }, options(sizes, (N * H * strips * padTo4(C)) / 4))
}

/** Computes dw, in f32, from x and dy. */
export function convolveGroupsBackwardWeight(sizes: GroupedSizes, x: Tensor, dy: Tensor, dw: Tensor): void {
  const { N, P, Q, C, O, R, S, GROUPS } = sizes
  const { shape, constants, dtype, detail, flops } = options(sizes, 0)
  const columns = (padTo4(O) / 4) * R * S * (padTo4(C / GROUPS) / 4)
  const { SLICES: wanted, runs } = columnSums(N * P * Q, columns)
  const RUN = Math.ceil((N * P) / wanted)
  const SLICES = Math.ceil((N * P) / RUN)
  const slices = empty({ shape: [SLICES, ...dw.shape], dtype: 'f32' }, 'slices of dw')
  launch(
    'grouped-conv/backward-weight',
    { x, dy, slices },
    onGrid(
      { ...runs, groups: [runs.groups[0], SLICES, 1] },
      { shape: { ...shape, RUN }, constants: { ALIGNED: constants.ALIGNED }, dtype, detail, flops },
    ),
  )
  const COUNT = vectorCount(dw)
  launch(
    'conv2d/reduce-slices',
    { slices, total: dw },
    { groups: Math.ceil(COUNT / 64), shape: { COUNT, SLICES }, flops: SLICES * COUNT * 4 },
  )
  release(slices)
}

/** Returns the number of arithmetic operations of each of the three passes, including those on padding. */
export function groupedFlops({ N, P, Q, O, R, S, C, GROUPS }: GroupedSizes): number {
  return (2 * N * P * Q * O * R * S * C) / GROUPS
}

function options(sizes: GroupedSizes, threads: number) {
  const { dtype, N, H, W, C, P, Q, O, R, S, STRIDE, PAD, DILATION, GROUPS } = sizes
  return {
    groups: Math.ceil(threads / 64),
    shape: { N, H, W, C, P, Q, O, R, S, STRIDE, PAD, DILATION, GROUPS },
    constants: { TILE, ALIGNED: GROUPS === 1 || ((C / GROUPS) % 4 === 0 && (O / GROUPS) % 4 === 0) },
    dtype,
    detail: `${describeSizes(sizes)} in ${GROUPS}`,
    flops: groupedFlops(sizes),
  }
}
