import { formatBytes, formatTime } from '../src/base/format.ts'
import { formatTable } from '../src/base/table.ts'
import { profileTable, type ProfileRow } from '../src/gpu/profile.ts'
import { recordWork } from '../src/tensor/recording.ts'
import {
  adam, backward, crossEntropy, keep, LossScaler, openGpu, rng, scope, tensor, xresnet18, xresnet50, type Gpu, type Module,
} from '../src/node.ts'

/** A whole training step: forward, backward and optimizer on a batch that lies on the GPU. */
interface StepCase {
  readonly model: 'xresnet18' | 'xresnet50'
  readonly batchSize: number
  readonly size: number
  readonly precision: 'mixed' | 'f32'
}

export interface StepRow extends StepCase {
  /** From an empty process to the end of the first step: compiling included. */
  readonly firstMs: number
  readonly medianMs: number
  readonly fastestMs: number
  readonly slowestMs: number
  /** Of the launches by the GPU's clock, profiled in further steps. */
  readonly kernelsMs: number
  /** Of the thread that records: running the TypeScript of a step, and encoding its recording again. */
  readonly recordingMs: number
  readonly replayMs: number
  readonly flops: number
  readonly launches: number
  readonly pipelines: number
  readonly poolBytes: number
  readonly residentBytes: number
}

/** The network of the peers' benchmarks, so that the figures can be laid side by side. */
export const STEPS: readonly StepCase[] = [
  { model: 'xresnet18', batchSize: 16, size: 64, precision: 'mixed' },
  { model: 'xresnet18', batchSize: 16, size: 64, precision: 'f32' },
]

const WARM_UP = 2
const ROUNDS = 9

/** Times one case on a device of its own, so that memory and pipelines are its alone. */
export async function measureStep(item: StepCase): Promise<{ readonly row: StepRow; readonly profile: string }> {
  const { step, launchStep, gpu, close } = await prepare(item, false)
  const begun = performance.now()
  step()
  await gpu.queue.finished()
  const firstMs = performance.now() - begun
  let launches = 0
  const timed = async (work: () => void) => {
    const whole: number[] = []
    const own: number[] = []
    for (let round = -WARM_UP; round < ROUNDS; round++) {
      const before = gpu.queue.counts.launches
      const start = performance.now()
      work()
      const given = performance.now()
      await gpu.queue.finished()
      if (round < 0) continue
      whole.push(performance.now() - start)
      own.push(given - start)
      launches = gpu.queue.counts.launches - before
    }
    return { whole: whole.sort((a, b) => a - b), own: own.sort((a, b) => a - b) }
  }
  const plain = await timed(step)
  const { recorded } = recordWork(launchStep)
  if (!recorded) throw new Error('bench step: a step wrote to a buffer, so it cannot be replayed')
  const { whole: times, own } = await timed(() => {
    recorded.replay()
    gpu.queue.submit()
  })
  const measured = { launches, pipelines: gpu.kernels.count, poolBytes: gpu.buffers.peakUsedBytes, residentBytes: process.memoryUsage().rss }
  close()
  const rows = await profileStep(item)
  return {
    row: {
      ...item, firstMs, medianMs: median(times), fastestMs: times[0], slowestMs: times[times.length - 1],
      kernelsMs: rows.reduce((sum, { timeMs }) => sum + timeMs, 0) / PROFILED,
      recordingMs: median(plain.own),
      replayMs: median(own),
      flops: rows.reduce((sum, { flops }) => sum + flops, 0) / PROFILED,
      ...measured,
    },
    profile: profileTable(rows),
  }
}

export function stepTable(rows: readonly StepRow[]): string {
  const head = ['training step', 'median', 'spread', 'kernels', 'recording', 'replay', 'first', 'rate', 'images/s', 'launches', 'pipelines', 'GPU memory', 'process']
  return formatTable([head, ...rows.map((row) => [
    `${row.model} [${row.batchSize},${row.size},${row.size},3] ${row.precision}`,
    formatTime(row.medianMs), `${formatTime(row.fastestMs)} – ${formatTime(row.slowestMs)}`, formatTime(row.kernelsMs), formatTime(row.recordingMs), formatTime(row.replayMs),
    formatTime(row.firstMs), `${(row.flops / row.medianMs / 1e6).toFixed(1)} GFLOP/s`, ((row.batchSize / row.medianMs) * 1000).toFixed(1),
    String(row.launches), String(row.pipelines), formatBytes(row.poolBytes), formatBytes(row.residentBytes),
  ])])
}

const PROFILED = 3

async function profileStep(item: StepCase): Promise<readonly ProfileRow[]> {
  const { step, gpu, close } = await prepare(item, true)
  step()
  await gpu.queue.finished()
  await gpu.profiler?.rows(gpu.platform)
  gpu.profiler?.reset()
  for (let i = 0; i < PROFILED; i++) step()
  await gpu.queue.finished()
  const rows = [...(await gpu.profiler?.rows(gpu.platform) ?? [])]
  close()
  return rows
}

async function prepare({ model, batchSize, size, precision }: StepCase, profile: boolean): Promise<{ step: () => void; launchStep: () => void; gpu: Gpu; close: () => void }> {
  const gpu = await openGpu({ profile })
  const network: Module = { xresnet18, xresnet50 }[model]()
  const optimizer = adam()([network.parameters()])
  const mixed = precision === 'mixed'
  if (mixed) optimizer.keepHalves()
  const scaler = new LossScaler({ mixed })
  const random = rng(0, 'bench step')
  const pixels = Float32Array.from({ length: batchSize * size * size * 3 }, () => random.normal())
  const x = keep(tensor(pixels, [batchSize, size, size, 3], mixed ? 'f16' : 'f32'))
  const labels = keep(tensor(Uint32Array.from({ length: batchSize }, () => random.integer(0, 9)), [batchSize], 'u32'))
  const loss = crossEntropy()
  const launchStep = () => {
    scope(() => backward(loss.mean(network.forward(x), { a: labels }), scaler.scale))
    optimizer.step(scaler)
    optimizer.zeroGradients()
  }
  const step = () => {
    launchStep()
    gpu.queue.submit()
  }
  const close = () => {
    optimizer.close()
    scaler.close()
    gpu.close()
  }
  return { step, launchStep, gpu, close }
}

function median(sorted: readonly number[]): number {
  return sorted[sorted.length >> 1]
}
