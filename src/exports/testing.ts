/**
 * `wgrad/testing`: what an operation or a kernel of your own should pass, the checks and the benchmark that those of the
 * package pass.
 *
 * @module wgrad/testing
 */

export {
  gradcheck,
  uniform,
  type CheckedFunction,
  type GradcheckInput,
  type GradcheckOptions,
} from '../testing/gradcheck.ts'
export { expectClose, toleranceOf, type CloseOptions } from '../testing/close.ts'
export {
  measureKernel,
  proveKernel,
  rounding,
  summing,
  underRoof,
  type KernelCase,
  type KernelCheck,
  type KernelTime,
  type KernelTiming,
  type PreparedKernel,
  type UnderRoof,
} from '../testing/measure-kernel.ts'
export { convolutionCase } from '../testing/convolution-case.ts'
export { bytesOf, KernelOperands, type KernelOperand } from '../testing/kernel-operands.ts'
export { measurePeaks, peaksText, type Arithmetic, type Peaks } from '../testing/peaks.ts'
