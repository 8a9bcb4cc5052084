import { copy } from '../tensor/launcher.ts'
import { allocateWithin, keep, release } from '../tensor/scope.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { read, zeros } from '../tensor/transfer.ts'
import type { StepLoss } from './callback.ts'

/** Losses that fit aside until they are read. */
const SLOTS = 32
/** f32 from one slot to the next: 256 bytes, where a binding may begin. */
const SLOT_STRIDE = 64
/** Often enough to look at, seldom enough to cost nothing. */
const READ_EVERY_MS = 250

/**
 * Brings the losses of training steps to the CPU without waiting for them: each is copied aside on the GPU, and all of
 * them are read together now and then.
 */
export class LossReader {
  private readonly page: Tensor = keep(zeros([SLOTS, SLOT_STRIDE]))
  private readonly slots: readonly Tensor[]
  /** Iterations whose losses are on the page. */
  private copied: number[] = []
  private reading: Promise<void> | undefined
  private failure: { readonly error: unknown } | undefined
  private arrived: StepLoss[] = []
  private lastReadMs = -Infinity

  constructor() {
    const scalar = { shape: [], dtype: 'f32' } as const
    this.slots = Array.from({ length: SLOTS }, (_, i) => allocateWithin(this.page, scalar, i * SLOT_STRIDE * 4))
  }

  /** Copies the loss of a step aside. Call `collect` after every step. */
  record(iteration: number, loss: Tensor): void {
    copy(loss, this.slots[this.copied.length])
    this.copied.push(iteration)
  }

  /** Losses that have arrived since, in order. Waits only when the page is full. @throws what the GPU reported */
  async collect(nowMs: number): Promise<readonly StepLoss[]> {
    const full = this.copied.length === SLOTS
    if (full) await this.reading
    if (!this.reading && this.copied.length > 0 && (full || nowMs - this.lastReadMs >= READ_EVERY_MS)) {
      this.lastReadMs = nowMs
      this.startReading()
    }
    return this.take()
  }

  /** All losses that have not been given out. */
  async flush(): Promise<readonly StepLoss[]> {
    await this.reading
    if (this.copied.length > 0) this.startReading()
    await this.reading
    return this.take()
  }

  close(): void {
    release(this.page)
  }

  private startReading(): void {
    const iterations = this.copied
    this.copied = []
    this.reading = read(this.page).then(
      (values) => {
        iterations.forEach((iteration, i) => this.arrived.push({ iteration, loss: values[i * SLOT_STRIDE] }))
        this.reading = undefined
      },
      (error: unknown) => {
        this.failure = { error }
        this.reading = undefined
      },
    )
  }

  private take(): StepLoss[] {
    if (this.failure) throw this.failure.error
    return this.arrived.splice(0)
  }
}
