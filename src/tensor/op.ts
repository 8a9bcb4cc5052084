import { DtypeError, ShapeError } from '../base/errors.ts'
import { ANY, checkArgument, checkOptions, FUNCTION, listOf, NUMBER, TEXT, type Kinds } from '../base/options.ts'
import { finished, hold } from './scope.ts'
import { sameShape } from './shape.ts'
import { RESULT, Tensor, TENSOR, type Inputs, type TapeNode, type Target } from './tensor.ts'

/** Tensors that backward may read besides the gradient of the output. */
export interface Saved<I extends Inputs> {
  readonly inputs: I
  readonly output: Tensor
  /** Tensors that forward saved, in its order. */
  readonly extras: readonly Tensor[]
}

/** Definition of an operation: its checks, its forward pass and its backward pass. */
export interface OpDefinition<I extends Inputs, Options, Plan> {
  readonly name: string
  /** Number of leading inputs that cannot be omitted. Default 1 */
  readonly required?: number
  /** Kinds of the options of the operation. Default: `plan` checks them */
  readonly options?: Kinds<Options>
  /** Checks shapes and options on the CPU and returns everything that the launches need. @throws ShapeError, OptionError */
  plan(inputs: I, options: Options): Plan
  /** Launches the kernels that compute the output; may save tensors (`extras`) for backward. */
  forward(plan: Plan, inputs: I): Tensor | { readonly output: Tensor; readonly extras: readonly Tensor[] }
  /**
   * Launches the kernels that compute one gradient per input that `needs` one, in the tensor that `target` makes.
   */
  backward(
    plan: Plan,
    dy: Tensor,
    saved: Saved<I>,
    needs: readonly boolean[],
    target: Target,
  ): readonly (Tensor | undefined)[]
}

/** One executed operation, as `observeOps` reports it, with or without a gradient. */
export interface ExecutedOp {
  readonly name: string
  readonly inputs: Inputs
  readonly options: unknown
  readonly output: Tensor
}

const DEFINITION: Kinds<OpDefinition<Inputs, unknown, unknown>> = {
  name: TEXT,
  required: NUMBER,
  options: ANY,
  plan: FUNCTION,
  forward: FUNCTION,
  backward: FUNCTION,
}

const REQUIRED = ['name', 'plan', 'forward', 'backward'] as const

let enabled = true
let nextId = 1
let observer: ((executed: ExecutedOp) => void) | undefined

/**
 * Runs work without recording its operations on the tape, so it cannot be differentiated.
 *
 * @throws OptionError  if the work is async: its operations after the first await would be recorded
 */
export function noGrad<Result>(work: () => Result): Result {
  return finished('noGrad', unrecorded(work))
}

function unrecorded<Result>(work: () => Result): Result {
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

/** Adds a node to the tape, as the `node` of its output, and holds the tensors that it will read in backward. */
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

/** Returns the operation of a definition, an ordinary function of tensors and options that backward can differentiate. */
export function defineOp<I extends Inputs, Options, Plan>(
  definition: OpDefinition<I, Options, Plan>,
): (inputs: I, options: Options) => Tensor {
  checkOptions<OpDefinition<Inputs, unknown, unknown>>('defineOp', definition, DEFINITION, REQUIRED)
  return (inputs, options) => {
    const { name, required = 1, options: kinds } = definition
    if (!Array.isArray(inputs)) checkArgument(name, 'inputs', inputs, listOf(TENSOR))
    inputs.forEach((input, i) => {
      if (i < required || input !== undefined) checkArgument(name, `input ${i + 1}`, input, TENSOR)
    })
    if (kinds) checkOptions(name, options as Options & object, kinds)
    const plan = definition.plan(inputs, options)
    // Operations that they call are parts of this one, whose gradient is that of its own backward.
    const result = unrecorded(() => definition.forward(plan, inputs))
    const given = result instanceof Tensor ? { output: result, extras: [] } : result
    checkArgument(name, 'the result of forward', (given as Partial<typeof given> | undefined)?.output ?? given, RESULT)
    const { output: made, extras } = given
    // An input that is handed on keeps its own place on the tape.
    const output = inputs.includes(made) ? made.viewAs(made.shape) : made
    observer?.({ name, inputs, options, output })
    const needs = inputs.map((input) => enabled && input !== undefined && input.needsGrad)
    if (needs.some(Boolean)) {
      const saved = { inputs, output, extras }
      const backward: TapeNode['backward'] = (dy, target) =>
        unrecorded(() => definition.backward(plan, dy, saved, needs, target))
      remember({ name, inputs, output, extras, needs, backward })
    }
    return output
  }
}

/** Requires tensors of the same shape and type. @throws ShapeError, DtypeError  if they differ */
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
