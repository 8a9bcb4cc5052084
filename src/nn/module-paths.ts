import type { Tensor } from '../tensor/tensor.ts'
import type { Module } from './module.ts'
import { replaceForward } from './replace-forward.ts'

/** Returns the paths of a module ('' unless given) and of all below it. A module that is used in several places has the last one. */
export function modulePaths(module: Module, path = ''): Map<Module, string> {
  const paths = new Map([[module, path]])
  for (const [name, child] of module.children()) {
    for (const [below, its] of modulePaths(child, path === '' ? name : `${path}.${name}`)) paths.set(below, its)
  }
  return paths
}

/** One call of the `forward` of a module. */
export interface ForwardCall {
  readonly module: Module
  /** Path of the module in the model, '' for the model itself. */
  readonly path: string
  /** Runs the module's own `forward`. */
  run(): Tensor
}

/**
 * Does work during which every `forward` of a model and of the modules below it goes through `around`, whose result
 * replaces the output.
 *
 * @param work  synchronous: afterwards the modules are as before
 */
export function aroundForwards<Result>(
  model: Module,
  around: (call: ForwardCall) => Tensor,
  work: () => Result,
): Result {
  const restore = [...modulePaths(model)].map(([module, path]) =>
    replaceForward(
      module,
      (forward) =>
        (...given) =>
          around({ module, path, run: () => forward(...given) }),
    ),
  )
  try {
    return work()
  } finally {
    for (const each of restore) each()
  }
}
