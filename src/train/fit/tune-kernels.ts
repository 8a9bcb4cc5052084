import { tune, tunes, type TuneOptions } from '../../ops/convolution/tuner.ts'
import { noGrad } from '../../tensor/op.ts'
import { scope } from '../../tensor/scope.ts'
import type { FitState } from './state.ts'

/**
 * Before a fit on a GPU: lets the tuner choose the kernels of the model's convolutions, forward and both gradients, by
 * trying. One forward pass tells it the shapes; where all of them are known, that is all it costs.
 */
export async function tuneKernels({ loaders, model, precision }: FitState, options: TuneOptions): Promise<void> {
  if (!tunes(options)) return
  const batch = await loaders.oneBatch()
  try {
    // So that the running statistics stay as they are; the fit begins with `train()`.
    model.eval()
    scope(() => noGrad(() => void model.forward(batch.input(precision === 'mixed' ? 'f16' : 'f32'))))
  } finally {
    batch.release()
  }
  await tune({ gradients: true, ...options })
}
