/** Parts of a module that concern its mode. */
interface HasMode {
  readonly training: boolean
  train(): unknown
  eval(): unknown
  /** Returns this module and all below it. */
  modules(): readonly HasMode[]
}

/** Returns a function that puts each module of a model back into its mode: a norm may be in evaluation while others train. */
export function rememberModes(model: HasMode): () => void {
  const modes = model.modules().map((module) => [module, module.training] as const)
  return () => {
    // Modules come before those below them, which they set as well.
    for (const [module, training] of modes) {
      if (training) module.train()
      else module.eval()
    }
  }
}

/**
 * Does work while a model is in evaluation mode, and puts its modules back into theirs.
 *
 * @param work  synchronous, so that a fit that is going on never sees the model in that mode
 */
export function inEvaluation<Result>(model: HasMode, work: () => Result): Result {
  const restore = rememberModes(model)
  model.eval()
  try {
    return work()
  } finally {
    restore()
  }
}
