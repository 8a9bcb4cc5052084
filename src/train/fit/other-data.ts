/** Data that a model is used with beside those that it has learnt from: they should be normalized and numbered alike. */
import { sameStats, statsText } from '../../data/augment/normalize.ts'
import type { BatchTransform } from '../../data/augment/transforms.ts'
import type { Loader } from '../../data/loader.ts'

/**
 * Difference of means and deviations from which on they are taken for others: `normalize()` measures less between two batches
 * of 64 photographs (the mean of one photograph has a deviation of some 0.15), and ImageNet's deviations are 0.27 from those
 * of networks that take −1 to 1.
 */
const OTHER_STATS = 0.1

/**
 * Returns a loader that normalizes images: as it does, or else as the one that the model has learnt from. `visionLearner`
 * adds the normalization to loaders of its learner only, and those that a program made before know nothing of it.
 */
export function normalizedAs(learnt: Loader, loader: Loader): Loader {
  const isNormalize = ({ kind }: BatchTransform) => kind === 'normalize'
  const own = learnt.batchTransforms.find(isNormalize)
  if (!own || loader.batchTransforms.some(isNormalize)) return loader
  return loader.with({ batchTransforms: [...loader.batchTransforms, own] })
}

/**
 * Logs a warning if a loader normalizes images otherwise than the one that the model has learnt from, and one if it
 * numbers the classes otherwise.
 *
 * @param there  where the other one is, such as "in the learner's loaders"
 * @param fix    how both become alike
 */
export function warnOfOtherData(learnt: Loader, loader: Loader, there: string, fix: string): void {
  const say = (what: string) => loader.platform.log(`warning: ${what} ${there}: ${fix}`)
  if (!sameStats(learnt.stats, loader.stats, OTHER_STATS)) {
    say(`images are normalized with ${statsText(loader.stats)} here, and with ${statsText(learnt.stats)}`)
  }
  // Classes that are missing at the end leave the numbers of the others as they are.
  const other = loader.labelled ? loader.vocab.findIndex((name, i) => name !== learnt.vocab[i]) : -1
  if (other < 0) return
  const known = other < learnt.vocab.length ? `'${learnt.vocab[other]}'` : 'missing'
  say(`class ${other} is '${loader.vocab[other]}' here, and ${known}`)
}

/** Logs a warning if images to measure on are among those that the model was trained on in the fit before. */
export function warnOfLeak(trained: Loader, valid: Loader): void {
  const known = new Set(Array.from(trained.items, (item) => trained.pictures.items[item]))
  const seen = valid.items.filter((item) => known.has(valid.pictures.items[item])).length
  if (seen === 0) return
  const fix = 'give all loaders of a learner the same seed, or the same splitter'
  valid.platform.log(
    `warning: the model was trained on ${seen} of the ${valid.items.length} images to measure on: ${fix}`,
  )
}
