import type { Platform } from '../platform/platform.ts'
import type { BufferView, PoolBuffer } from './buffers.ts'
import { encodeLaunch, type Launch } from './launch.ts'
import type { Profiler } from './profile.ts'
import { ReadBack } from './read-back.ts'
import type { Tracer } from './trace.ts'

export type Command =
  | { readonly kind: 'launch'; readonly launch: Launch }
  | { readonly kind: 'copy'; readonly source: BufferView; readonly target: BufferView }
  | { readonly kind: 'clear'; readonly view: BufferView }

/**
 * Launches, copies and clears in the order of their encoding, which can be encoded again without the code that made
 * them. Values that change from one replay to the next are written to buffers that the commands read, before `replay`.
 */
export interface CapturedCommands {
  readonly commands: readonly Command[]
  /** True if a buffer was written or read during the capture: a replay would lack those writes and reads. */
  readonly broken: boolean
}

/**
 * Work for the GPU in the order it is given. Launches gather in one compute pass of one command buffer and are
 * submitted together, by `submit` (once a training step) or when something needs them done (`write`, `read`).
 */
export class Queue {
  /** How often each happened, for the figures of a step. */
  readonly counts = { launches: 0, submits: 0 }

  private readonly device: GPUDevice
  private readonly platform: Platform
  /** Waiting between two looks at a pending read: costs a software adapter nothing and gives it back the core. */
  private readonly sleepMs: number
  private readonly profiler: Profiler | undefined
  private readonly raiseErrors: () => Promise<void>
  private readonly tracer: Tracer | undefined
  private encoder: GPUCommandEncoder | undefined
  private pass: GPUComputePassEncoder | undefined
  private readonly readBack: ReadBack
  private captured: { commands: Command[]; broken: boolean } | undefined

  constructor(
    device: GPUDevice,
    platform: Platform,
    sleepMs: number,
    profiler: Profiler | undefined,
    raiseErrors: () => Promise<void>,
    tracer?: Tracer,
  ) {
    this.device = device
    this.readBack = new ReadBack(device, 'read-back')
    this.platform = platform
    this.sleepMs = sleepMs
    this.profiler = profiler
    this.raiseErrors = raiseErrors
    this.tracer = tracer
  }

  /** Starts a capture: later commands are encoded as usual and also kept, until `stopCapture`. */
  startCapture(): void {
    this.captured = { commands: [], broken: false }
  }

  /** Ends the capture and returns its commands. */
  stopCapture(): CapturedCommands {
    if (!this.captured) throw new Error('stopCapture: none was started')
    const done = this.captured
    this.captured = undefined
    return done
  }

  /** Encodes captured commands again. */
  replay({ commands }: CapturedCommands): void {
    for (const command of commands) {
      if (command.kind === 'launch') this.launch(command.launch)
      else if (command.kind === 'copy') this.copy(command.source, command.target)
      else this.clear(command.view)
    }
  }

  launch(launch: Launch): void {
    this.captured?.commands.push({ kind: 'launch', launch })
    this.counts.launches++
    if (this.tracer) this.launchTraced(launch, this.tracer)
    else this.launchTimed(launch)
  }

  copy(source: BufferView, target: BufferView): void {
    this.captured?.commands.push({ kind: 'copy', source, target })
    this.endPass()
    this.openEncoder().copyBufferToBuffer(
      source.buffer.buffer,
      source.offset,
      target.buffer.buffer,
      target.offset,
      source.size,
    )
  }

  clear(view: BufferView): void {
    this.captured?.commands.push({ kind: 'clear', view })
    this.endPass()
    this.openEncoder().clearBuffer(view.buffer.buffer, view.offset, view.size)
  }

  /** Writes data into a buffer after everything recorded so far and before everything recorded later. */
  write(target: PoolBuffer, offset: number, data: ArrayBufferView): void {
    if (this.captured) this.captured.broken = true
    // A write overtakes launches that are recorded but not submitted, so these go first.
    this.submit()
    this.device.queue.writeBuffer(target.buffer, offset, data.buffer, data.byteOffset, data.byteLength)
  }

  submit(): void {
    if (!this.encoder) return
    this.endPass()
    const readRows = this.profiler?.resolve(this.encoder)
    const print = this.tracer?.resolve(this.encoder, readRows)
    this.device.queue.submit([this.encoder.finish()])
    this.encoder = undefined
    this.counts.submits++
    print?.()
  }

  /** The bytes of a view once everything before is done. @throws what the GPU reported meanwhile. */
  async read(view: BufferView): Promise<ArrayBuffer> {
    if (this.captured) this.captured.broken = true
    this.endPass()
    const staged = this.readBack.stage(this.openEncoder(), view.buffer.buffer, view.offset, view.size)
    this.submit()
    try {
      return await staged(this.platform, { sleepMs: this.sleepMs })
    } finally {
      await this.raiseErrors()
    }
  }

  /** Waits until everything submitted is done. @throws what the GPU reported meanwhile. */
  async finished(): Promise<void> {
    this.submit()
    await this.platform.waitFor(this.device.queue.onSubmittedWorkDone(), { sleepMs: this.sleepMs })
    await this.raiseErrors()
  }

  /** Marks everything recorded so far; what it returns waits until the GPU has done that much. @throws as `finished` */
  fence(): () => Promise<void> {
    this.submit()
    // Waited for from now on: a pending promise that nobody waits for keeps the binding spinning (platform/node/gpu.ts).
    const done = this.platform.waitFor(this.device.queue.onSubmittedWorkDone(), { sleepMs: this.sleepMs })
    // A lost device is reported by whoever asks next.
    done.catch(() => {})
    return async () => {
      await done
      await this.raiseErrors()
    }
  }

  private launchTraced(launch: Launch, tracer: Tracer): void {
    if (tracer.isFull(launch)) this.submit()
    const { before, after } = tracer.trace(launch)
    for (const look of before) this.dispatch(look.launch)
    this.launchTimed(launch)
    for (const look of after) this.dispatch(look.launch)
  }

  private launchTimed(launch: Launch): void {
    if (!this.profiler) return this.dispatch(launch)
    // Timestamps bracket passes, so a timed launch has a pass of its own.
    this.endPass()
    this.dispatch(launch, this.profiler.passFor(launch))
    this.endPass()
  }

  private dispatch(launch: Launch, descriptor: GPUComputePassDescriptor = {}): void {
    this.pass ??= this.openEncoder().beginComputePass(descriptor)
    encodeLaunch(this.pass, launch)
  }

  private openEncoder(): GPUCommandEncoder {
    this.encoder ??= this.device.createCommandEncoder()
    return this.encoder
  }

  private endPass(): void {
    this.pass?.end()
    this.pass = undefined
  }
}
