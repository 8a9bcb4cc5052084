import type { Calls, Part, Reply, Trainer, TrainingEvent } from './protocol.ts'

type Listener = (event: TrainingEvent) => void

/** The training worker as the page sees it: its calls as functions, and its events. */
export class TrainerClient {
  readonly call: Trainer
  private worker: Worker
  private readonly waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  private readonly listeners: { readonly part: Part; readonly listener: Listener }[] = []
  private count = 0

  constructor() {
    this.worker = this.start()
    this.call = new Proxy({} as Trainer, {
      get:
        (_, call: keyof Calls) =>
        (...args: readonly unknown[]) =>
          this.ask(call, args),
    })
  }

  /** Starts another worker in place of one whose GPU is lost, and opens the GPU anew. Models that were in it are gone. */
  async renew(): Promise<void> {
    this.worker.terminate()
    this.fail(new Error('The GPU was lost.'))
    this.worker = this.start()
    await this.call.open(document.baseURI)
  }

  private start(): Worker {
    const worker = new Worker(new URL('./trainer.ts', import.meta.url), { type: 'module' })
    worker.onmessage = ({ data }: MessageEvent<Reply>) => this.receive(data)
    worker.onerror = (event) => this.fail(new Error(event.message || 'The training worker does not start.'))
    return worker
  }

  private fail(error: Error): void {
    for (const { reject } of this.waiting.values()) reject(error)
    this.waiting.clear()
  }

  on(part: Part, listener: Listener): void {
    this.listeners.push({ part, listener })
  }

  private ask(call: keyof Calls, args: readonly unknown[]): Promise<unknown> {
    const id = this.count++
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject })
      // An image is drawn and forgotten here.
      this.worker.postMessage(
        { id, call, args },
        args.filter((arg) => arg instanceof ImageBitmap),
      )
    })
  }

  private receive(reply: Reply): void {
    if ('event' in reply) {
      for (const { part, listener } of this.listeners) if (part === reply.event.part) listener(reply.event)
      return
    }
    const asked = this.waiting.get(reply.id)
    this.waiting.delete(reply.id)
    if ('error' in reply) asked?.reject(Object.assign(new Error(reply.error), { name: reply.name }))
    else asked?.resolve(reply.result)
  }
}
