import type { Module } from './module.ts'

/**
 * Does work while a model is in evaluation mode, and puts it back into its mode.
 *
 * @param work  synchronous, so that a fit that is going on never sees the model in that mode
 */
export function inEvaluation<Result>(model: Module, work: () => Result): Result {
  const wasTraining = model.training
  model.eval()
  try {
    return work()
  } finally {
    if (wasTraining) model.train()
  }
}
