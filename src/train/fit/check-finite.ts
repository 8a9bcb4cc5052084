import type { StateTensor } from '../../nn/parameter.ts'
import { launch } from '../../tensor/launch.ts'
import { allocateWithin, keep, release } from '../../tensor/scope.ts'
import { read, zeros } from '../../tensor/read-write.ts'
import '../../gpu/wgsl/optim/check-finite.ts'

/** Distance from one flag to the next, in u32: 256 bytes, the alignment of a binding. */
const FLAG_STRIDE = 64

/**
 * Returns the parameters and running statistics that contain Inf or NaN. Costs one small launch per tensor and one
 * read-back.
 */
export async function notFinite(states: readonly StateTensor[]): Promise<StateTensor[]> {
  const flags = keep(zeros([Math.max(1, states.length), FLAG_STRIDE], 'u32'))
  try {
    states.forEach(({ value }, i) => {
      const foundInfinity = allocateWithin(flags, { shape: [], dtype: 'u32' }, i * FLAG_STRIDE * 4)
      launch('optim/check-finite', { x: value, foundInfinity }, { groups: 1, track: 'optimizer' })
    })
    const found = await read(flags)
    return states.filter((_, i) => found[i * FLAG_STRIDE] === 1)
  } finally {
    release(flags)
  }
}
