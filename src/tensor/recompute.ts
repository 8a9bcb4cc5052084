import { backward, discard } from './backward.ts'
import { gradEnabled, noGrad, remember } from './op.ts'
import { hold, scope } from './scope.ts'
import { Tensor } from './tensor.ts'

let recomputing = false
let disabled = false
/** Random numbers of the first run of some work, which is going on. */
let recorded: Tensor[] | undefined
/** Random numbers that the second run of some work, which is going on, still has to take. */
let repeated: Tensor[] | undefined

/** Returns true during the second run of a forward pass, whose side effects must not be repeated. */
export function isRecomputing(): boolean {
  return recomputing
}

/** Returns random numbers that `draw` makes, or in the second run of a forward pass those of its first run, in their order. */
export function drawnOnce(draw: () => Tensor): Tensor {
  const numbers = repeated?.shift() ?? draw()
  if (recorded) {
    recorded.push(numbers)
    hold(numbers.storage)
  }
  return numbers
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
  const before = recorded
  const drawn: Tensor[] = []
  recorded = drawn
  try {
    const y = scope(() => noGrad(() => work(x)))
    // The work may return its input.
    if (y.storage === x.storage) return work(x)
    remember({
      name: 'recompute',
      inputs: [x],
      output: y,
      extras: drawn,
      needs: [x.needsGrad],
      backward: (dy) => [again(x, work, drawn, dy)],
    })
    return y
  } finally {
    recorded = before
    // The tape holds them from now on.
    for (const { storage } of drawn) storage.holds--
  }
}

/** Runs the work again, adds the gradients of its parameters, and returns that of x. */
function again(x: Tensor, work: (x: Tensor) => Tensor, drawn: readonly Tensor[], dy: Tensor): Tensor | undefined {
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
  const before = repeated
  recomputing = true
  repeated = [...drawn]
  let y: Tensor
  try {
    y = work(start)
  } finally {
    recomputing = false
    repeated = before
  }
  backward(y, dy)
  discard(y)
  // The caller receives it as a new tensor, without holds.
  if (dx) dx.storage.holds--
  return dx
}
