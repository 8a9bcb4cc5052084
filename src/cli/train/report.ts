import { batchImages, type CleaningList } from '../../exports/data.ts'
import type { Gpu, Learner } from '../../node.ts'
import type { RunFolder } from '../../platform/node/run-folder.ts'
import { quoted } from '../../platform/node/terminal.ts'
import { pngUri, suspectsOf, targetResults } from '../../train/report/images.ts'
import { classResults, figuresOf } from '../../train/report/learner-report.ts'
import { renderTraining } from '../../train/report/training-report.ts'
import type { ClassCount } from '../look.ts'
import type { AnyMeasured, Measured } from '../measured.ts'
import { invocation } from '../output.ts'
import { wgradVersion } from '../version.ts'
import { FILES } from './files.ts'
import type { Rate } from './learning-rate.ts'
import type { Begun } from './options.ts'

/** Images of each kind that the report shows. */
const SHOWN = 8
const WRONG = 16

/** State of a run whose training is done. */
export interface Trained {
  readonly begun: Begun
  readonly learner: Learner
  readonly search: Rate
  /** Time at which the work began; of a continued run earlier, by the time of the epochs that were done before. */
  readonly startMs: number
}

/** Facts of a finished run that its report shows. */
interface Reported {
  readonly measured: AnyMeasured
  readonly trained: Trained
  /** Undefined where targets are no classes. */
  readonly cleaning: CleaningList | undefined
  readonly gpu: Gpu
  readonly run: RunFolder
  readonly seconds: number
}

/** Makes the report of a run as one page. */
export async function reportOf({ measured, trained, cleaning, gpu, run, seconds }: Reported) {
  const { begun, learner, search } = trained
  const { settings, look: lookedAt, started } = begun
  const { platform, loaders, model } = learner
  const first = await batchImages(loaders.train, { count: SHOWN })
  const tiles = await Promise.all(
    first.map(async ({ image, label }) => ({ uri: await pngUri(platform, image), label })),
  )
  const name = platform.files.join(settings.folder).split(/[/\\]/).at(-1) ?? settings.folder
  const command = (rest: string) => `${invocation()} ${rest}`
  const suggestion = search.search?.suggestions.valley
  const results = measured.measured
    ? await classes(measured.measured, trained, { cleaning, run })
    : { target: await targetResults(platform, measured.interpretation, loaders.valid.pictures, WRONG) }
  const what = {
    class: `${loaders.vocab.length} classes`,
    labels: `${loaders.vocab.length} labels`,
    numbers: 'numbers',
  }
  return renderTraining({
    title: `${name}: ${what[settings.targets]}, ${settings.model}`,
    started,
    seconds,
    adapter: gpu.name,
    software: gpu.software,
    ...results,
    findings: lookedAt.findings as never,
    fits: learner.recorder.fits.map(figuresOf),
    layers: ['head', 'all'],
    search: search.search && suggestion ? { ...search.search, suggestion } : undefined,
    images: [{ title: 'As the network sees them in training', tiles }],
    settings: [
      ['Images', settings.folder],
      [
        'Network',
        `${settings.model}${settings.widen === 1 ? '' : `, ${settings.widen} times as wide`}, ${model
          .parameters()
          .reduce((sum, { count }) => sum + count, 0)
          .toLocaleString('en')} parameters`,
      ],
      ['Begun with', settings.pretrained ?? 'random weights'],
      ['Size', `${settings.size} × ${settings.size} pixels`],
      [
        'Epochs',
        settings.freezeEpochs > 0 ? `${settings.freezeEpochs} (head) + ${settings.epochs}` : String(settings.epochs),
      ],
      ['Batch size', String(settings.batchSize)],
      ['Learning rate', `${search.lr.toExponential(2)}${settings.lr === null ? ' (searched)' : ''}`],
      ['Precision', settings.fp32 ? 'f32' : 'mixed: activations in f16'],
      [
        'Variations',
        settings.augment ? `rotation, zoom, perspective, light${settings.flip ? ', mirrored' : ''}` : 'none',
      ],
      ['Decoder', `${settings.decoder}${settings.shrink === 'fast' ? ', at the size that is needed' : ''}`],
      ['Seed', String(settings.seed)],
      ['wgrad', wgradVersion()],
    ],
    next: [
      ['Classify images', command(`predict ${quoted(run.file(FILES.model))} picture.jpg`)],
      ['Measure on other images', command(`evaluate ${quoted(run.file(FILES.model))} FOLDER`)],
      ['Half the size', command(`export ${quoted(run.file(FILES.model))} small.onnx --f16`)],
    ],
  })
}

/** Returns what the report says about classes. */
async function classes(
  { interpretation }: Measured,
  { begun: { settings, look: lookedAt }, learner }: Trained,
  { cleaning, run }: Pick<Reported, 'cleaning' | 'run'>,
) {
  const byName = new Map((lookedAt.classes as unknown as ClassCount[]).map((one) => [one.name, one]))
  const counts = (label: number) => {
    const { train = 0, leftOut = 0 } = byName.get(interpretation.vocab[label]) ?? {}
    return { train, leftOut }
  }
  const results = await classResults(learner, interpretation, { shown: WRONG, maps: true, counts })
  if (!cleaning) return results
  const suspects = await suspectsOf(learner.platform, cleaning, learner.loaders.valid.pictures)
  if (lookedAt.layout === 'table') {
    const advice = `Labels come from a table, so correct those that are wrong there; ${FILES.cleaning} lists all`
    return { ...results, suspects: { ...suspects, advice } }
  }
  const advice = `The network is wrong about images, too, so look before you move any. ${FILES.cleaning} lists all; this prints where those that are accepted would be moved, and moves them with --apply`
  const command = `${invocation()} clean ${quoted(settings.folder)} ${quoted(run.file(FILES.cleaning))} --accept`
  return { ...results, suspects: { ...suspects, advice, command } }
}
