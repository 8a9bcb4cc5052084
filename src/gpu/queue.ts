import type { CompileBeside, KernelText, Platform } from '../platform/platform.ts'
import type { BufferView, PoolBuffer } from './buffers.ts'
import { encodeLaunch, type Kernel, type Launch } from './launch.ts'
import type { Profiler } from './profile.ts'
import { ReadBack, type StagedRead } from './read-back.ts'
import type { Tracer } from './trace.ts'

/** Launch, copy or clear as it was captured, which a replay encodes again. */
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

/** Reason of a wait for work that was held back when the GPU was closed. */
const DROPPED = 'the GPU was closed before this work was submitted'

/**
 * Function that throws the first error that the GPU has reported.
 *
 * @param cause  what work of the GPU rejected with: there is an error then in any case
 */
export type RaiseErrors = (cause?: unknown) => Promise<void>

/**
 * Queue of GPU work, in order of encoding. Launches are collected in one compute pass of one command buffer and submitted
 * together, by `submit` (once per training step) or by `write` and `read`, which need them done.
 *
 * A launch whose kernel is still being compiled is held back, and so is everything after it, until the kernel is ready; the
 * thread goes on meanwhile. The order of all work is that of the calls.
 */
export class Queue {
  /** Numbers of launches and submits so far. */
  readonly counts = { launches: 0, submits: 0 }

  private readonly device: GPUDevice
  private readonly platform: Platform
  /** Pause between two checks of a pending read: on a software adapter it costs nothing and frees a core. */
  private readonly sleepMs: number
  private readonly profiler: Profiler | undefined
  private readonly raiseErrors: RaiseErrors
  private readonly tracer: Tracer | undefined
  private readonly compileBeside: CompileBeside | undefined
  private encoder: GPUCommandEncoder | undefined
  private pass: GPUComputePassEncoder | undefined
  private readonly readBack: ReadBack
  private captured: { commands: Command[]; broken: boolean } | undefined
  /** Work in order that waits for kernels; undefined if nothing waits. */
  private held: (() => void)[] | undefined
  /** Kernels that held launches wait for. */
  private readonly compiling = new Set<Kernel>()
  /** Promise that is settled once no work is held back. */
  private released: Promise<void> = Promise.resolve()
  /** Ends the wait for what is dropped. */
  private drop = (): void => {}

  constructor(
    device: GPUDevice,
    platform: Platform,
    sleepMs: number,
    profiler: Profiler | undefined,
    raiseErrors: RaiseErrors,
    tracer?: Tracer,
    compileBeside?: CompileBeside,
  ) {
    this.device = device
    this.readBack = new ReadBack(device, 'read-back')
    this.platform = platform
    this.sleepMs = sleepMs
    this.profiler = profiler
    this.raiseErrors = raiseErrors
    this.tracer = tracer
    this.compileBeside = compileBeside
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
    if (!launch.kernel.pipeline) this.hold(launch.kernel)
    this.inOrder(() => {
      if (this.tracer) this.launchTraced(launch, this.tracer)
      else this.launchTimed(launch)
    })
  }

  copy(source: BufferView, target: BufferView): void {
    this.captured?.commands.push({ kind: 'copy', source, target })
    this.inOrder(() => {
      this.endPass()
      this.openEncoder().copyBufferToBuffer(
        source.buffer.buffer,
        source.offset,
        target.buffer.buffer,
        target.offset,
        source.size,
      )
    })
  }

  clear(view: BufferView): void {
    this.captured?.commands.push({ kind: 'clear', view })
    this.inOrder(() => {
      this.endPass()
      this.openEncoder().clearBuffer(view.buffer.buffer, view.offset, view.size)
    })
  }

  /** Writes data into a buffer, after all commands encoded so far and before all later ones. */
  write(target: PoolBuffer, offset: number, data: ArrayBufferView): void {
    if (this.captured) this.captured.broken = true
    // A write overtakes launches that are encoded but not submitted, so these are submitted first.
    this.submit()
    const { buffer, byteOffset, byteLength } = data
    // The caller may change its numbers as soon as this returns.
    const bytes = this.held ? buffer.slice(byteOffset, byteOffset + byteLength) : buffer
    const from = this.held ? 0 : byteOffset
    this.inOrder(() => this.device.queue.writeBuffer(target.buffer, offset, bytes, from, byteLength))
  }

  submit(): void {
    this.inOrder(() => this.submitEncoded())
  }

  /** Submits all work so far, and waits until none of it is held back. */
  async ready(): Promise<void> {
    this.submit()
    await this.released
  }

  /** Does work after everything so far: at once, or when what is held back is released. */
  inOrder(work: () => void): void {
    if (this.held) this.held.push(work)
    else work()
  }

  /** Drops what is held back, before the device is destroyed. */
  close(): void {
    this.held = undefined
    this.drop()
  }

  /** Holds back all further work until a kernel is ready. */
  private hold(kernel: Kernel): void {
    this.compiling.add(kernel)
    if (this.held) return
    this.held = []
    const dropped = new Promise<void>((resolve) => (this.drop = resolve))
    this.released = Promise.race([this.release(), dropped]).catch(this.raise)
    // An error of the GPU from now on, also where nothing waits for this work.
    this.released.catch(() => {})
  }

  /** Waits for all kernels, also those that are asked for meanwhile, and does what was held back. */
  private async release(): Promise<void> {
    const compiled: KernelText[] = []
    while (this.compiling.size > 0) {
      const kernels = [...this.compiling]
      await this.platform.waitFor(Promise.all(kernels.map(({ ready }) => ready)), { sleepMs: this.sleepMs })
      for (const kernel of kernels) {
        this.compiling.delete(kernel)
        compiled.push(kernel.text)
      }
    }
    const work = this.held ?? []
    this.held = undefined
    for (const one of work) one()
    // Without work the GPU was closed meanwhile.
    if (work.length > 0 && this.compileBeside) void this.watchFirstLaunches(compiled, this.compileBeside)
  }

  /** Lets a driver that compiles kernels as they are launched do it beside the launches just submitted. */
  private async watchFirstLaunches(kernels: readonly KernelText[], compileBeside: CompileBeside): Promise<void> {
    let over = false
    const launched = this.platform.waitFor(this.device.queue.onSubmittedWorkDone(), { sleepMs: this.sleepMs })
    // A kernel that is not compiled beside is compiled at its launch.
    void compileBeside(kernels, () => over).catch(() => 0)
    // A lost device is reported by the next check.
    await launched.catch(() => undefined)
    over = true
  }

  private submitEncoded(): void {
    if (!this.encoder) return
    this.endPass()
    const readRows = this.profiler?.resolve(this.encoder)
    const print = this.tracer?.resolve(this.encoder, readRows)
    this.device.queue.submit([this.encoder.finish()])
    this.encoder = undefined
    this.counts.submits++
    print?.()
  }

  /** Returns the bytes of a view after all earlier work is done. @throws the first error that the GPU has reported */
  async read(view: BufferView): Promise<ArrayBuffer> {
    if (this.captured) this.captured.broken = true
    let staged: StagedRead | undefined
    this.inOrder(() => {
      this.endPass()
      staged = this.readBack.stage(this.openEncoder(), view.buffer.buffer, view.offset, view.size)
      this.submitEncoded()
    })
    await this.released
    return this.checked(staged?.(this.platform, { sleepMs: this.sleepMs }) ?? Promise.reject(new Error(DROPPED)))
  }

  /** Destroys the buffers of reads that are over. */
  trim(): void {
    this.readBack.trim()
  }

  /** Submits and waits for all work. @throws the first error that the GPU has reported */
  async finished(): Promise<void> {
    await this.ready()
    await this.checked(this.platform.waitFor(this.device.queue.onSubmittedWorkDone(), { sleepMs: this.sleepMs }))
  }

  /** Submits all work so far. @returns a function that waits for this work and throws as `finished` does */
  fence(): () => Promise<void> {
    this.submit()
    let done: Promise<unknown> | undefined
    this.inOrder(() => {
      // Waited for from now on: a pending promise without a waiter keeps the binding spinning (platform/node/gpu.ts).
      done = this.platform.waitFor(this.device.queue.onSubmittedWorkDone(), { sleepMs: this.sleepMs })
      // A lost device is reported by the next check.
      done.catch(() => {})
    })
    const { released } = this
    return async () => {
      await released
      await this.checked(done ?? Promise.reject(new Error(DROPPED)))
    }
  }

  /** Waits for work. @throws the first error that the GPU has reported, in place of what the work rejects with */
  private async checked<Result>(work: Promise<Result>): Promise<Result> {
    const result = await work.catch(this.raise)
    await this.raiseErrors()
    return result
  }

  private readonly raise = async (cause: unknown): Promise<never> => {
    await this.raiseErrors(cause ?? 'it was given up')
    throw cause
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
