/** Convolutions with groups or dilation, which a page loads as it opens a GPU: see ops/conv2d.ts. */
import '../../gpu/wgsl/conv2d/reduce-slices.ts'
import '../../gpu/wgsl/depthwise/index.ts'
import '../../gpu/wgsl/grouped-conv/index.ts'

export {
  convolveDepthwise,
  convolveDepthwiseBackwardInput,
  convolveDepthwiseBackwardWeight,
  isDepthwise,
  packFilters,
} from './depthwise.ts'
export { convolveGroups, convolveGroupsBackwardInput, convolveGroupsBackwardWeight } from './grouped.ts'
