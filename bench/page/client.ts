import { messageOf } from './dom.ts'
import type { Calls, ModelEvent, Part, Reply, Trainer, TrainingEvent } from './protocol.ts'

type Listener = (event: TrainingEvent) => void

/** A failure that is due to a lost GPU, in words for the visitor. */
export class GpuLost extends Error {
  /** True if there is a GPU again. */
  readonly reopened: boolean

  constructor(message: string, reopened: boolean) {
    super(message)
    this.reopened = reopened
  }
}

/** The training worker as the page sees it: its calls as functions, and its events. */
export class TrainerClient {
  readonly call: Trainer
  /** Called when there is another model to try and to save. */
  onModel: (event: ModelEvent) => void = () => undefined
  private worker: Worker | undefined
  private waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  private readonly listeners: { readonly part: Part; readonly listener: Listener }[] = []
  /** Model that was finished last: it outlasts the GPU that trained it. */
  private model: ModelEvent | undefined
  private count = 0

  constructor() {
    this.call = new Proxy({} as Trainer, {
      get:
        (_, call: keyof Calls) =>
        (...args: readonly unknown[]) =>
          this.ask(call, args),
    })
  }

  on(part: Part, listener: Listener): void {
    this.listeners.push({ part, listener })
  }

  /** Starts another worker in place of one whose GPU is lost, with a GPU of its own. Trainings of the other one are gone. */
  private async renew(why: string): Promise<void> {
    this.worker?.terminate()
    this.worker = undefined
    const { waiting } = this
    this.waiting = new Map()
    const lost = await this.reopen().then(
      () => new GpuLost(`${why} It is open again.`, true),
      (error: unknown) => new GpuLost(`${why} It does not open again: ${messageOf(error)} Load this page anew.`, false),
    )
    for (const { part, listener } of this.listeners) listener({ kind: 'lost', part })
    for (const { reject } of waiting.values()) reject(lost)
  }

  private async reopen(): Promise<void> {
    await this.call.open(document.baseURI)
    if (this.model) await this.call.openModel(this.model.bytes, this.model.unsaved)
  }

  private start(): Worker {
    const worker = new Worker(new URL('./trainer.ts', import.meta.url), { type: 'module' })
    worker.onmessage = ({ data }: MessageEvent<Reply>) => this.receive(data)
    worker.onerror = (event) => {
      const error = new Error(event.message || 'The training worker does not start.')
      for (const { reject } of this.waiting.values()) reject(error)
      this.waiting.clear()
    }
    return worker
  }

  private ask(call: keyof Calls, args: readonly unknown[]): Promise<unknown> {
    const worker = (this.worker ??= this.start())
    const id = this.count++
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject })
      // An image is drawn and forgotten here.
      worker.postMessage(
        { id, call, args },
        args.filter((arg) => arg instanceof ImageBitmap),
      )
    })
  }

  private receive(reply: Reply): void {
    if ('event' in reply) {
      const { event } = reply
      if (event.kind === 'model') this.onModel((this.model = event))
      else for (const { part, listener } of this.listeners) if (part === event.part) listener(event)
      return
    }
    if ('error' in reply && reply.lost) return void this.renew(reply.error)
    const asked = this.waiting.get(reply.id)
    this.waiting.delete(reply.id)
    if ('error' in reply) asked?.reject(new Error(reply.error))
    else asked?.resolve(reply.result)
  }
}
