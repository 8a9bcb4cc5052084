import { DtypeError, ShapeError } from '../base/errors.ts'
import { checkArgument, checkOptions, type Kind, type Kinds } from '../base/options.ts'
import { hold } from './scope.ts'
import { sameShape } from './shape.ts'
import { Tensor, type Inputs, type TapeNode, type Target } from './tensor.ts'

/** What backward may use besides the plan and the gradient of the output. */
export interface Saved<I extends Inputs> {
  readonly inputs: I
  readonly output: Tensor
  /** What forward put aside, in its order. */
  readonly extras: readonly Tensor[]
}

export interface OpDefinition<I extends Inputs, Options, Plan> {
  readonly name: string
  /** Inputs, from the first on, that cannot be left out. Default 1 */
  readonly required?: number
  /** Kinds of the operation's options. Default: `plan` checks them */
  readonly options?: Kinds<Options>
  /** Checks shapes and options, on the CPU; what it returns is all that the launches need. @throws ShapeError, OptionError */
  plan(inputs: I, options: Options): Plan
  /** Records the launches that compute the output, and may put tensors aside for backward. */
  forward(plan: Plan, inputs: I): Tensor | { readonly output: Tensor; readonly extras: readonly Tensor[] }
  /**
   * Records the launches that compute one gradient for each input that `needs` one, in the tensor that `target` makes.
   */
  backward(
    plan: Plan,
    dy: Tensor,
    saved: Saved<I>,
    needs: readonly boolean[],
    target: Target,
  ): readonly (Tensor | undefined)[]
}

/** One executed operation, as `observeOps` reports it, whether or not a gradient will flow through it. */
export interface ExecutedOp {
  readonly name: string
  readonly inputs: Inputs
  readonly options: unknown
  readonly output: Tensor
}

const TENSOR: Kind = { expected: 'a tensor, such as tensor(data, shape)', is: (value) => value instanceof Tensor }

let enabled = true
let nextId = 1
let observer: ((executed: ExecutedOp) => void) | undefined

/** Runs work without recording its operations on the tape, so it cannot be differentiated. */
export function noGrad<Result>(work: () => Result): Result {
  const before = enabled
  enabled = false
  try {
    return work()
  } finally {
    enabled = before
  }
}

/** Returns true if operations are recorded on the tape for backward: everywhere except within `noGrad`. */
export function gradEnabled(): boolean {
  return enabled
}

/** Puts a node on the tape: its output knows how it came about, and what it will read in backward stays. */
export function remember(node: Omit<TapeNode, 'id'>): void {
  node.output.node = { id: nextId++, ...node }
  for (const used of [...node.inputs, node.output, ...node.extras]) if (used) hold(used.storage)
}

/** Runs work and reports each operation in it, made by `defineOp`, in the order of execution. */
export function observeOps<Result>(report: (executed: ExecutedOp) => void, work: () => Result): Result {
  const before = observer
  observer = report
  try {
    return work()
  } finally {
    observer = before
  }
}

/** Makes an operation of its four parts; what it returns is an ordinary function of tensors. */
export function defineOp<I extends Inputs, Options, Plan>(
  definition: OpDefinition<I, Options, Plan>,
): (inputs: I, options: Options) => Tensor {
  return (inputs, options) => {
    const { name, required = 1, options: kinds } = definition
    inputs.forEach((input, i) => {
      if (i < required || input !== undefined) checkArgument(name, `input ${i + 1}`, input, TENSOR)
    })
    if (kinds) checkOptions(name, options as Options & object, kinds)
    const plan = definition.plan(inputs, options)
    const result = definition.forward(plan, inputs)
    const { output, extras } = result instanceof Tensor ? { output: result, extras: [] } : result
    observer?.({ name, inputs, options, output })
    const needs = inputs.map((input) => enabled && input !== undefined && input.needsGrad)
    if (needs.some(Boolean)) {
      const saved = { inputs, output, extras }
      const backward: TapeNode['backward'] = (dy, target) => definition.backward(plan, dy, saved, needs, target)
      remember({ name, inputs, output, extras, needs, backward })
    }
    return output
  }
}

/** @throws ShapeError, DtypeError unless the tensors have the same shape and type */
export function requireAlike(where: string, given: Readonly<Record<string, Tensor>>): void {
  const [first, ...rest] = Object.values(given)
  if (rest.some((other) => other.dtype !== first.dtype)) {
    throw new DtypeError(where, 'the storage types differ', {
      given,
      expected: 'the same type',
      fix: 'cast one of them',
    })
  }
  if (rest.some((other) => !sameShape(first.shape, other.shape))) {
    throw new ShapeError(where, 'the shapes differ', { given, expected: 'the same shape' })
  }
}
