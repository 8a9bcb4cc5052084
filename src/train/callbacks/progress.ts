import { formatClock } from '../../base/format.ts'
import type { Callback } from '../fit/callback.ts'
import { notFinite } from '../fit/check-finite.ts'
import type { FitState } from '../fit/state.ts'
import { cells, columnNames, tableLine } from '../fit/epoch-table.ts'

/** The status is rewritten no more often: nobody reads faster. */
const STATUS_EVERY_MS = 100
/** Where there is no terminal to rewrite a line of, one is printed that often: short epochs have none, a log of hours stays readable. */
const LINE_EVERY_MS = 30_000

/**
 * Prints the table of epochs, and how far the present one is: in a terminal in a line that is rewritten, elsewhere in a
 * line every half minute.
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
      `after the training of epoch ${epoch} the numbers of ${path}${others} are not finite: a smaller learning rate, or another start, is needed`,
    )
  }

  beforeValidate(state: FitState): void {
    this.begin(state)
  }

  afterBatch(state: FitState): void {
    const { platform, epoch, epochs, training, evaluating, iteration, batchCount, recorder, loaders } = state
    // Nothing else says that one begins, or is over.
    if (evaluating && iteration === 0) this.begin(state)
    if (evaluating && iteration + 1 === batchCount) return platform.status?.('')
    const now = platform.now()
    const every = platform.status ? STATUS_EVERY_MS : LINE_EVERY_MS
    if (now - this.lastMs < every) return
    this.lastMs = now
    const say = platform.status ?? platform.log
    say(
      statusLine({
        what: evaluating ? 'valid' : `epoch ${epoch + 1}/${epochs}${training ? '' : ' valid'}`,
        done: iteration + 1,
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
    // With all epochs done nothing was left out.
    if (done >= epochs) return
    platform.log(
      `${interrupted ? 'interrupted' : 'ended early'} ${whole ? 'after' : 'in'} epoch ${epoch}: ${done} of ${epochs} epochs are done and kept`,
    )
  }

  afterFit({ platform }: FitState): void {
    platform.status?.('')
  }

  private begin({ platform }: FitState): void {
    this.startMs = platform.now()
    this.lastMs = platform.status ? -Infinity : this.startMs
  }
}

/** `epoch 1/5  37% [62/167 00:09<00:15 0.8543] 412 images/s`, after fastprogress. */
export function statusLine(state: {
  readonly what: string
  readonly done: number
  readonly count: number
  readonly elapsedMs: number
  readonly loss: number | undefined
  readonly batchSize: number
}): string {
  const { what, done, count, elapsedMs, loss, batchSize } = state
  const remainingMs = (elapsedMs / done) * (count - done)
  const percent = Math.floor((100 * done) / count)
  const lossText = loss === undefined || Number.isNaN(loss) ? '' : ` ${loss.toFixed(4)}`
  const rate = ((done * batchSize) / elapsedMs) * 1000
  const rateText = Number.isFinite(rate) ? `  ${rate >= 10 ? Math.round(rate) : rate.toFixed(1)} images/s` : ''
  const times = `${formatClock(elapsedMs)}<${formatClock(remainingMs)}`
  return `${what}  ${percent}% [${done}/${count} ${times}${lossText}]${rateText}`
}
