/** Kernels of convolutions with groups, dilation or bias, which a page loads as it opens a GPU (see loaded.ts). */
import type { Tensor } from '../../tensor/tensor.ts'
import {
  convolveDepthwise,
  convolveDepthwiseBackwardInput,
  convolveDepthwiseBackwardWeight,
  isDepthwise,
  packFilters,
} from './depthwise.ts'
import {
  convolveGroups,
  convolveGroupsBackwardInput,
  convolveGroupsBackwardWeight,
  type GroupedSizes,
} from './grouped.ts'

export { columnTotals } from '../plans/column-totals.ts'

/**
 * Computes y = x ∗ weight with groups or dilation. Depthwise kernels add the bias as well, and make the packed filters that
 * their backward pass reads.
 */
export function convolveOthers(
  sizes: GroupedSizes,
  x: Tensor,
  weight: Tensor,
  bias: Tensor | undefined,
  y: Tensor,
): { readonly packed?: Tensor } {
  if (!isDepthwise(sizes)) {
    convolveGroups(sizes, x, weight, y)
    return {}
  }
  const packed = packFilters(sizes, weight)
  convolveDepthwise(sizes, x, packed, bias, y)
  return { packed }
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
  else convolveGroupsBackwardInput(sizes, dy, weight, dx)
}

/** Computes dw, in f32, from x and dy. */
export function convolveOthersBackwardWeight(sizes: GroupedSizes, x: Tensor, dy: Tensor, dw: Tensor): void {
  if (isDepthwise(sizes)) convolveDepthwiseBackwardWeight(sizes, x, dy, dw)
  else convolveGroupsBackwardWeight(sizes, x, dy, dw)
}
