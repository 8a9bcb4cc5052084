/** Kernels of convolutions with groups, dilation or bias, which a page loads as it opens a GPU (see loaded.ts). */
import type { Tensor } from '../../tensor/tensor.ts'
import {
  convolveDepthwise,
  convolveDepthwiseBackwardInput,
  convolveDepthwiseBackwardWeight,
  isDepthwise,
  packFilters,
} from './depthwise.ts'
import { blockBackwardInput, blockForward, computesBlocks } from './depthwise-block.ts'
import {
  convolveGroups,
  convolveGroupsBackwardInput,
  convolveGroupsBackwardWeight,
  type GroupedSizes,
} from './grouped.ts'

export { columnTotals } from '../plans/column-totals.ts'

/**
 * Computes y = x ∗ weight with groups or dilation. Depthwise kernels add the bias as well; some make packed filters that their
 * backward pass reads.
 */
export function convolveOthers(
  sizes: GroupedSizes,
  x: Tensor,
  weight: Tensor,
  bias: Tensor | undefined,
  y: Tensor,
): { readonly biased: boolean; readonly packed?: Tensor } {
  if (!isDepthwise(sizes)) {
    convolveGroups(sizes, x, weight, y)
    return { biased: false }
  }
  if (computesBlocks(sizes, 'forward')) {
    blockForward(sizes, { x, weight, bias, y })
    return { biased: true }
  }
  const packed = packFilters(sizes, weight)
  convolveDepthwise(sizes, x, packed, bias, y)
  return { biased: true, packed }
}

/** Computes dx from dy and the weight, or its packed filters if there are some. */
export function convolveOthersBackwardInput(
  sizes: GroupedSizes,
  dy: Tensor,
  weight: Tensor,
  packed: Tensor | undefined,
  dx: Tensor,
): void {
  if (packed) convolveDepthwiseBackwardInput(sizes, dy, packed, dx)
  else if (isDepthwise(sizes)) blockBackwardInput(sizes, dy, weight, dx)
  else convolveGroupsBackwardInput(sizes, dy, weight, dx)
}

/** Computes dw, in f32, from x and dy. */
export function convolveOthersBackwardWeight(sizes: GroupedSizes, x: Tensor, dy: Tensor, dw: Tensor): void {
  if (isDepthwise(sizes)) convolveDepthwiseBackwardWeight(sizes, x, dy, dw)
  else convolveGroupsBackwardWeight(sizes, x, dy, dw)
}
