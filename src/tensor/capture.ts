import type { BufferView } from '../gpu/buffers.ts'
import { currentGpu } from '../gpu/device.ts'
import type { CapturedCommands, Command } from '../gpu/queue.ts'

/** First place where work that was run again by its code differs from its capture. */
export interface Difference {
  /** Number of the launch, copy or clear, from 1. */
  readonly place: number
  /** Kernel and shapes of the captured launch. */
  readonly captured: string
  /** Kernel and shapes of the launch that was made in its place. */
  readonly now: string
}

/** GPU work that was captured once and can be run again without the code that launched it. */
export interface Capture {
  /** Runs all of it again, in the same buffers. Values that change are written to the buffers that it reads, beforehand. */
  replay(): void
  /**
   * Runs the code of the work instead, in the same buffers, and compares its launches with the capture. Tensors made in
   * the captured work must have been released.
   */
  compare<Result>(work: () => Result): { readonly result: Result; readonly difference: Difference | undefined }
  /** Returns its buffers to the pool. */
  close(): void
}

/**
 * Runs work and captures its launches, copies and clears. Every buffer acquired in it is reserved until `close`, so that
 * a replay never overwrites a buffer that was since acquired elsewhere; tensors that the work keeps are overwritten by
 * each replay.
 *
 * The work must launch the same commands every time: its decisions and writes on the CPU are not repeated.
 *
 * @returns the result, and the capture; undefined if the work wrote to a buffer or read one, which a replay cannot repeat
 */
export function capture<Result>(work: () => Result): {
  readonly result: Result
  readonly captured: Capture | undefined
} {
  const { buffers, queue } = currentGpu()
  const arena = buffers.openArena()
  const close = () => buffers.disband(arena)
  try {
    const { result, commands } = captureCommands(work)
    if (commands.broken) {
      close()
      return { result, captured: undefined }
    }
    const compare: Capture['compare'] = (again) => {
      buffers.reopenArena(arena)
      try {
        const { result, commands: fresh } = captureCommands(again)
        return { result, difference: firstDifference(commands, fresh) }
      } finally {
        buffers.closeArena()
      }
    }
    return { result, captured: { replay: () => queue.replay(commands), compare, close } }
  } catch (error) {
    close()
    throw error
  } finally {
    buffers.closeArena()
  }
}

function captureCommands<Result>(work: () => Result): {
  readonly result: Result
  readonly commands: CapturedCommands
} {
  const { queue } = currentGpu()
  queue.startCapture()
  try {
    const result = work()
    return { result, commands: queue.stopCapture() }
  } catch (error) {
    queue.stopCapture()
    throw error
  }
}

function firstDifference(captured: CapturedCommands, fresh: CapturedCommands): Difference | undefined {
  const [before, now] = [captured.commands, fresh.commands]
  const length = Math.max(before.length, now.length)
  for (let i = 0; i < length; i++) {
    if (!sameCommand(before[i], now[i])) {
      return { place: i + 1, captured: commandText(before, i), now: commandText(now, i) }
    }
  }
  // A replay would leave the write out.
  return fresh.broken
    ? { place: length, captured: 'launches only', now: 'also a tensor that is written or read' }
    : undefined
}

/** Returns true if two commands are equal: the same kernel in the same grid on the same buffers. */
function sameCommand(a: Command | undefined, b: Command | undefined): boolean {
  if (a?.kind === 'launch' && b?.kind === 'launch') {
    const [one, other] = [a.launch, b.launch]
    // The first bind group may have been evicted and made again; the second, of sizes, is made once.
    return (
      one.kernel === other.kernel &&
      one.buffers === other.buffers &&
      one.groups[1] === other.groups[1] &&
      sameItems(one.grid, other.grid)
    )
  }
  if (a?.kind === 'copy' && b?.kind === 'copy') return sameView(a.source, b.source) && sameView(a.target, b.target)
  return a?.kind === 'clear' && b?.kind === 'clear' && sameView(a.view, b.view)
}

function sameItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i])
}

function sameView(a: BufferView, b: BufferView): boolean {
  return a.buffer === b.buffer && a.offset === b.offset && a.size === b.size
}

function commandText(commands: readonly Command[], place: number): string {
  const command = commands[place]
  if (!command) return 'none'
  if (command.kind === 'launch') return command.launch.label
  const before = commands.slice(0, place).findLast(({ kind }) => kind === 'launch')
  return before?.kind === 'launch' ? `${command.kind} after ${before.launch.label}` : command.kind
}
