import { currentGpu } from '../gpu/device.ts'

/** GPU work that was recorded once and can be done again without the code that recorded it. */
export interface RecordedWork {
  /** Does it all again, in the same buffers. What changes is written to buffers that the work reads, beforehand. */
  replay(): void
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
export function recordWork<Result>(work: () => Result): { readonly result: Result; readonly recorded: RecordedWork | undefined } {
  const { buffers, queue } = currentGpu()
  const arena = buffers.openArena()
  queue.startRecording()
  try {
    const result = work()
    const recording = queue.stopRecording()
    const close = () => buffers.disband(arena)
    if (!recording.broken) return { result, recorded: { replay: () => queue.replay(recording), close } }
    close()
    return { result, recorded: undefined }
  } catch (error) {
    queue.stopRecording()
    buffers.disband(arena)
    throw error
  } finally {
    buffers.closeArena()
  }
}
