import { formatClock } from '../../base/format.ts'
import type { Callback } from '../callback.ts'
import type { Learner } from '../learner.ts'
import { cells, columnNames, tableLine } from '../recorder.ts'

/** The status is rewritten no more often: nobody reads faster. */
const STATUS_EVERY_MS = 100

/**
 * Prints the table of epochs, and where there is a terminal a line that says how far the present one is.
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

  beforeFit({ platform, metrics }: Learner): void {
    this.names = columnNames(metrics.map(({ name }) => name))
    platform.log(tableLine(this.names, this.names))
  }

  beforeTrain(learner: Learner): void {
    this.begin(learner)
  }

  beforeValidate(learner: Learner): void {
    this.begin(learner)
  }

  afterBatch(learner: Learner): void {
    const { platform, epoch, epochs, training, iteration, batchCount, recorder, loaders } = learner
    const now = platform.now()
    if (!platform.status || now - this.lastMs < STATUS_EVERY_MS) return
    this.lastMs = now
    platform.status(
      statusLine({
        what: training ? `epoch ${epoch + 1}/${epochs}` : `epoch ${epoch + 1}/${epochs} valid`,
        done: iteration + 1,
        count: batchCount,
        elapsedMs: now - this.startMs,
        loss: training ? recorder.smoothLoss : undefined,
        batchSize: loaders.batchSize,
      }),
    )
  }

  afterEpoch({ platform, recorder }: Learner): void {
    const row = recorder.rows.at(-1)
    if (row) platform.log(tableLine(this.names, cells(row)))
  }

  afterCancelFit({ platform, interrupted, epoch, epochs }: Learner): void {
    const how = interrupted ? 'interrupted' : 'ended early'
    platform.log(`${how} in epoch ${epoch} of 0 … ${epochs - 1}; the epochs before it are kept`)
  }

  afterFit({ platform }: Learner): void {
    platform.status?.('')
  }

  private begin({ platform }: Learner): void {
    this.startMs = platform.now()
    this.lastMs = -Infinity
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
