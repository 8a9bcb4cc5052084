import { backward, discard } from './backward.ts'
import { gradEnabled, noGrad, remember } from './op.ts'
import { hold, scope } from './scope.ts'
import { Tensor } from './tensor.ts'

let recomputing = false

/** Whether a forward pass is being done a second time: what it changed besides its output has changed already. */
export function isRecomputing(): boolean {
  return recomputing
}

/**
 * y = work(x), of which only x is kept for backward: there the work is done again, and then differentiated. Memory for
 * time, as the activations of many such parts never exist at once.
 *
 * The work must compute the same the second time; what it does besides (running statistics) it leaves out where
 * `isRecomputing`. Gradients of parameters in it arrive as always.
 *
 * Source: Chen et al. 2016, arXiv:1604.06174.
 */
export function recompute(x: Tensor, work: (x: Tensor) => Tensor): Tensor {
  if (!gradEnabled()) return work(x)
  const y = scope(() => noGrad(() => work(x)))
  // The work may hand on what it was given.
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

/** Does the work again, gives the gradients of its parameters out, and returns that of x. */
function again(x: Tensor, work: (x: Tensor) => Tensor, dy: Tensor): Tensor | undefined {
  const start = new Tensor(x, x.storage)
  let dx: Tensor | undefined
  // The end of the inner tape: it takes the gradient of x and holds on to it.
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
  // Given to the caller as any new tensor is: held by nobody.
  if (dx) dx.storage.holds--
  return dx
}
