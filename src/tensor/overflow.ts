import { shaderSource, type ShaderName } from '../gpu/shader-source.ts'
import { allocate, release } from './scope.ts'
import type { Tensor } from './tensor.ts'

/*
 * In mixed precision the gradients of parameters are checked for Inf and NaN by the kernels that write them, so that no
 * further launch has to read them. Such a kernel declares the binding `foundInfinity` (shaders/lib/overflow.wgsl); which flag
 * it raises is decided here, so that operations and tensors do not depend on the check.
 */

/** Name of the binding through which a kernel raises the flag. */
const FLAG = 'foundInfinity'

/** Kernels that only add f32 numbers: a sum of checked numbers counts as checked. */
const SUMS: ReadonlySet<ShaderName> = new Set<ShaderName>(['add/accumulate'])

/** Flags of the gradients that an optimizer watches, [] u32: 1 once a kernel has written Inf or NaN. */
const flags = new WeakMap<Tensor, Tensor>()
/** Tensors that the kernels which last wrote them also checked. */
const checked = new WeakSet<Tensor>()
/** Flag of the gradients that are being computed; undefined if none of them is watched. */
let raised: Tensor | undefined

/** Makes the kernels that write a gradient of a parameter raise a flag, [] u32, if they find Inf or NaN. */
export function watchOverflow(gradient: Tensor, flag: Tensor): void {
  flags.set(gradient, flag)
}

/** True if the kernels that last wrote a watched gradient also checked it for Inf and NaN. */
export function isChecked(gradient: Tensor): boolean {
  return checked.has(gradient)
}

/** Marks a tensor as checked, or as unchecked after a write by other means than a launch. */
export function markChecked(written: Tensor, done: boolean): void {
  if (done) checked.add(written)
  else checked.delete(written)
}

/**
 * Runs work that computes gradients of parameters from dy, whose kernels raise the flag of these gradients.
 *
 * @param dy         gradient of the output; in f32 nothing overflows, so nothing is checked
 * @param gradients  tensors that the work may write, those of one optimizer or unwatched ones
 */
export function raisingFlagOf<Result>(dy: Tensor, gradients: readonly Tensor[], work: () => Result): Result {
  const before = raised
  const watched = dy.dtype === 'f16' ? gradients.find((gradient) => flags.has(gradient)) : undefined
  raised = watched && flags.get(watched)
  try {
    return work()
  } finally {
    raised = before
  }
}

/**
 * Completes the bindings of a launch with the flag, if its shader declares one that the caller omits, and marks the
 * tensors that it writes as checked or not.
 *
 * @param use  receives all bindings and makes the launch; a flag that nothing reads is released after it
 */
export function withOverflowFlag(
  name: ShaderName,
  bindings: Readonly<Record<string, Tensor>>,
  use: (complete: Readonly<Record<string, Tensor>>) => void,
): void {
  const declared = shaderSource(name).bindings
  const open = bindings[FLAG] === undefined && declared.some((binding) => binding.name === FLAG)
  const unread = open && !raised ? allocate({ shape: [], dtype: 'u32' }, 'unread flag') : undefined
  const flag = unread ?? raised
  use(open && flag ? { ...bindings, [FLAG]: flag } : bindings)
  if (unread) release(unread)
  const checks =
    (open && !unread) || (SUMS.has(name) && Object.values(bindings).every((summand) => checked.has(summand)))
  for (const { name: binding, access } of declared) {
    const written = access === 'read_write' ? bindings[binding] : undefined
    if (written) markChecked(written, checks)
  }
}
