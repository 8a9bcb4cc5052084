import { requireFits } from '../../tensor/scope.ts'
import { storedBytes } from '../../tensor/shape.ts'
import type { FitState } from './state.ts'

/**
 * Looks for the largest tensor that the model will make of a batch: too large is better known before a fit than in it.
 *
 * @throws DeviceError  with the batch size that fits
 */
export async function requireBatchFits({ loaders, model, precision }: FitState): Promise<void> {
  const dtype = precision === 'mixed' ? 'f16' : 'f32'
  const input = await loaders.inputShape()
  const specs = [input, ...model.describe(input).map(({ output }) => output)].map(
    (shape) => ({ shape, dtype }) as const,
  )
  requireFits(
    'fit',
    specs.reduce((largest, spec) => (storedBytes(spec) > storedBytes(largest) ? spec : largest)),
  )
}
