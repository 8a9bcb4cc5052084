import { OptionError } from '../base/errors.ts'
import type { Module } from '../nn/module.ts'
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
  const wasTraining = model.training
  model.eval()
  try {
    return withPaths(model, (path) => {
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
    })
  } finally {
    if (wasTraining) model.train()
  }
}

/** Does work during which `path()` is the path of the innermost module whose `forward` is running. */
function withPaths<Result>(model: Module, work: (path: () => string) => Result): Result {
  const running: string[] = []
  const restore: (() => void)[] = []
  for (const [module, path] of modulePaths(model)) {
    const own = Object.getOwnPropertyDescriptor(module, 'forward')
    const forward = module.forward.bind(module)
    // Some take more than the input, such as BatchNorm.
    module.forward = (...given) => {
      running.push(path)
      try {
        return forward(...given)
      } finally {
        running.pop()
      }
    }
    restore.push(() => {
      if (own) Object.defineProperty(module, 'forward', own)
      else delete (module as Partial<Module>).forward
    })
  }
  try {
    return work(() => running.at(-1) ?? '')
  } finally {
    for (const each of restore) each()
  }
}

/** Paths of a module and all below it. A module that is used in several places has the last path. */
function modulePaths(module: Module, path = ''): Map<Module, string> {
  const paths = new Map([[module, path]])
  for (const [name, child] of module.children()) {
    for (const [below, its] of modulePaths(child, path === '' ? name : `${path}.${name}`)) paths.set(below, its)
  }
  return paths
}
