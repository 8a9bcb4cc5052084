import type { Gpu } from '../../src/gpu/device.ts'
import { launchedPasses, settledKernel, type SizedPass } from '../../src/ops/convolution/choices.ts'

/** Returns the passes launched so far for which no kernel variant is settled: those that the tuner would measure. */
export function unknownPasses(gpu: Gpu): readonly SizedPass[] {
  return launchedPasses(gpu).filter((subject) => !settledKernel(gpu, subject))
}
