import { DeviceError } from '../../base/errors.ts'
import { loadWithGpu } from '../../tensor/load-with-gpu.ts'
import type * as Others from './others.ts'

/** What convolutions with groups, dilation or bias need besides; undefined until a GPU has been opened. */
let others: typeof Others | undefined

loadWithGpu(async () => {
  others = await import('./others.ts')
})

/**
 * Returns what an operation needs for convolutions with groups, dilation or bias.
 *
 * @throws DeviceError  if it has not arrived, since the operation was imported after the GPU was opened
 */
export function loaded(operation: string): typeof Others {
  if (others) return others
  throw new DeviceError(operation, 'its kernels are not loaded yet', { fix: 'import it before the GPU is opened' })
}
