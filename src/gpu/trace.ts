import { formatBytes, formatRate, formatShape, formatTime } from '../base/format.ts'
import type { Platform } from '../platform/platform.ts'
import type { BufferPool } from './buffers.ts'
import type { Launch, Operand, TracedTensor } from './launch.ts'
import { MOST_LAUNCHES, type ProfileRow, type ReadRows } from './profile.ts'
import { shaderSource, type ShaderName } from './shader-source.ts'
import type { LookIndex, Statistics, Summary } from './statistics.ts'

/** Launch that summarizes an operand. */
export interface Look {
  readonly operand: Operand
  readonly index: LookIndex
  readonly launch: Launch
}

/** Encoded launch whose results are not yet known. */
interface Traced {
  readonly number: number
  readonly launch: Launch
  /** Bytes in use when it was encoded. */
  readonly usedBytes: number
  /** Looks at all operands, before the launch. */
  readonly before: readonly Look[]
  /** Looks at the operands that the launch has written. */
  readonly after: readonly Look[]
}

/**
 * Tracer that prints one line per launch (DEBUG=2), and with `statistics` a summary of all tensors that it writes (DEBUG=3):
 *
 *   #   142  conv2d/forward-tile [64,128,128,3] f16, 0.0.weight [32,3,3,3] f16 → [64,64,64,32] f16  410 µs  2.90 TFLOP/s …
 *           y [64,64,64,32] f16  mean 0.012143  std 0.99104  min -4.2031  max 4.7109  not finite 0
 *
 * A line is printed once the GPU has run the launch, at the latest before a read or `finished` ends. Replayed launches are
 * printed too, since they pass through the same queue. Trials of the tuner have a queue of their own and are not printed;
 * neither are copies, clears and uploads.
 *
 * A marker follows every launch that computes Inf or NaN from finite numbers; the first one is marked as such, and so is the
 * first launch that reads them. In mixed precision such a gradient is not a mistake: the loss scale is then too large, and
 * the optimizer skips the step.
 */
export class Tracer {
  /** Promise that is settled once all submitted launches are printed. */
  printed: Promise<void> = Promise.resolve()

  private readonly platform: Platform
  private readonly buffers: BufferPool
  private readonly statistics: Statistics | undefined
  private traced: Traced[] = []
  private number = 0
  private foundFirst = false

  constructor(platform: Platform, buffers: BufferPool, statistics: Statistics | undefined) {
    this.platform = platform
    this.buffers = buffers
    this.statistics = statistics
  }

  /** Returns true if the encoded launches must be submitted before this one. */
  isFull({ operands = [] }: Launch): boolean {
    return (
      this.traced.length === MOST_LAUNCHES ||
      (this.statistics !== undefined && this.statistics.room < 2 * operands.length)
    )
  }

  /** Returns a launch with its operands: shapes and names of the tensors that the caller binds. */
  withOperands(launch: Launch, shader: ShaderName, tensors: Readonly<Record<string, TracedTensor>>): Launch {
    const operands = shaderSource(shader).bindings.map(({ name: binding, access }) => {
      const { shape, dtype, name, view } = tensors[binding]
      return { binding, writes: access === 'read_write', tensor: { shape, dtype, name, view } }
    })
    return { ...launch, operands }
  }

  /** Adds a launch to the trace. @returns the looks that the caller must encode before and after it */
  trace(launch: Launch): { readonly before: readonly Look[]; readonly after: readonly Look[] } {
    const { operands = [] } = launch
    // Labels and counters are integers, which are always finite.
    const look = (operand: Operand): Look[] =>
      this.statistics && operand.tensor.dtype !== 'u32' ? [{ operand, ...this.statistics.look(operand.tensor) }] : []
    const before = operands.flatMap(look)
    const after = operands.filter(({ writes }) => writes).flatMap(look)
    this.traced.push({ number: ++this.number, launch, usedBytes: this.buffers.usedBytes, before, after })
    return { before, after }
  }

  /**
   * Ends the trace of a command buffer, just before its submit.
   *
   * @param readRows  function that reads the times of its launches; undefined if the adapter has no clock
   * @returns         function that the caller must call after the submit
   */
  resolve(encoder: GPUCommandEncoder, readRows: ReadRows | undefined): () => void {
    const { traced, platform } = this
    if (traced.length === 0) return () => {}
    const readLooks = this.statistics?.resolve(encoder)
    this.traced = []
    return () => {
      this.printed = this.printed.then(async () => {
        // After a failure of the GPU there is nothing to read. `Gpu.check` reports it; the launches are still printed.
        const rows = await readRows?.(platform).catch(() => undefined)
        const seen = await readLooks?.(platform).catch(() => undefined)
        traced.forEach((one, i) => {
          platform.log(launchLine(one, rows?.[i]))
          if (seen) for (const line of this.numberLines(one, seen)) platform.log(line)
        })
      })
    }
  }

  private numberLines({ before, after }: Traced, seen: (index: LookIndex) => Summary): string[] {
    const lines = after.map(
      ({ operand, index }) => `${INDENT}${operand.binding} ${formatShape(operand.tensor)}  ${summaryText(seen(index))}`,
    )
    const bad = (look: Look) => seen(look.index).others > 0
    const names = (looks: readonly Look[]) => looks.map(({ operand }) => operand.binding).join(', ')
    if (!after.some(bad)) return lines
    const read = before.filter((look) => !look.operand.writes && bad(look))
    // Old contents of a buffer matter only to a kernel that adds to it.
    const held = before.filter((look) => look.operand.writes && bad(look))
    const origin = `not finite, computed from finite numbers${held.length > 0 ? `, unless it adds to ${names(held)}, which was not finite before` : ''}`
    if (read.length === 0) lines.push(`${INDENT}^ ${this.foundFirst ? '' : 'first: '}${origin}`)
    else if (!this.foundFirst) {
      lines.push(
        `${INDENT}^ first: not finite, as ${names(read)} was before, by an upload or a copy and not by a launch`,
      )
    }
    this.foundFirst = true
    return lines
  }
}

const INDENT = ' '.repeat(8)

function launchLine({ number, launch, usedBytes }: Traced, row: ProfileRow | undefined): string {
  const { label, operands, flops, bytes } = launch
  const named = ({ tensor }: Operand) =>
    tensor.name === undefined ? formatShape(tensor) : `${tensor.name} ${formatShape(tensor)}`
  const list = (writes: boolean) =>
    (operands ?? [])
      .filter((operand) => operand.writes === writes)
      .map(named)
      .join(', ')
  return [
    // The sizes in a label are those of its operands.
    `#${String(number).padStart(6)}  ${operands ? [label.split(' ')[0], list(false), '→', list(true)].filter(Boolean).join(' ') : label}`,
    ...(row ? [formatTime(row.timeMs)] : []),
    ...(row && flops > 0 ? [formatRate(flops, row.timeMs, 'FLOP')] : []),
    ...(row ? [formatRate(bytes, row.timeMs, 'B')] : []),
    `pool ${formatBytes(usedBytes)}`,
  ].join('  ')
}

function summaryText({ finite, others, mean, std, min, max }: Summary): string {
  const number = (value: number) => (finite === 0 ? '–' : String(Number(value.toPrecision(5))))
  return `mean ${number(mean)}  std ${number(std)}  min ${number(min)}  max ${number(max)}  not finite ${others}`
}
