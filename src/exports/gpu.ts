/**
 * `wgrad/gpu`: the device, the platform behind it, and the choice of kernels.
 *
 * @module wgrad/gpu
 */

export { tune, type Tuned, type TuneOptions } from '../ops/convolution/tuner.ts'
export { exportChoices, importChoices } from '../ops/convolution/choices.ts'
export { currentGpu, openGpuOn, useGpu, type GpuOptions } from '../gpu/device.ts'
export type { Files, Platform } from '../platform/platform.ts'
export type { Pixels } from '../image/pixels.ts'
export { rng, type Rng } from '../base/rng.ts'
export type { Json } from '../base/json.ts'
