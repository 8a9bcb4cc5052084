import { requireFits } from '../../tensor/scope.ts'
import { storedBytes } from '../../tensor/shape.ts'
import type { FitState } from './state.ts'

/**
 * Checks, before a fit begins, that the largest tensor the model makes for one batch fits into a GPU buffer.
 *
 * @throws DeviceError  if it does not; the message names the batch size that fits
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
