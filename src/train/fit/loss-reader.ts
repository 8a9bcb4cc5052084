import type { LossScaler } from '../../optim/loss-scaler.ts'
import { copy } from '../../tensor/launch.ts'
import { allocateWithin, keep, release } from '../../tensor/scope.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { read, zeros } from '../../tensor/read-write.ts'
import type { StepLoss } from './callback.ts'

/** Number of steps whose losses are held on the GPU before they must be read. */
const SLOTS = 32
/** Number of values per step: its loss, and in mixed precision the loss scale and the count of skipped steps. */
const STEP_SLOTS = 3
/** Distance from one value to the next, in f32: 256 bytes, the alignment of a binding. */
const SLOT_STRIDE = 64
/** Interval between reads: short enough for a live display, long enough for its cost not to matter. */
const READ_EVERY_MS = 250

/**
 * Reads the losses of training steps without stalling the GPU: each loss is copied into a buffer of its own, which is
 * read as a whole from time to time.
 */
export class LossReader {
  private readonly page: Tensor = keep(zeros([SLOTS * STEP_SLOTS, SLOT_STRIDE]))
  private readonly slots: readonly Tensor[]
  /** Steps whose losses have been copied and not yet read. */
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

  /** Copies the loss of a step, and in mixed precision the state of loss scaling. Call `collect` after every step. */
  record(iteration: number, loss: Tensor, { mixed, scale, skippedSteps }: LossScaler): void {
    const first = this.copied.length * STEP_SLOTS
    const figures = mixed ? [loss, scale, skippedSteps] : [loss]
    figures.forEach((figure, i) => copy(figure, this.slots[first + i]))
    this.copied.push({ iteration, mixed })
  }

  /**
   * Returns the losses that have been read since the last call, in order. Waits only if the buffer is full.
   *
   * @throws Error  the error of a failed read
   */
  async collect(nowMs: number): Promise<readonly StepLoss[]> {
    const full = this.copied.length === SLOTS
    if (full) await this.reading
    if (!this.reading && this.copied.length > 0 && (full || nowMs - this.lastReadMs >= READ_EVERY_MS)) {
      this.lastReadMs = nowMs
      this.startReading()
    }
    return this.take()
  }

  /** Waits for all recorded losses and returns those not returned before. */
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
