import { backward, discard } from './backward.ts'
import { gradEnabled, noGrad, remember } from './op.ts'
import { hold, scope } from './scope.ts'
import { Tensor } from './tensor.ts'

let recomputing = false
let disabled = false

/** Returns true during the second run of a forward pass, whose side effects must not be repeated. */
export function isRecomputing(): boolean {
  return recomputing
}

/** Runs work in which `recompute` keeps all activations, so that gradients of tensors inside its parts can be taken. */
export function withoutRecompute<Result>(work: () => Result): Result {
  const before = disabled
  disabled = true
  try {
    return work()
  } finally {
    disabled = before
  }
}

/**
 * Computes y = work(x) and keeps only x for backward, where the work is run again and then differentiated. This trades time
 * for memory: the activations of many such parts never exist at once.
 *
 * The work must compute the same the second time, and omit its side effects (running statistics) if `isRecomputing`.
 * Gradients of its parameters are added as usual.
 *
 * Source: Chen et al. 2016, arXiv:1604.06174.
 */
export function recompute(x: Tensor, work: (x: Tensor) => Tensor): Tensor {
  if (disabled || !gradEnabled()) return work(x)
  const y = scope(() => noGrad(() => work(x)))
  // The work may return its input.
  if (y.storage === x.storage) return work(x)
  remember({
    name: 'recompute',
    inputs: [x],
    output: y,
    extras: [],
    needs: [x.needsGrad],
    backward: (dy) => [again(x, work, dy)],
  })
  return y
}

/** Runs the work again, adds the gradients of its parameters, and returns that of x. */
function again(x: Tensor, work: (x: Tensor) => Tensor, dy: Tensor): Tensor | undefined {
  const start = new Tensor(x, x.storage)
  let dx: Tensor | undefined
  // The end of the inner tape: receives the gradient of x and holds it.
  if (x.needsGrad) {
    const backward = (gradient: Tensor) => {
      dx = gradient
      hold(gradient.storage)
      return []
    }
    remember({ name: 'recompute', inputs: [], output: start, extras: [], needs: [], backward })
  }
  recomputing = true
  let y: Tensor
  try {
    y = work(start)
  } finally {
    recomputing = false
  }
  backward(y, dy)
  discard(y)
  // The caller receives it as a new tensor, without holds.
  if (dx) dx.storage.holds--
  return dx
}
