import { formatBytes, formatRate, formatShape, formatTime } from '../base/format.ts'
import type { Platform } from '../platform/platform.ts'
import type { BufferPool } from './buffers.ts'
import type { Launch, Operand, TracedTensor } from './launch.ts'
import { MOST_LAUNCHES, type ProfileRow, type ReadRows } from './profile.ts'
import { shaderSource, type ShaderName } from './shader-source.ts'
import type { LookIndex, Statistics, Summary } from './statistics.ts'

/** An operand that is looked at, and the launch that does it. */
interface Look {
  readonly operand: Operand
  readonly index: LookIndex
  readonly launch: Launch
}

/** A launch that was encoded and of which nothing is known yet. */
interface Traced {
  readonly number: number
  readonly launch: Launch
  /** Bytes in use at that moment. */
  readonly usedBytes: number
  /** At all operands, and then at those that it has written. */
  readonly before: readonly Look[]
  readonly after: readonly Look[]
}

/**
 * A line for every launch (DEBUG=2), and with `statistics` the numbers of everything that it writes (DEBUG=3):
 *
 *   #   142  conv2d/forward-tile [64,128,128,3] f16, 0.0.weight [32,3,3,3] f16 → [64,64,64,32] f16  410 µs  2.90 TFLOP/s …
 *           y [64,64,64,32] f16  mean 0.012143  std 0.99104  min -4.2031  max 4.7109  not finite 0
 *
 * Lines are printed when the GPU has done what they tell of, at the latest before a read or `finished` ends. A replayed
 * launch is printed as any other, as it passes through the same queue. What the tuner tries out has a queue of its own
 * and is not printed; neither are copies, clears and uploads.
 *
 * Every launch that makes numbers that are not finite of numbers that are is pointed at, and the first one as such; so
 * is the first that was given such. In mixed precision such a gradient is no mistake: the loss scale is then too large,
 * and the optimizer leaves the step out.
 */
export class Tracer {
  /** Settled when everything that was submitted is printed. */
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

  /** Whether what was encoded has to be submitted before this launch. */
  isFull({ operands = [] }: Launch): boolean {
    return (
      this.traced.length === MOST_LAUNCHES ||
      (this.statistics !== undefined && this.statistics.room < 2 * operands.length)
    )
  }

  /** A launch that knows its operands: their shapes and names, as `launch` (tensor/launch.ts) is given them. */
  withOperands(launch: Launch, shader: ShaderName, tensors: Readonly<Record<string, TracedTensor>>): Launch {
    const operands = shaderSource(shader).bindings.map(({ name: binding, access }) => {
      const { shape, dtype, name, view } = tensors[binding]
      return { binding, writes: access === 'read_write', tensor: { shape, dtype, name, view } }
    })
    return { ...launch, operands }
  }

  /** Called with every launch. @returns the looks that are to be encoded before and after it */
  trace(launch: Launch): { readonly before: readonly Look[]; readonly after: readonly Look[] } {
    const { operands = [] } = launch
    // Labels and counters are whole numbers: nothing of them could be other than finite.
    const look = (operand: Operand): Look[] =>
      this.statistics && operand.tensor.dtype !== 'u32' ? [{ operand, ...this.statistics.look(operand.tensor) }] : []
    const before = operands.flatMap(look)
    const after = operands.filter(({ writes }) => writes).flatMap(look)
    this.traced.push({ number: ++this.number, launch, usedBytes: this.buffers.usedBytes, before, after })
    return { before, after }
  }

  /**
   * Called with the command buffer that is about to be submitted.
   *
   * @param readRows  reads the times of its launches; absent where the adapter has no clock
   * @returns         to be called when it is submitted
   */
  resolve(encoder: GPUCommandEncoder, readRows: ReadRows | undefined): () => void {
    const { traced, platform } = this
    if (traced.length === 0) return () => {}
    const readLooks = this.statistics?.resolve(encoder)
    this.traced = []
    return () => {
      this.printed = this.printed.then(async () => {
        // Where the GPU has failed there is nothing to read: who waits for it is told so (Gpu.check), here the launches stay.
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
    // A kernel that writes anew does not mind what its buffer held before; one that adds to it does.
    const held = before.filter((look) => look.operand.writes && bad(look))
    const origin = `not finite, and made of numbers that are${held.length > 0 ? `, unless it adds to ${names(held)}, which held such before` : ''}`
    if (read.length === 0) lines.push(`${INDENT}^ ${this.foundFirst ? '' : 'first: '}${origin}`)
    else if (!this.foundFirst) {
      lines.push(
        `${INDENT}^ first: not finite, as ${names(read)} was before, which no launch made so: an upload or a copy did`,
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
    // What a label says of sizes, its operands say as well.
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
