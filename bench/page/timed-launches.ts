/** Worker that times each kind of kernel in a training step, by the clock of the GPU. */
import { openGpu } from 'wgrad'
import { rng } from 'wgrad/gpu'
import { messageOf } from './dom.ts'
import { stepByHand } from './recipes/step.ts'

export interface KernelTime {
  readonly operation: string
  readonly launches: number
  readonly timeMs: number
  readonly share: number
  readonly flops: number
  readonly bytes: number
}

export type TimedMessage = { readonly kernels: readonly KernelTime[] } | { readonly error: string }

/** Steps that are timed after one that compiles. */
const TIMED_STEPS = 3

async function timedLaunches(): Promise<readonly KernelTime[]> {
  const gpu = await openGpu({ profile: true })
  const { size, batchSize } = gpu.software ? { size: 32, batchSize: 4 } : { size: 64, batchSize: 32 }
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
}

function noise(count: number): Float32Array {
  const random = rng(0, 'page')
  return Float32Array.from({ length: count }, () => random.normal())
}

function classes(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => i % 10)
}

const tell = (message: TimedMessage) => postMessage(message)

timedLaunches().then(
  (kernels) => tell({ kernels }),
  (error: unknown) => tell({ error: messageOf(error) }),
)
