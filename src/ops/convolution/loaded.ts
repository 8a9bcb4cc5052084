import { partWithGpu } from '../../tensor/load-with-gpu.ts'

/** Returns what an operation needs for convolutions with groups, dilation or bias. @throws DeviceError  if it has not arrived */
export const loaded = partWithGpu(() => import('./others.ts'))
