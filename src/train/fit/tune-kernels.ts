import type { TuneOptions } from '../../ops/convolution/tuner.ts'
import { tunes } from '../../ops/convolution/tunes.ts'
import { noGrad } from '../../tensor/op.ts'
import { scope } from '../../tensor/scope.ts'
import type { FitState } from './state.ts'

/**
 * Times kernel variants for the model's convolutions, forward and both gradients, before a fit on a GPU. One forward
 * pass collects the shapes; if all of them have been tuned before, that pass is the only cost. An interrupted fit tunes no
 * further.
 */
export async function tuneKernels(state: FitState, options: TuneOptions): Promise<void> {
  const { loaders, model, precision } = state
  const stopped = (): boolean => state.interrupted
  if (stopped() || !tunes(options)) return
  const batch = await loaders.oneBatch()
  try {
    // Keeps the running statistics unchanged; the fit itself calls `train()`.
    model.eval()
    scope(() => noGrad(() => void model.forward(batch.input(precision === 'mixed' ? 'f16' : 'f32'))))
  } finally {
    batch.release()
  }
  // Loaded when it is needed: software adapters do without.
  const { tune } = await import('../../ops/convolution/tuner.ts')
  await tune({ gradients: true, stopped, ...options })
}
