import { formatClock } from '../../base/format.ts'
import type { Callback } from '../fit/callback.ts'
import { notFinite } from '../fit/check-finite.ts'
import type { FitState } from '../fit/state.ts'
import { cells, columnNames, tableLine } from '../fit/epoch-table.ts'

/** Shortest interval between updates of the status line, about as fast as one can read. */
const STATUS_EVERY_MS = 100
/**
 * Interval between printed lines without a terminal, where a line cannot be rewritten: short epochs print none, and the
 * log of a fit of hours stays readable.
 */
const LINE_EVERY_MS = 30_000

/**
 * Callback that prints the table of epochs and the progress of the current epoch: in a terminal on a line that is
 * rewritten, otherwise on a new line every half minute.
 *
 * Source: fastai callback/progress.py, ProgressCallback; fastprogress.
 */
export class Progress implements Callback {
  readonly name = 'progress'
  readonly order = 60
  readonly duringLrFind = false
  private names: readonly string[] = []
  private startMs = 0
  private lastMs = 0
  private saidNotFinite = false

  beforeFit(state: FitState): void {
    const { platform } = state
    this.names = columnNames(state)
    this.saidNotFinite = false
    platform.log(tableLine(this.names, this.names))
  }

  beforeTrain(state: FitState): void {
    this.begin(state)
  }

  async afterTrain({ platform, model, epoch }: FitState): Promise<void> {
    if (this.saidNotFinite) return
    const states = await notFinite(model.states())
    if (states.length === 0) return
    this.saidNotFinite = true
    const [{ path }] = states
    const others = states.length > 1 ? ` and of ${states.length - 1} others` : ''
    platform.log(
      `after the training of epoch ${epoch} the numbers of ${path}${others} are not finite: use a smaller learning rate or another initialization`,
    )
  }

  beforeValidate(state: FitState): void {
    this.begin(state)
  }

  afterBatch(state: FitState): void {
    const { platform, epoch, epochs, training, evaluating, iteration, completed, batchCount, recorder, loaders } = state
    // No other event marks the beginning of an evaluation.
    if (evaluating && iteration === 0) this.begin(state)
    const now = platform.now()
    const every = platform.status ? STATUS_EVERY_MS : LINE_EVERY_MS
    if (now - this.lastMs < every) return
    this.lastMs = now
    const say = platform.status ?? platform.log
    say(
      statusLine({
        what: evaluating ? 'valid' : `epoch ${Math.min(epoch + 1, epochs)}/${epochs}${training ? '' : ' valid'}`,
        // The steps recorded so far would tell how far ahead of the GPU the program is.
        done: completed,
        count: batchCount,
        elapsedMs: now - this.startMs,
        loss: training ? recorder.smoothLoss : undefined,
        batchSize: loaders.batchSize,
      }),
    )
  }

  afterEpoch({ platform, recorder }: FitState): void {
    const row = recorder.rows.at(-1)
    if (row) platform.log(tableLine(this.names, cells(row)))
  }

  afterCancelFit({ platform, interrupted, epoch, epochs, recorder }: FitState): void {
    const whole = recorder.rows.at(-1)?.epoch === epoch
    const done = whole ? epoch + 1 : epoch
    // If all epochs are done, nothing was skipped.
    if (done >= epochs) return
    platform.log(
      `${interrupted ? 'interrupted' : 'ended early'} ${whole ? 'after' : 'in'} epoch ${epoch}: ${done} of ${epochs} epochs are done and kept`,
    )
  }

  private begin({ platform }: FitState): void {
    this.startMs = platform.now()
    this.lastMs = platform.status ? -Infinity : this.startMs
  }
}

/** Formats the status line, in the style of fastprogress: `epoch 1/5  37% [62/167 00:09<00:15 0.8543] 412 images/s`. */
export function statusLine(state: {
  readonly what: string
  readonly done: number
  readonly count: number
  readonly elapsedMs: number
  readonly loss: number | undefined
  readonly batchSize: number
}): string {
  const { what, done, count, elapsedMs, loss, batchSize } = state
  const remainingMs = done === 0 ? undefined : (elapsedMs / done) * (count - done)
  const percent = Math.floor((100 * done) / count)
  const lossText = loss === undefined || Number.isNaN(loss) ? '' : ` ${loss.toFixed(4)}`
  const rate = ((done * batchSize) / elapsedMs) * 1000
  const rateText =
    Number.isFinite(rate) && done > 0 ? `  ${rate >= 10 ? Math.round(rate) : rate.toFixed(1)} images/s` : ''
  const times = `${formatClock(elapsedMs)}<${remainingMs === undefined ? '?' : formatClock(remainingMs)}`
  return `${what}  ${percent}% [${done}/${count} ${times}${lossText}]${rateText}`
}
