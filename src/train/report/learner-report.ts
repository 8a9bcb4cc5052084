import { requireExtension } from '../../base/file-name.ts'
import { checkArgument, checkOptions, FLAG, objectWith, PATH, TEXT, type Kinds } from '../../base/options.ts'
import { batchImages } from '../../data/show.ts'
import { cleaningList, requireOfValidation } from '../results/cleaning-list.ts'
import { ClassificationInterpretation } from '../results/interpretation.ts'
import { TargetInterpretation } from '../results/target-interpretation.ts'
import type { Predictor } from '../results/predictor.ts'
import type { ItemPredictions } from '../fit/evaluation.ts'
import type { RecordedFit } from '../fit/history.ts'
import type { FitState } from '../fit/state.ts'
import { epochResult, type FitFigures } from './figures.ts'
import { confusionOf, pngUri, suspectsOf, targetResults, withMaps, wrongTiles } from './images.ts'
import { renderTraining, type ReportedClass } from './training-report.ts'

/** Options of `Learner.report`. */
export interface LearnerReportOptions {
  /** Title of the page. Default: the network and the number of classes */
  readonly title?: string
  /** Predictions for the validation items, such as those of `learner.tta()`. Default: computed now */
  readonly predictions?: ItemPredictions
  /** False leaves out what the network looked at (see `gradCam`), a pass back and forth for each of a dozen images. Default true */
  readonly maps?: boolean
  /** True also lists images whose labels look wrong (see `cleaningList`), for which all images are predicted. Default false */
  readonly suspects?: boolean
}

const KINDS: Kinds<LearnerReportOptions> = {
  title: TEXT,
  predictions: objectWith('predictions, such as of learner.getPredictions()'),
  maps: FLAG,
  suspects: FLAG,
}

/** Number of misclassified images, and of images as the network sees them. */
const WRONG = 24
const SHOWN = 12

/** A learner as its report sees it. */
type Reported = FitState & {
  readonly recorder: { readonly fits: readonly RecordedFit[] }
  predictor(): Predictor
}

/**
 * Renders everything there is to see of a learner as one page of HTML, which needs neither scripts nor network: accuracy with
 * its interval, the figures of each class, the curves of all fits, the confusion matrix, the most wrong images with their
 * paths, and a batch as the network sees it.
 *
 * @param file  path of the HTML file to write, ending in .html. Without one nothing is written
 * @returns  the text of the page
 */
export async function learnerReport(
  learner: Reported,
  file: string | undefined,
  options: LearnerReportOptions = {},
): Promise<string> {
  checkOptions('report', options, KINDS)
  if (file !== undefined) {
    checkArgument('report', 'file', file, PATH)
    requireExtension('report', file, '.html')
  }
  const { loaders, model, platform, precision, loss, recorder } = learner
  const { vocab, target, train } = loaders
  const { predictions = await learner.getPredictions() } = options
  requireOfValidation('report', learner, predictions)
  const network = model.architecture?.name ?? 'network'
  const isClass = target.columns === 'class'
  const results = isClass ? await classes(learner, predictions, options) : await targets(learner, predictions)
  const outputs = isClass ? `${vocab.length} classes` : vocab.length > 0 ? `${vocab.length} labels` : 'numbers'
  const first = await batchImages(train, { count: SHOWN })
  const parameters = model.parameters().reduce((sum, { count }) => sum + count, 0)
  const fits = recorder.fits.map(figuresOf)
  const seconds = fits.flatMap(({ epochs }) => epochs).reduce((sum, epoch) => sum + epoch.seconds, 0)
  const { name: adapter, software } = loaders.adapter
  const [, height, width] = await loaders.inputShape()
  const { page } = await renderTraining({
    title: options.title ?? `${network}, ${outputs}`,
    started: new Date().toISOString(),
    seconds,
    adapter,
    software,
    ...results,
    findings: [],
    fits,
    images: [
      {
        title: 'As the network sees them in training',
        tiles: await Promise.all(
          first.map(async ({ image, label }) => ({ uri: await pngUri(platform, image), label })),
        ),
      },
    ],
    settings: [
      ['Network', `${network}, ${parameters.toLocaleString('en')} parameters`],
      ['Size', `${height} × ${width} pixels`],
      ['Epochs', fits.map(({ epochs }) => epochs.length).join(' + ') || 'none'],
      ['Batch size', String(loaders.batchSize)],
      ['Loss', loss.name],
      ['Precision', precision === 'mixed' ? 'mixed: activations in f16' : 'f32'],
      ['Item transforms', train.itemTransforms.map(nameOf).join(', ') || 'none'],
      ['Batch transforms', train.batchTransforms.map(nameOf).join(', ') || 'none'],
      ['Seed', String(learner.seed)],
    ],
    next: [],
  })
  if (file !== undefined) await platform.files.write(file, page)
  return page
}

/** Parts of the results of classes that reports differ in. */
export interface ClassResultsOptions {
  /** Number of items with the largest losses among which the misclassified ones are shown. */
  readonly shown: number
  /** True to show what the network looked at. */
  readonly maps: boolean
  /** Returns the numbers of images of a class to train on and left out. */
  counts(label: number): Pick<ReportedClass, 'train' | 'leftOut'>
}

/** Returns what a report says about classes, except suspect labels. */
export async function classResults(
  learner: Pick<Reported, 'platform' | 'loaders' | 'predictor'>,
  interpretation: ClassificationInterpretation,
  { shown, maps, counts }: ClassResultsOptions,
) {
  const { accuracy, interval, baseline } = interpretation.accuracy()
  const { pictures } = learner.loaders.valid
  const wrong = await wrongTiles(learner.platform, interpretation.topLosses(shown), pictures)
  const { tiles: mostWrong, note: mapsNote } = maps ? await withMaps(learner, wrong) : { tiles: wrong }
  const classes = interpretation.classScores().map(({ name, precision, recall, f1, support }, label) => {
    return { name, ...counts(label), valid: support, precision, recall, f1 }
  })
  return { accuracy, interval, baseline, classes, confusion: confusionOf(interpretation), mostWrong, mapsNote }
}

async function classes(learner: Reported, predictions: ItemPredictions, options: LearnerReportOptions) {
  const { vocab, train, valid } = learner.loaders
  const { maps = true, suspects = false } = options
  const trained = new Uint32Array(vocab.length)
  for (const item of train.items) trained[train.labels[item]]++
  const counts = (label: number) => ({ train: trained[label], leftOut: 0 })
  const interpretation = new ClassificationInterpretation(predictions, vocab)
  const results = await classResults(learner, interpretation, { shown: WRONG, maps, counts })
  if (!suspects) return results
  const list = await cleaningList(learner, { valid: predictions })
  const advice = 'The network is wrong about images, too. cleaningList(learner) lists all, and applyCleaning moves them'
  return { ...results, suspects: { ...(await suspectsOf(learner.platform, list, valid.pictures)), advice } }
}

/** Returns what a report says about labels or numbers. */
async function targets({ loaders, loss, platform }: Reported, predictions: ItemPredictions) {
  const { threshold } = loss
  const { target, valid } = loaders
  const interpretation = new TargetInterpretation(predictions, target, threshold === undefined ? {} : { threshold })
  return { target: await targetResults(platform, interpretation, valid.pictures, WRONG) }
}

/** Converts a recorded fit to its form in a report. */
export function figuresOf({ rows, rawLosses, losses, lrs, momentums, stepsPerEpoch }: RecordedFit): FitFigures {
  return {
    epochs: rows.map((row) => ({ ...epochResult(row), metrics: row.metrics })),
    steps: rawLosses.map((loss, i) => ({
      iteration: i,
      loss,
      smoothLoss: losses[i],
      lr: lrs[i],
      momentum: momentums[i],
    })),
    stepsPerEpoch,
  }
}

function nameOf(transform: { readonly kind: string } | { readonly kind: 'own'; readonly name: string }): string {
  return 'name' in transform ? transform.name : transform.kind
}
