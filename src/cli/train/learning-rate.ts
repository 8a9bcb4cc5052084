import { DataError, OptionError } from '../../base/errors.ts'
import { jsonText, parseRecord, type Json } from '../../base/json.ts'
import type { LrSearch } from '../../exports/train.ts'
import type { Callback, Learner } from '../../node.ts'
import type { RunFolder } from '../../platform/node/run-folder.ts'
import type { Output } from '../output.ts'
import { FILES } from './files.ts'
import type { Settings } from './options.ts'

/** Learning rates that are taken from a search; outside of them the curve of so few images was noise. */
const LOWEST_LR = 1e-4
const HIGHEST_LR = 1e-2
/** Learning rate where a search finds none. Source: the lesson's, and fastai's default of fine_tune. */
const DEFAULT_LR = { scratch: 3e-3, pretrained: 2e-3 } as const

/** Learning rate of a run, and the search that found it. */
export interface Rate {
  readonly lr: number
  readonly search?: LrSearch<'valley'> | undefined
}

/** Returns the learning rate that is given or was found before, or searches for one. */
export async function learningRate(
  output: Output,
  run: RunFolder,
  settings: Settings,
  make: (callbacks: readonly Callback[]) => Promise<Learner>,
): Promise<Rate> {
  if (settings.lr !== null) return { lr: settings.lr }
  const { files } = output.platform
  const file = run.file(FILES.search)
  if (await files.exists(file)) {
    const saved = parseRecord(file, await files.readText(file), 'remove it: the search is made again')
    if (typeof saved.lr === 'number') return saved as unknown as Rate
    throw new DataError(file, 'a damaged file: its lr is invalid', { fix: 'remove it: the search is made again' })
  }
  output.say('\nsearching for the learning rate')
  const learner = await make([])
  const rate = await learner.lrFind().then(
    (search): Rate => {
      const found = search.suggestions.valley.lr
      return { lr: Math.min(HIGHEST_LR, Math.max(LOWEST_LR, found)), search }
    },
    (error: unknown): Rate => {
      if (!(error instanceof OptionError)) throw error
      return { lr: DEFAULT_LR[settings.pretrained === null ? 'scratch' : 'pretrained'] }
    },
  )
  const found = rate.search?.suggestions.valley.lr
  const how =
    found === undefined
      ? 'the curve shows none, so this is the usual one'
      : found === rate.lr
        ? 'where the loss falls longest'
        : `the curve says ${found.toExponential(1)}, which is beyond the usual`
  output.say(`learning rate ${rate.lr.toExponential(2)} (${how})`)
  output.document({ event: 'search', lr: rate.lr, found: found ?? null })
  await run.write(FILES.search, `${jsonText(rate as unknown as Json)}\n`)
  return rate
}
