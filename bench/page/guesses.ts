/** Guesses of a model about some validation pictures, which the page shows as their captions. */
import type { Learner } from 'wgrad'
import type { Part } from './protocol.ts'
import type { Session } from './sessions.ts'
import { tell } from './telling.ts'

/** Caption of a picture whose likeliest label is below the model's threshold. */
export const NONE = 'none of these'

/** Number of pictures on the page. */
const SHOWN = 12

/** Tells the page the label of each picture that it shows. */
export async function guess({ part, learner, shown }: Session): Promise<void> {
  try {
    const predictions = await learner.predictor().predictAll(shown)
    const guesses = predictions.map(({ label = NONE, probability }) => ({ label, probability }))
    tell({ kind: 'guesses', part, guesses })
  } catch {
    // Outputs that are not finite: the fit itself reports that.
  }
}

/** Some validation pictures, of all classes in turn. */
export async function shownOf(part: Part, { loaders }: Learner): Promise<string[]> {
  const { valid, vocab } = loaders
  const byClass = vocab.map((_, label) => Array.from(valid.items).filter((item) => valid.labels[item] === label))
  const most = Math.max(...byClass.map(({ length }) => length))
  const items = Array.from({ length: most }, (_, round) => byClass.flatMap((own) => own.slice(round, round + 1)))
    .flat()
    .slice(0, SHOWN)
  const paths = items.map((item) => valid.pictures.items[item])
  const shown = await Promise.all(
    paths.map(async (path, i) => ({
      path,
      label: vocab[valid.labels[items[i]]],
      picture: new Blob([new Uint8Array(await loaders.platform.files.read(path))]),
    })),
  )
  tell({ kind: 'shown', part, shown, vocab })
  return paths
}
