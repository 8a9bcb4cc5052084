import { OptionError } from '../base/errors.ts'
import { inEvaluation } from '../nn/in-evaluation.ts'
import type { Module } from '../nn/module.ts'
import { aroundForwards, type ForwardCall } from '../nn/module-paths.ts'
import { scope } from '../tensor/scope.ts'
import { noGrad, observeOps, type ExecutedOp } from '../tensor/op.ts'
import type { Shape } from '../tensor/shape.ts'
import { Tensor } from '../tensor/tensor.ts'
import { zeros } from '../tensor/read-write.ts'

/** One operation of a network. */
export interface TracedOp extends ExecutedOp {
  /** Path of the module whose `forward` executed it, '' for the network itself. */
  readonly path: string
}

/** Every operation between the input and the output of a network, in the order of execution. */
export interface Trace {
  readonly operations: readonly TracedOp[]
  readonly input: Tensor
  readonly output: Tensor
}

/**
 * Runs a network once, on zeros and in evaluation, and lists the operations that it executes.
 *
 * The numbers of the tensors in the list are released: the tensors only serve as identities.
 *
 * @param shape  [N,H,W,C] of the input
 * @throws OptionError  when `forward` does not return a tensor
 */
export function traceModel(model: Module, shape: Shape): Trace {
  return inEvaluation(model, () =>
    withPaths(model, (path) => {
      const operations: TracedOp[] = []
      let ends: Pick<Trace, 'input' | 'output'> | undefined
      scope(() =>
        noGrad(() => {
          const input = zeros(shape)
          const output = observeOps(
            (executed) => operations.push({ ...executed, path: path() }),
            () => model.forward(input),
          )
          if (!(output instanceof Tensor)) {
            throw new OptionError('exportOnnx', "the model's forward does not return a tensor")
          }
          ends = { input, output }
        }),
      )
      return { operations, ...(ends as Pick<Trace, 'input' | 'output'>) }
    }),
  )
}

/** Does work during which `path()` is the path of the innermost module whose `forward` is running. */
function withPaths<Result>(model: Module, work: (path: () => string) => Result): Result {
  const running: string[] = []
  const around = ({ path, run }: ForwardCall) => {
    running.push(path)
    try {
      return run()
    } finally {
      running.pop()
    }
  }
  return aroundForwards(model, around, () => work(() => running.at(-1) ?? ''))
}
