import type { Platform } from '../platform/platform.ts'
import type { BufferPool, PoolBuffer } from './buffers.ts'
import type { PipelineCache } from './pipeline-cache.ts'
import type { Launch, TracedTensor } from './launch.ts'
import { ReadBack } from './read-back.ts'
import './wgsl/debug/index.ts'

/** Statistics of a tensor at one moment. All except `others` refer to its finite numbers; NaN if there are none. */
export interface Summary {
  /** Number of finite numbers. */
  readonly finite: number
  /** Number of Inf and NaN. */
  readonly others: number
  readonly mean: number
  /** Standard deviation of the numbers, not an estimate: √(Σ(x - mean)² / finite). */
  readonly std: number
  readonly min: number
  readonly max: number
}

/** Index of a look, in the order of looks since the last submit. */
export type LookIndex = number

/** Number of threads per workgroup, and bytes that each writes, in shaders/debug/statistics.wgsl. */
const GROUP_THREADS = 64
const FOUND_BYTES = 32
/** Most workgroups of a look: enough that a large tensor takes a GPU milliseconds, few enough that their results are small. */
const MOST_GROUPS = 4
/** Bytes reserved for the results of a look. */
const LOOK_BYTES = MOST_GROUPS * GROUP_THREADS * FOUND_BYTES
/** Most looks between two submits: 4 MiB of results. */
const MOST_LOOKS = 512

/** Summaries of tensors between two launches, which are read after both are done. */
export class Statistics {
  private readonly readBack: ReadBack
  private readonly pipelines: PipelineCache
  private readonly found: PoolBuffer
  /** Number of threads of each look. */
  private looks: number[] = []

  /** @param own  pipelines and buffers of its own, so that looks change neither those nor the memory of the traced work */
  constructor(device: GPUDevice, own: { readonly pipelines: PipelineCache; readonly buffers: BufferPool }) {
    this.readBack = new ReadBack(device, 'statistics')
    this.pipelines = own.pipelines
    this.found = own.buffers.acquire(MOST_LOOKS * LOOK_BYTES, 'statistics')
  }

  /** Number of looks that still fit before the next submit. */
  get room(): number {
    return MOST_LOOKS - this.looks.length
  }

  /** Returns a launch that summarizes a tensor of f32 or f16 at the moment when the launch runs. */
  look({ shape, dtype, view }: TracedTensor): { readonly launch: Launch; readonly index: LookIndex } {
    const LAST = shape[shape.length - 1] ?? 1
    const STORED = Math.ceil(LAST / 4) * 4
    const COUNT = shape.slice(0, -1).reduce((product, axis) => product * axis, STORED)
    const groups = Math.min(MOST_GROUPS, Math.ceil(COUNT / GROUP_THREADS))
    const index = this.looks.length
    this.looks.push(groups * GROUP_THREADS)
    const found = { buffer: this.found, offset: index * LOOK_BYTES, size: groups * GROUP_THREADS * FOUND_BYTES }
    const launch = this.pipelines.prepare(
      'debug/statistics',
      { x: view, found },
      {
        groups,
        shape: { COUNT, STORED, LAST },
        constants: { HALF: dtype === 'f16' },
      },
    )
    return { launch, index }
  }

  /** Encodes the copy of the results, just before the submit. @returns a function that reads them after the submit */
  resolve(encoder: GPUCommandEncoder): (platform: Platform) => Promise<(index: LookIndex) => Summary> {
    const { looks } = this
    const bytes = Math.max(1, looks.length) * LOOK_BYTES
    const staged = this.readBack.stage(encoder, this.found.buffer, 0, bytes)
    this.looks = []
    // Each bind group is needed only once, since tensors change their buffers.
    this.pipelines.forgetBuffers()
    return async (platform) => {
      const numbers = await staged(platform)
      return (index) => summarise(new DataView(numbers, index * LOOK_BYTES, looks[index] * FOUND_BYTES))
    }
  }
}

/** Combines the results of all threads: counts, means and sums of squares, as in Chan, Golub & LeVeque 1979. */
function summarise(found: DataView): Summary {
  let [finite, others, mean, squares] = [0, 0, 0, 0]
  let [min, max] = [Infinity, -Infinity]
  for (let at = 0; at < found.byteLength; at += FOUND_BYTES) {
    others += found.getUint32(at + 4, true)
    const count = found.getUint32(at, true)
    if (count === 0) continue
    const [least, most, origin, sum, sumOfSquares] = [8, 12, 16, 20, 24].map((field) =>
      found.getFloat32(at + field, true),
    )
    min = Math.min(min, least)
    max = Math.max(max, most)
    const distance = origin + sum / count - mean
    squares += sumOfSquares - (sum * sum) / count + (distance * distance * finite * count) / (finite + count)
    finite += count
    mean += (distance * count) / finite
  }
  if (finite === 0) return { finite, others, mean: NaN, std: NaN, min: NaN, max: NaN }
  return { finite, others, mean, std: Math.sqrt(Math.max(0, squares) / finite), min, max }
}
