/** Time of each kind of kernel in a training step, by the clock of the GPU. */
import { openGpu } from 'wgrad'
import { currentGpu, rng, useGpu } from 'wgrad/gpu'
import type { KernelTime } from './protocol.ts'
import { stepByHand } from './recipes/step.ts'

/** Steps that are timed after one that compiles. */
const TIMED_STEPS = 3

/** Times a training step; empty where the adapter has no clock. */
export async function timedLaunches(): Promise<readonly KernelTime[]> {
  const before = currentGpu()
  if (!before.features.has('timestamp-query')) return []
  const { size, batchSize } = before.software ? { size: 32, batchSize: 4 } : { size: 64, batchSize: 32 }
  const gpu = await openGpu({ profile: true })
  try {
    const step = stepByHand(noise(batchSize * size * size * 3), [batchSize, size, size, 3], classes(batchSize))
    await step()
    await gpu.profiler?.rows(gpu.platform)
    gpu.profiler?.reset()
    for (let i = 0; i < TIMED_STEPS; i++) await step()
    const rows = (await gpu.profiler?.rows(gpu.platform)) ?? []
    const totalMs = rows.reduce((sum, { timeMs }) => sum + timeMs, 0)
    const groups = new Map<string, KernelTime>()
    for (const { label, timeMs, flops, bytes } of rows) {
      const operation = label.split(' ')[0]
      const sum = groups.get(operation) ?? { operation, launches: 0, timeMs: 0, share: 0, flops: 0, bytes: 0 }
      groups.set(operation, {
        operation,
        launches: sum.launches + 1 / TIMED_STEPS,
        timeMs: sum.timeMs + timeMs / TIMED_STEPS,
        share: sum.share + timeMs / totalMs,
        flops: sum.flops + flops / TIMED_STEPS,
        bytes: sum.bytes + bytes / TIMED_STEPS,
      })
    }
    return [...groups.values()].sort((a, b) => b.timeMs - a.timeMs)
  } finally {
    gpu.close()
    useGpu(before)
  }
}

function noise(count: number): Float32Array {
  const random = rng(0, 'page')
  return Float32Array.from({ length: count }, () => random.normal())
}

function classes(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => i % 10)
}
