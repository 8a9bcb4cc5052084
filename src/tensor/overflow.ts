import { empty } from './launcher.ts'
import { release } from './scope.ts'
import type { Tensor } from './tensor.ts'

/**
 * Records launches of kernels that look through the gradients of parameters as they write them (shaders/lib/overflow.wgsl).
 *
 * @param dy         from which they come: in f32 nothing overflows, and nothing is noticed
 * @param gradients  of one optimizer's parameters, or of none that has one
 * @param launches   is given where the kernels raise the flag, [] u32: those gradients' own, or one nobody looks at
 */
export function noticeOverflow(
  dy: Tensor,
  gradients: readonly Tensor[],
  launches: (foundInfinity: Tensor) => void,
): void {
  const own = noticesOverflow(dy) ? gradients.find(({ foundInfinity }) => foundInfinity)?.foundInfinity : undefined
  const foundInfinity = own ?? empty({ shape: [], dtype: 'u32' }, 'unread flag')
  launches(foundInfinity)
  if (!own) release(foundInfinity)
}

/** Whether what comes from this gradient is looked through. */
export function noticesOverflow(dy: Tensor): boolean {
  return dy.dtype === 'f16'
}
