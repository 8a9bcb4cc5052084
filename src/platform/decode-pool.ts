/**
 * Decoding on several threads, as far as Node and the browser have it in common. Each supplies its own worker as a
 * `DecodeThread`; who gets which image, in which order, and what happens when a worker dies is decided here.
 */
import { requireInteger } from '../base/check.ts'
import { DataError, DecodeError, DeviceError, OptionError, type WgradError } from '../base/errors.ts'
import type { DecodePool, DecodeRequest } from './platform.ts'
import type { Pixels } from '../image/pixels.ts'

/** Message to a worker. It reads the file itself where it can; where only the page can, the message holds the bytes. */
export interface DecodeJob extends DecodeRequest {
  /** File of a page, a Blob, whose bytes the worker reads. */
  readonly blob?: unknown
}

/**
 * Message from a worker: once that it runs, then for every job, in order, its pixels, the fault of the file, or `unread` where
 * the message with the job or that with its pixels could not be read (the event `messageerror`), as without memory for it.
 */
export type DecodeReply = 'ready' | 'unread' | Pixels | { readonly error: string; readonly kind: string }

/** A worker as the pool sees it. */
export interface DecodeThread {
  post(job: DecodeJob): void
  /** True while it has work: the program has to stay alive for it, and afterwards it may end. */
  hold(busy: boolean): void
  stop(): Promise<void>
}

/** Starts a worker; `ended` says why it stopped without having been asked to. */
export type StartThread = (events: { reply(reply: DecodeReply): void; ended(reason: string): void }) => DecodeThread

/** One image under way or waiting. */
interface Task {
  readonly job: DecodeJob
  resolve(pixels: Pixels): void
  reject(error: WgradError): void
}

/** A thread and its jobs: the first is being decoded, so it is the one to blame when the thread dies. */
interface Seat {
  readonly thread: DecodeThread
  jobs: Task[]
  started: boolean
}

/** Two jobs a thread: the next is already there when one is done. More would only bind images to a slow thread. */
const JOBS_PER_THREAD = 2

/** Decoding where no thread can be started. */
export interface Instead {
  decode(job: DecodeJob): Promise<Pixels>
  /** Called once, with the reason. */
  say(reason: string): void
}

/** Decodes on up to `threads` workers, which start with the first image and hold the program only while they work. */
export class ThreadedDecodePool implements DecodePool {
  readonly threads: number
  private readonly start: StartThread
  /** Decodes without threads, where none can be started; undefined makes that an error. */
  private readonly instead: Instead | undefined
  /** Threads that can be started: fewer than `threads` where the system allows no more. */
  private most: number
  private seats: Seat[] = []
  private queue: Task[] = []
  private withoutThreads = false

  constructor(threads: number, start: StartThread, instead?: Instead) {
    this.threads = threads
    this.most = threads
    this.start = start
    this.instead = instead
  }

  decode(request: DecodeJob): Promise<Pixels> {
    if (this.withoutThreads && this.instead) return this.instead.decode(request)
    const job = { ...request, bytes: alone(request.bytes) }
    return new Promise((resolve, reject) => {
      this.queue.push({ job, resolve, reject })
      this.distribute()
    })
  }

  /** Stops the workers; unfinished images are refused. A later decode starts new workers. */
  async close(): Promise<void> {
    const stopped = this.seats
    this.seats = []
    const closed = (): WgradError =>
      new DeviceError('decode', 'the decoding threads were closed before this image was done')
    for (const task of [...stopped.flatMap((seat) => seat.jobs), ...this.queue.splice(0)]) task.reject(closed())
    await Promise.all(stopped.map(({ thread }) => thread.stop()))
  }

  private distribute(): void {
    while (this.queue.length > 0) {
      let seat = this.seats.reduce<Seat | undefined>(
        (best, other) => (best === undefined || other.jobs.length < best.jobs.length ? other : best),
        undefined,
      )
      if ((seat === undefined || seat.jobs.length > 0) && this.seats.length < this.most) seat = this.open()
      if (seat === undefined || seat.jobs.length >= JOBS_PER_THREAD) return
      const task = this.queue.shift()
      if (task === undefined) return
      try {
        seat.thread.post(task.job)
      } catch (cause) {
        // No memory for the copy of its pixels, for instance. The thread answers in order, and knows nothing of this job.
        task.reject(new DataError(task.job.path, `a decoding thread cannot take it (${String(cause)})`))
        continue
      }
      seat.jobs.push(task)
      seat.thread.hold(true)
    }
  }

  private open(): Seat | undefined {
    try {
      const thread = this.start({
        reply: (reply) => this.answered(seat, reply),
        ended: (reason) => this.ended(seat, reason),
      })
      const seat: Seat = { thread, jobs: [], started: false }
      this.seats.push(seat)
      return seat
    } catch (error) {
      // A bundle that is no module has no address to find the worker by; a script from another origin may start none.
      this.cannotStart([], error instanceof Error ? error.message : String(error))
      return undefined
    }
  }

  private answered(seat: Seat, reply: DecodeReply): void {
    if (reply === 'ready') {
      seat.started = true
      return
    }
    const task = seat.jobs.shift()
    if (seat.jobs.length === 0) seat.thread.hold(false)
    if (reply === 'unread') task?.reject(new DataError(task.job.path, UNREAD))
    else if ('error' in reply) task?.reject(rebuild(reply))
    else task?.resolve(reply)
    this.distribute()
  }

  private ended(seat: Seat, reason: string): void {
    if (!this.seats.includes(seat)) return
    this.seats = this.seats.filter((other) => other !== seat)
    const [first, ...rest] = seat.jobs
    if (seat.started) {
      first?.reject(
        new DataError(first.job.path, `the decoding thread broke down on this image (${reason})`, {
          fix: 'look at the image in a viewer; if it is fine, report it.',
        }),
      )
      this.queue.unshift(...rest)
      this.distribute()
      return
    }
    this.cannotStart(seat.jobs, reason)
  }

  /** A worker that does not come up will not come up the next time either: those that do take its jobs. */
  private cannotStart(jobs: readonly Task[], reason: string): void {
    if (this.seats.length > 0) {
      this.most = this.seats.length
      this.queue.unshift(...jobs)
      return this.distribute()
    }
    const waiting = [...jobs, ...this.queue.splice(0)]
    if (this.instead) {
      if (!this.withoutThreads) this.instead.say(reason)
      this.withoutThreads = true
      for (const { job, resolve, reject } of waiting) this.instead.decode(job).then(resolve, reject)
      return
    }
    for (const task of waiting) {
      task.reject(
        new DeviceError('decode', `a decoding thread cannot start (${reason})`, {
          fix:
            'let a bundler leave wgrad out of what it makes for Node (esbuild --packages=external), as workers are .js ' +
            'files beside the built package; or decode in place: createNodePlatform({ threads: 0 })',
        }),
      )
    }
  }
}

/** The bytes in memory of their own: a message copies all of the memory that they are a part of. */
function alone(bytes: Uint8Array | undefined): Uint8Array | undefined {
  // Not `slice`, which of Node's own byte arrays is the same memory.
  return bytes && bytes.byteLength < bytes.buffer.byteLength ? new Uint8Array(bytes) : bytes
}

const UNREAD = 'a message to or from its decoding thread could not be read; memory may be short'

/** Errors by names of their own: those of classes differ between a page and a worker that are minified apart. */
export const DECODE_ERRORS = [
  ['DecodeError', DecodeError],
  ['OptionError', OptionError],
  ['DataError', DataError],
] as const

/** The error of a worker once more: a message between threads keeps its text but not its class. */
function rebuild({ error, kind }: { readonly error: string; readonly kind: string }): WgradError {
  const colon = error.indexOf(': ')
  const [where, what] = [error.slice(0, colon), error.slice(colon + 2)]
  const [, Kind] = DECODE_ERRORS.find(([name]) => name === kind) ?? [kind, DataError]
  return new Kind(where, what)
}

/** @throws OptionError  unless the number of threads is a whole number from 0 (decode in place) on */
export function checkThreads(threads: number): void {
  requireInteger('decode', 'threads', threads, { from: 0 })
}

/** One thread fewer than processors, as the calling one works too, and at most 16, as fastai starts workers. */
export function defaultThreads(processors: number): number {
  return Math.max(1, Math.min(16, processors - 1))
}
