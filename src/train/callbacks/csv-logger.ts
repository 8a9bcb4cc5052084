import { formatClock } from '../../base/format.ts'
import { checkArgument, checkOptions, FLAG, PATH } from '../../base/options.ts'
import { csvLine } from '../../data/csv.ts'
import type { Callback } from '../fit/callback.ts'
import { columnNames } from '../fit/epoch-table.ts'
import type { EpochRow } from '../fit/history.ts'
import { tryToWrite } from '../fit/try-to-write.ts'

/**
 * Makes a callback that writes the table of epochs to a CSV file after every epoch, with all digits. While the file cannot be
 * written, as one that another program has open, the fit goes on; the next epoch writes all rows.
 *
 * @param file            path of the CSV file. Default history.csv
 * @param options.append  true to append to an existing file, false to overwrite it in every fit. Default false
 * @throws DataError  at the beginning of a fit, if the file cannot be written
 * Source: fastai callback/progress.py, CSVLogger.
 */
export function csvLogger(file = 'history.csv', options: { readonly append?: boolean } = {}): Callback {
  checkArgument('csvLogger', 'file', file, PATH)
  checkOptions('csvLogger', options, { append: FLAG })
  const { append = false } = options
  let text: string | null = null
  /** Contents of the file that a fit appends to. */
  let before = ''
  return {
    name: 'csvLogger',
    order: 60,
    duringLrFind: false,
    async beforeFit(state) {
      const { files } = state.platform
      before = append && (await files.exists(file)) ? await files.readText(file) : ''
      text = before + csvLine(columnNames(state))
      await files.write(file, text)
    },
    async afterEpoch({ platform, recorder }) {
      const row = recorder.rows.at(-1)
      if (!row) return
      const all = (text ?? before) + line(row)
      text = all
      await tryToWrite(platform, 'table of epochs', () => platform.files.write(file, all))
    },
    state: () => text,
    async restore(saved, { platform: { files } }) {
      // Null is the state before the first fit, to which a checkpoint that is refused returns.
      if (saved === null) text = before
      if (typeof saved === 'string') text = saved
      await files.write(file, text ?? before)
    },
  }
}

function line({ epoch, trainLoss, validLoss, metrics, timeMs, skippedSteps, lossScale }: EpochRow): string {
  const scaling = skippedSteps === undefined ? [] : [skippedSteps, lossScale]
  return csvLine([epoch, trainLoss, validLoss, ...Object.values(metrics), ...scaling, formatClock(timeMs)])
}
