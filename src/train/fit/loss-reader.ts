import type { LossScaler } from '../../optim/loss-scaler.ts'
import { copy } from '../../tensor/launcher.ts'
import { allocateWithin, keep, release } from '../../tensor/scope.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { read, zeros } from '../../tensor/transfer.ts'
import type { StepLoss } from './callback.ts'

/** Losses that fit aside until they are read. */
const SLOTS = 32
/** Slots of a step: its loss, and in mixed precision the loss scale and the count of skipped steps. */
const STEP_SLOTS = 3
/** f32 from one slot to the next: 256 bytes, where a binding may begin. */
const SLOT_STRIDE = 64
/** Often enough to look at, seldom enough to cost nothing. */
const READ_EVERY_MS = 250

/**
 * Brings the losses of training steps to the CPU without waiting for them: each is copied aside on the GPU, and all of
 * them are read together now and then.
 */
export class LossReader {
  private readonly page: Tensor = keep(zeros([SLOTS * STEP_SLOTS, SLOT_STRIDE]))
  private readonly slots: readonly Tensor[]
  /** Steps whose losses are on the page. */
  private copied: { readonly iteration: number; readonly mixed: boolean }[] = []
  private reading: Promise<void> | undefined
  private failure: { readonly error: unknown } | undefined
  private arrived: StepLoss[] = []
  private lastReadMs = -Infinity

  constructor() {
    const scalar = { shape: [], dtype: 'f32' } as const
    this.slots = Array.from({ length: SLOTS * STEP_SLOTS }, (_, i) =>
      allocateWithin(this.page, scalar, i * SLOT_STRIDE * 4),
    )
  }

  /** Copies the loss of a step aside, and in mixed precision how its scale is. Call `collect` after every step. */
  record(iteration: number, loss: Tensor, { mixed, scale, skippedSteps }: LossScaler): void {
    const first = this.copied.length * STEP_SLOTS
    const figures = mixed ? [loss, scale, skippedSteps] : [loss]
    figures.forEach((figure, i) => copy(figure, this.slots[first + i]))
    this.copied.push({ iteration, mixed })
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
    const steps = this.copied
    this.copied = []
    this.reading = read(this.page).then(
      (values) => {
        steps.forEach(({ iteration, mixed }, i) => {
          const [loss, lossScale, skippedSteps] = [0, 1, 2].map((slot) => values[(i * STEP_SLOTS + slot) * SLOT_STRIDE])
          this.arrived.push({ iteration, loss, ...(mixed && { scaling: { lossScale, skippedSteps } }) })
        })
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
