import type { BufferView } from '../gpu/buffers.ts'
import { currentGpu } from '../gpu/device.ts'
import type { Command, Recording } from '../gpu/queue.ts'

/** The first place where work, done again by the code that was recorded, is not what was recorded. */
export interface Difference {
  /** Number of the launch, copy or clear, from 1. */
  readonly place: number
  /** Kernel and shapes of the launch in the recording, and now. */
  readonly recorded: string
  readonly now: string
}

/** GPU work that was recorded once and can be done again without the code that recorded it. */
export interface RecordedWork {
  /** Does it all again, in the same buffers. What changes is written to buffers that the work reads, beforehand. */
  replay(): void
  /**
   * Does it by its code instead, in the same buffers, and compares what that launches with the recording. Tensors made
   * in the recorded work must have been released.
   */
  compare<Result>(work: () => Result): { readonly result: Result; readonly difference: Difference | undefined }
  /** Gives its buffers back. */
  close(): void
}

/**
 * Does work and records it. Every buffer it makes stays its own until `close`, so that a replay never writes to what
 * somebody else has got since; tensors made in it and kept are written anew by each replay.
 *
 * The work must launch the same every time: whatever it decides or writes on the CPU is not done again. If it wrote to
 * a buffer or read one, there is nothing to replay.
 */
export function recordWork<Result>(work: () => Result): {
  readonly result: Result
  readonly recorded: RecordedWork | undefined
} {
  const { buffers, queue } = currentGpu()
  const arena = buffers.openArena()
  const close = () => buffers.disband(arena)
  try {
    const { result, recording } = recordCommands(work)
    if (recording.broken) {
      close()
      return { result, recorded: undefined }
    }
    const compare: RecordedWork['compare'] = (again) => {
      buffers.reopenArena(arena)
      try {
        const { result, recording: fresh } = recordCommands(again)
        return { result, difference: firstDifference(recording, fresh) }
      } finally {
        buffers.closeArena()
      }
    }
    return { result, recorded: { replay: () => queue.replay(recording), compare, close } }
  } catch (error) {
    close()
    throw error
  } finally {
    buffers.closeArena()
  }
}

function recordCommands<Result>(work: () => Result): { readonly result: Result; readonly recording: Recording } {
  const { queue } = currentGpu()
  queue.startRecording()
  try {
    const result = work()
    return { result, recording: queue.stopRecording() }
  } catch (error) {
    queue.stopRecording()
    throw error
  }
}

function firstDifference(recorded: Recording, fresh: Recording): Difference | undefined {
  const [before, now] = [recorded.commands, fresh.commands]
  const length = Math.max(before.length, now.length)
  for (let i = 0; i < length; i++) {
    if (!sameCommand(before[i], now[i])) {
      return { place: i + 1, recorded: commandText(before, i), now: commandText(now, i) }
    }
  }
  // A replay would leave the write out.
  return fresh.broken
    ? { place: length, recorded: 'launches only', now: 'also a tensor that is written or read' }
    : undefined
}

/** True if two commands do the same: the same kernel in the same grid on the same buffers. */
function sameCommand(a: Command | undefined, b: Command | undefined): boolean {
  if (a?.kind === 'launch' && b?.kind === 'launch') {
    const [one, other] = [a.launch, b.launch]
    // The first bind group may have been forgotten and made again; the second, of sizes, is made once.
    return (
      one.pipeline === other.pipeline &&
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
