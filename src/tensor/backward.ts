import { DtypeError, ShapeError } from '../base/errors.ts'
import { checkArgument, type Kind } from '../base/options.ts'
import { copy, elementwise, empty, launch } from './launch.ts'
import { raisingFlagOf } from './overflow.ts'
import { hold, keep, unhold } from './scope.ts'
import { sameShape } from './shape.ts'
import { TENSOR, type Leaf, type TapeNode, type Target, type Tensor } from './tensor.ts'
import { onTrack } from './track.ts'
import '../gpu/wgsl/add/index.ts'
import '../gpu/wgsl/cast/to-f32.ts'

/** Tensors whose tape node an earlier `backward` has used up. */
const passed = new WeakSet<Tensor>()

/**
 * Computes dL/dp for every trainable tensor p that the loss depends on and adds it to the gradient of p.
 *
 * Walks the tape from the newest node to the oldest with an explicit stack, so its depth is unlimited, and releases
 * activations on the way: afterwards only the loss and kept tensors remain. A tape can therefore be used once; to
 * differentiate two losses that share a part of it, add them up first.
 *
 * @param loss  one number, [] f32; for a tensor of many numbers, L = Σ seed·loss is differentiated
 * @param seed  dL/dloss, of the shape and type of the loss: the loss scale in mixed precision
 * @throws ShapeError  if the seed has another shape, nothing is trainable, or a part of the tape was used up
 * @throws DtypeError  if the seed has another type
 */
export function backward(loss: Tensor, seed: Tensor): void {
  requireSeed(loss, seed)
  const root = loss.node
  if (!root) {
    if (passed.has(loss)) throw usedUp({ loss })
    throw new ShapeError('backward', 'the loss depends on nothing trainable', {
      given: { loss },
      fix: 'compute it from parameters that are not frozen, outside noGrad',
    })
  }
  const nodes = newestFirst(root)
  // Held separately, since the loss outlives its node.
  hold(loss.storage)
  const gradients = new Map<Tensor, Tensor>([[loss, seed]])
  hold(seed.storage)
  // The repeated forward pass of `recompute` belongs to this track too.
  onTrack('backward', () => {
    for (const node of nodes) {
      const dy = gradients.get(node.output)
      gradients.delete(node.output)
      if (dy) {
        step(node, dy, gradients)
        unhold(dy.storage)
      }
      for (const used of [...node.inputs, node.output, ...node.extras]) if (used) unhold(used.storage)
      node.output.node = undefined
      passed.add(node.output)
    }
  })
  loss.storage.holds--
}

const GRADIENTS: Kind = {
  expected: 'a list of tensors, one for each input, in their order',
  is: (value) => Array.isArray(value) && value.every((one) => one === undefined || TENSOR.is(one)),
}
const SEED: Kind = {
  ...TENSOR,
  expected: 'dL/dloss, a tensor of the shape of the loss',
  fix: 'backward(loss, scaler.scale) with the LossScaler of the step, or backward(loss, tensor([1], []))',
}

function requireSeed(loss: Tensor, seed: Tensor): void {
  checkArgument('backward', 'loss', loss, TENSOR)
  checkArgument('backward', 'seed', seed, SEED)
  if (!sameShape(loss.shape, seed.shape)) {
    throw new ShapeError('backward', 'the seed is dL/dloss, but has another shape than the loss', {
      given: { loss, seed },
      fix: 'make the loss one number first: its mean, or `sum(loss)`',
    })
  }
  if (loss.dtype !== seed.dtype) {
    throw new DtypeError('backward', 'the seed is dL/dloss, but of another type than the loss', {
      given: { loss, seed },
      fix: "cast(loss, 'f32')",
    })
  }
}

function usedUp(given: Readonly<Record<string, unknown>>): ShapeError {
  return new ShapeError(
    'backward',
    'an earlier backward has used up the tape and released tensors that are needed again',
    {
      given,
      fix: 'run the forward pass again; add up several losses of one pass and call backward once',
    },
  )
}

function step(node: TapeNode, dy: Tensor, gradients: Map<Tensor, Tensor>): void {
  const target: Target = (index, dtype) => {
    const input = node.inputs[index]
    if (!input) throw new RangeError(`${node.name}: input ${index} was omitted and has no gradient`)
    const spec = { shape: input.shape, dtype: dtype ?? input.dtype }
    const { leaf } = input
    const free = leaf && !leaf.hasGradient && spec.dtype === 'f32' && occursOnce(leaf, node)
    return free ? leafGradient(input, leaf) : empty(spec, `d(${node.name})`)
  }
  // Gradients that are replaced; a summand of an existing gradient is computed in a tensor of its own.
  const replaced = node.inputs.flatMap((input) => {
    const leaf = input?.leaf
    return leaf?.gradient && !leaf.hasGradient ? [leaf.gradient] : []
  })
  const results = raisingFlagOf(dy, replaced, () => node.backward(dy, target))
  checkGradients(node, results)
  node.inputs.forEach((input, i) => {
    const gradient = results[i]
    if (!input || !gradient || !node.needs[i]) return
    if (input.leaf) addToLeaf(input, input.leaf, gradient)
    else addTo(gradients, input, gradient)
  })
}

/** Returns false for a parameter that an operation has as several inputs, such as the square p·p: its gradient is the sum of theirs. */
function occursOnce(leaf: Leaf, { inputs }: TapeNode): boolean {
  return inputs.filter((input) => input?.leaf === leaf).length === 1
}

/** @throws OptionError, ShapeError  unless an operation returned the gradient of each input that needs one */
function checkGradients({ name, inputs, needs }: TapeNode, gradients: readonly (Tensor | undefined)[]): void {
  checkArgument(name, 'the result of backward', gradients, GRADIENTS)
  inputs.forEach((input, i) => {
    const gradient = gradients[i]
    const isThere = i < gradients.length && (!input || !gradient || sameShape(gradient.shape, input.shape))
    if (isThere || !needs[i]) return
    throw new ShapeError(name, `backward did not return a gradient in the shape of input ${i + 1}`, {
      given: { input, gradient: gradient ?? 'none' },
      expected: 'a list with one gradient for each input, in their order',
    })
  })
}

function leafGradient(input: Tensor, leaf: Leaf): Tensor {
  leaf.gradient ??= keep(empty({ shape: input.shape, dtype: 'f32' }, `gradient of ${input.name ?? 'parameter'}`))
  return leaf.gradient
}

function addToLeaf(input: Tensor, leaf: Leaf, gradient: Tensor): void {
  const total = leafGradient(input, leaf)
  if (gradient === total) {
    leaf.hasGradient = true
    return
  }
  const x = gradient.dtype === 'f32' ? gradient : widened(gradient)
  if (leaf.hasGradient) launch('add/accumulate', { x, total }, elementwise(total))
  else copy(x, total)
  leaf.hasGradient = true
  discard(x)
  if (x !== gradient) discard(gradient)
}

function widened(x: Tensor): Tensor {
  const y = empty({ shape: x.shape, dtype: 'f32' })
  launch('cast/to-f32', { x, y }, elementwise(x))
  return y
}

function addTo(gradients: Map<Tensor, Tensor>, input: Tensor, gradient: Tensor): void {
  const before = gradients.get(input)
  if (!before) {
    gradients.set(input, gradient)
    hold(gradient.storage)
    return
  }
  const sum = empty(input, 'sum of gradients')
  launch('add/forward', { a: before, b: gradient, y: sum }, elementwise(sum))
  discard(gradient)
  unhold(before.storage)
  gradients.set(input, sum)
  hold(sum.storage)
}

/** Releases a scoped tensor if its storage is not held. */
export function discard(gradient: Tensor): void {
  hold(gradient.storage)
  unhold(gradient.storage)
}

/**
 * Returns every node that the root depends on, newest first: the users of a node are always newer than itself.
 *
 * @throws ShapeError  if an earlier backward has used up one of them, whose gradient would be lost
 */
function newestFirst(root: TapeNode): TapeNode[] {
  const seen = new Set<TapeNode>([root])
  const stack = [root]
  for (let node = stack.pop(); node; node = stack.pop()) {
    node.inputs.forEach((input, i) => {
      const below = input?.node
      if (input && node.needs[i] && !below && !input.leaf) throw usedUp({ [`input of ${node.name}`]: input })
      if (below && !seen.has(below)) {
        seen.add(below)
        stack.push(below)
      }
    })
  }
  return [...seen].sort((a, b) => b.id - a.id)
}
