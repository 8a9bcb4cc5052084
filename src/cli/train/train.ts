import { DataError, OptionError } from '../../base/errors.ts'
import { jsonText, parseRecord, type Json } from '../../base/json.ts'
import { openGpuOn } from '../../exports/gpu.ts'
import {
  batchImages,
  cleaningListText,
  csvLine,
  readImageFolder,
  type CleaningList,
  type Loaders,
  type Side,
  type Survey,
} from '../../exports/data.ts'
import { architectures, backbones } from '../../exports/nn.ts'
import { cleaningList, type LrSearch, type Pretrained } from '../../exports/train.ts'
import {
  accuracy,
  augTransforms,
  CategoryBlock,
  DataBlock,
  ImageBlock,
  imagenetStats,
  Interrupted,
  Learner,
  nodePlatform,
  normalize,
  readPretrained,
  resize,
  visionLearner,
  type Callback,
  type Gpu,
} from '../../node.ts'
import { RunFolder } from '../../platform/node/run-folder.ts'
import { confusionOf, pngUri, suspectTiles, withMaps, wrongTiles } from '../../train/report/images.ts'
import { renderTraining } from '../../train/report/training-report.ts'
import { requireTrainable } from '../check.ts'
import { CLEANING_FILE } from '../clean.ts'
import { EXIT } from '../exit-codes.ts'
import { countsOf, decoderOf, look, lookJson, lookText, type ClassCount } from '../look.ts'
import { measure, measuredJson, measuredText, type Measured } from '../measured.ts'
import { invocation, Output, quoted } from '../output.ts'
import { wgradVersion } from '../version.ts'
import {
  begunBefore,
  OPTIONS_FILE,
  readTrainOptions,
  settingsOf,
  sourceOf,
  USAGE,
  type Begun,
  type Settings,
  type TrainOptions,
} from './options.ts'
import { historyCsv, layersOf, RunLog } from './run-log.ts'
import { splitOf } from './split.ts'

export const SUMMARY = 'train a network on a folder of images'

const FILES = {
  checkpoint: 'training.checkpoint',
  search: 'learning-rate.json',
  images: 'images.csv',
  history: 'history.csv',
  log: 'train.log',
  cleaning: CLEANING_FILE,
  results: 'results.json',
  report: 'report.html',
  model: 'model.safetensors',
  onnx: 'model.onnx',
} as const

/** Learning rates that are taken from a search; outside of them the curve of so few images was noise. */
const LOWEST_LR = 1e-4
const HIGHEST_LR = 1e-2
/** Learning rate where a search finds none. Source: the lesson's, and fastai's default of fine_tune. */
const DEFAULT_LR = { scratch: 3e-3, pretrained: 2e-3 } as const
/** Size of images before they are varied and cropped at random, in parts of the network's. Source: fastai's lessons, 460 for 224 and so on; smaller here, as every pixel is resampled. */
const ROOM = 1.25
/** Images of each kind that the report shows. */
const SHOWN = 8
const WRONG = 16

export async function main(argv: readonly string[]): Promise<void> {
  const options = readTrainOptions(argv, `${invocation()} train --help`)
  if (options.help) {
    console.log(USAGE)
    return
  }
  const output = new Output(options.json)
  const { platform } = output
  let gpu: Gpu | undefined
  let run: RunFolder | undefined
  try {
    if (options.resume === undefined) {
      const folder = { csv: options.csv, labelFrom: options.labelFrom, valid: options.valid.folder }
      const given = Object.fromEntries(Object.entries(folder).filter(([, value]) => value !== undefined))
      // Errors of the folder come before those of the machine, and both before the long work.
      await readImageFolder(options.folder, { ...given, platform })
      gpu = await openGpuOn(platform)
      const source = sourceOf(options)
      const pretrained = source === undefined ? undefined : await readPretrained(source, { platform })
      const survey = await look(output, options.folder, given, options.decoder)
      run = await begin(output, gpu, { options, survey, pretrained })
    } else {
      const begun = await begunBefore(platform.files, options.resume)
      run = await RunFolder.open(options.resume, platform.log)
      if (await isOver(run)) {
        output.say(`${run.path} is the folder of a run that is over: there is nothing to continue`)
        output.document({
          event: 'end',
          folder: run.path,
          ...parseRecord(run.file(FILES.results), await platform.files.readText(run.file(FILES.results)), ''),
        })
        return
      }
      gpu = await openGpuOn(platform)
      output.keepLog(run.file(FILES.log))
      output.say(`continuing ${run.path}, begun ${begun.started}`)
    }
    await train({ output, gpu, run, resume: options.resume !== undefined })
  } finally {
    await run?.close()
    await platform.decoder.close()
    gpu?.close()
  }
}

/** True if the results of a run are written, which is done last. */
async function isOver(run: RunFolder): Promise<boolean> {
  const { files } = nodePlatform
  return (await files.exists(run.file(FILES.results))) && !(await files.exists(run.file(FILES.checkpoint)))
}

/** Options of a new run, the images that were found for it, and its pretrained weights. */
interface Beginning {
  readonly options: TrainOptions
  readonly survey: Survey
  readonly pretrained: Pretrained | undefined
}

/** Begins a run: prints the look, fills in the defaults, and writes what the run is made of. */
async function begin(output: Output, gpu: Gpu, beginning: Beginning): Promise<RunFolder> {
  const { platform } = output
  const { options, survey, pretrained } = beginning
  requireTrainable(options.folder, survey.findings)
  const split = splitOf(survey, { valid: options.valid.share, seed: String(options.seed) })
  const counts = countsOf(survey, (path) => split.sideOf(path))
  const lookedAt = lookJson(survey, counts)
  output.document({ event: 'look', ...lookedAt })
  const text = lookText(survey, counts, split.text)
  for (const side of ['train', 'valid'] as const) {
    if (survey.images.some(({ path }) => split.sideOf(path) === side)) continue
    throw new DataError(options.folder, `there is no image to ${side === 'train' ? 'train' : 'measure'} on`, {
      fix: 'put images into both folders, or leave the division to --valid 0.2',
    })
  }
  const settings = settingsOf(options, {
    survey,
    trainingImages: counts.reduce((sum, { train }) => sum + train, 0),
    software: gpu.software,
    decoder: await decoderOf(platform, options.decoder),
    pretrained,
  })
  if (options.out !== undefined && (await platform.files.exists(platform.files.join(options.out, OPTIONS_FILE)))) {
    throw new OptionError('--out', 'there is a run in this folder already', {
      given: { out: options.out },
      fix: `name another folder, or continue that run: ${invocation()} train --resume ${quoted(options.out)}`,
    })
  }
  const run = await RunFolder.open(options.out, platform.log)
  const begun: Begun = { settings, started: new Date().toISOString(), look: lookedAt }
  await run.write(
    FILES.images,
    imagesCsv(survey, (path) => split.sideOf(path)),
  )
  await run.write(OPTIONS_FILE, `${jsonText({ ...begun, settings: { ...settings } })}\n`)
  output.keepLog(run.file(FILES.log))
  output.say(text)
  return run
}

/** Formats which image belongs where; it is read again as the table of a continued run. */
function imagesCsv(survey: Survey, sideOf: (path: string) => Side | undefined): string {
  const rows = [
    ...survey.images.map(({ name, path, label }) => [name, label, sideOf(path), '']),
    ...survey.leftOut.map(({ name, label, reason }) => [name, label, 'left out', reason]),
    ...survey.folder.apart
      .filter(({ kind }) => kind !== 'no-file')
      .flatMap(({ names, text }) => names.map((name) => [name, '', 'left out', text])),
  ]
  return [['path', 'label', 'side', 'reason'], ...rows].map(csvLine).join('')
}

/** One run of the command. */
interface Going {
  readonly output: Output
  readonly gpu: Gpu
  readonly run: RunFolder
  readonly resume: boolean
}

/** Trains, and writes the results; an interrupted run keeps its checkpoint. */
async function train({ output, gpu, run, resume }: Going): Promise<void> {
  const { platform } = output
  const start = platform.now()
  const begun = await begunBefore(platform.files, run.path)
  const { settings } = begun
  const loaders = await loadersOf(output, run, settings)
  const pretrained = settings.pretrained === null ? undefined : await readPretrained(settings.pretrained, { platform })
  const fineTuned = pretrained !== undefined
  output.say(`\n${settingsText(settings, gpu)}`)
  output.document({ event: 'start', folder: run.path, adapter: gpu.name, settings: { ...settings } })
  const advice = fineTuned ? undefined : hint(begun)
  if (advice !== undefined) output.say(advice)

  const log = new RunLog(async (row, fits) => {
    output.document({ event: 'epoch', layers: layersOf(fits.length - 1, fineTuned), ...row })
    await run.attempt(FILES.history, () => run.write(FILES.history, historyCsv(fits, fineTuned)))
  })
  let isMade = false
  const make = async (callbacks: readonly Callback[]): Promise<Learner> => {
    const work = () => learnerOf(settings, loaders, pretrained, callbacks)
    // The first one says which weights were loaded.
    const learner = await (isMade ? output.quietly(work) : work())
    isMade = true
    return learner
  }
  try {
    const search = await learningRate(output, run, settings, make)
    const learner = await make([log])
    const checkpoint = { checkpoint: run.file(FILES.checkpoint), resume }
    if (fineTuned) {
      output.say(`\nthe head alone (epochs: ${settings.freezeEpochs}), then all layers (epochs: ${settings.epochs})`)
      await learner.fineTune(settings.epochs, search.lr, { freezeEpochs: settings.freezeEpochs, ...checkpoint })
    } else await learner.fitOneCycle(settings.epochs, search.lr, checkpoint)
    if (learner.interrupted) throw new Interrupted()
    await conclude({ output, gpu, run, resume }, { begun, learner, log, search, startMs: start })
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error
    output.say(`\nto continue: ${invocation()} train --resume ${quoted(run.path)}`)
    output.document({ event: 'interrupted', folder: run.path })
    process.exitCode = EXIT.interrupted
  }
}

async function loadersOf(output: Output, run: RunFolder, settings: Settings): Promise<Loaders> {
  const { platform } = output
  const { size, batchSize, flip, augment, decoder, shrink, seed, pretrained } = settings
  const { images } = await readImageFolder(settings.folder, { csv: run.file(FILES.images), platform })
  const byPath = new Map(images.map((image) => [image.path, image]))
  const indices = (wanted: Side) => Uint32Array.from(images.flatMap(({ side }, i) => (side === wanted ? [i] : [])))
  const varied = augment ? augTransforms({ size, doFlip: flip, minScale: 0.75 }) : []
  const block = new DataBlock({
    blocks: [ImageBlock({ decoder, shrink }), CategoryBlock()],
    getItems: () => images.map(({ path }) => path),
    getY: (path) => byPath.get(path)?.label ?? '',
    splitter: () => ({ train: indices('train'), valid: indices('valid') }),
    itemTransforms: [resize(augment ? Math.round((size * ROOM) / 8) * 8 : size)],
    // The weights bring their own normalization.
    batchTransforms: [...varied, ...(pretrained === null ? [normalize(imagenetStats)] : [])],
  })
  // The look has said what they print.
  return output.quietly(() => block.loaders(settings.folder, { batchSize, seed, platform }))
}

async function learnerOf(
  { model, seed, fp32 }: Settings,
  loaders: Loaders,
  pretrained: Pretrained | undefined,
  callbacks: readonly Callback[],
): Promise<Learner> {
  const shared = { metrics: [accuracy], callbacks, seed }
  const outputs = loaders.vocab.length
  const learner = pretrained
    ? await visionLearner(loaders, backbones[model], { ...shared, pretrained, body: { seed } })
    : new Learner(loaders, architectures[model]({ outputs, seed }), shared)
  return fp32 ? learner : learner.toFp16()
}

/** Learning rate of a run, and the search that found it. */
interface Rate {
  readonly lr: number
  readonly search?: LrSearch<'valley'> | undefined
}

/** Returns the learning rate that is given or was found before, or searches for one. */
async function learningRate(
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

/** State of a run whose training is done. */
interface Trained {
  readonly begun: Begun
  readonly learner: Learner
  readonly log: RunLog
  readonly search: Rate
  readonly startMs: number
}

/** Measures, and writes all files. */
async function conclude({ output, gpu, run }: Going, trained: Trained): Promise<void> {
  const { platform } = output
  const { begun, learner, log, startMs } = trained
  const results = await learner.getPredictions()
  const measured = measure(results, learner.loaders.vocab)
  output.say(`\n${measuredText(measured)}`)
  const { threshold } = begun.settings
  const known = threshold === null ? {} : { threshold }
  await run.attempt(FILES.model, () =>
    learner.export(run.file(FILES.model), known).catch((error: unknown) => {
      // With no image classified correctly there is no threshold to suggest; the model is kept all the same.
      if (threshold !== 'suggest' || !(error instanceof OptionError)) throw error
      output.say(`the model has no threshold: ${error.message}`)
      return learner.export(run.file(FILES.model))
    }),
  )
  await run.attempt(FILES.onnx, () => learner.exportOnnx(run.file(FILES.onnx)))
  const fineTuned = begun.settings.pretrained !== null
  await run.attempt(FILES.history, () => run.write(FILES.history, historyCsv(log.fits, fineTuned)))
  output.say('\nlooking for wrong labels')
  const cleaning = await cleaningList(learner)
  await run.attempt(FILES.cleaning, () => run.write(FILES.cleaning, `${cleaningListText(cleaning)}\n`))
  const suspects = suspectsOf(cleaning).length
  output.say(`another label is suggested for ${suspects} of ${cleaning.items.length} images`)
  const seconds = (Date.now() - Date.parse(begun.started)) / 1000
  const computing = (platform.now() - startMs) / 1000
  const report = await reportOf({ measured, trained, cleaning, gpu, run, seconds })
  if (!report.hasCharts) output.say('the report has no curves, which take the package echarts: npm install echarts')
  await run.attempt(FILES.report, () => run.write(FILES.report, report.page))
  const document = {
    wgrad: wgradVersion(),
    adapter: gpu.name,
    software: gpu.software,
    started: begun.started,
    seconds: computing,
    settings: { ...begun.settings },
    lr: trained.search.lr,
    ...measuredJson(measured),
    suggestedLabels: suspects,
    epochs: log.fits.flatMap(({ epochs }, fit) => epochs.map((row) => ({ layers: layersOf(fit, fineTuned), ...row }))),
    look: begun.look,
  }
  await run.attempt(FILES.results, () => run.write(FILES.results, `${JSON.stringify(document, null, 2)}\n`))
  const { unwritten } = run
  if (unwritten.length === 0) await run.remove([FILES.checkpoint])
  output.say(
    [
      '',
      ...(unwritten.length > 0
        ? [`NOT written: ${unwritten.join(', ')}; to write them: ${invocation()} train --resume ${quoted(run.path)}`]
        : []),
      `written: ${run.file(FILES.report)}, and beside it ${FILES.model}, ${FILES.onnx}, ${FILES.history}, ${FILES.images}, ${FILES.cleaning}`,
      `to use it: ${invocation()} predict ${quoted(run.file(FILES.model))} picture.jpg`,
    ].join('\n'),
  )
  output.document({ event: 'end', folder: run.path, ...document })
  const last = log.fits.at(-1)?.epochs.at(-1)
  const finite = last !== undefined && Number.isFinite(last.trainLoss) && Number.isFinite(last.validLoss)
  process.exitCode = finite && unwritten.length === 0 ? EXIT.good : EXIT.notGood
}

/** Facts of a finished run that its report shows. */
interface Reported {
  readonly measured: Measured
  readonly trained: Trained
  readonly cleaning: CleaningList
  readonly gpu: Gpu
  readonly run: RunFolder
  readonly seconds: number
}

async function reportOf({ measured, trained, cleaning, gpu, run, seconds }: Reported) {
  const { begun, learner, log, search } = trained
  const { settings, look: lookedAt, started } = begun
  const { platform, loaders, model } = learner
  const { interpretation, accuracy: reached, interval, baseline } = measured
  const counts = new Map((lookedAt.classes as unknown as ClassCount[]).map((one) => [one.name, one]))
  const scores = interpretation.classScores()
  const first = await batchImages(loaders.train, { count: SHOWN })
  const tiles = await Promise.all(
    first.map(async ({ image, label }) => ({ uri: await pngUri(platform, image), label })),
  )
  const name = platform.files.join(settings.folder).split(/[/\\]/).at(-1) ?? settings.folder
  const command = (rest: string) => `${invocation()} ${rest}`
  const suggestion = search.search?.suggestions.valley
  const wrong = await wrongTiles(platform, interpretation.topLosses(WRONG), loaders.valid.pictures)
  const { tiles: mostWrong, note: mapsNote } = await withMaps(learner, wrong)
  const isTable = lookedAt.layout === 'table'
  return renderTraining({
    title: `${name}: ${loaders.vocab.length} classes, ${settings.model}`,
    started,
    seconds,
    adapter: gpu.name,
    software: gpu.software,
    accuracy: reached,
    interval,
    baseline,
    classes: scores.map(({ name: label, precision, recall, f1, support }) => {
      const { train: trainCount = 0, leftOut = 0 } = counts.get(label) ?? {}
      return { name: label, train: trainCount, valid: support, leftOut, precision, recall, f1 }
    }),
    findings: lookedAt.findings as never,
    fits: log.fits,
    search: search.search && suggestion ? { ...search.search, suggestion } : undefined,
    confusion: confusionOf(interpretation),
    mostWrong,
    mapsNote,
    suspects: {
      suggested: suspectsOf(cleaning).length,
      count: cleaning.items.length,
      tiles: await suspectTiles(platform, cleaning.items, loaders.valid.pictures),
      advice: isTable
        ? `Labels come from a table, so correct those that are wrong there; ${FILES.cleaning} lists all`
        : `The network is wrong about images, too, so look before you move any. ${FILES.cleaning} lists all; this prints where those that are accepted would be moved, and moves them with --apply`,
      command: isTable
        ? undefined
        : command(`clean ${quoted(settings.folder)} ${quoted(run.file(FILES.cleaning))} --accept`),
    },
    images: [{ title: 'As the network sees them in training', tiles }],
    settings: [
      ['Images', settings.folder],
      [
        'Network',
        `${settings.model}, ${model
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

/** Images of a cleaning list for which another label is suggested. */
function suspectsOf({ items }: CleaningList): CleaningList['items'] {
  return items.filter(({ suggested }) => suggested !== undefined)
}

function settingsText(settings: Settings, gpu: Gpu): string {
  const { model, pretrained, size, epochs, freezeEpochs, batchSize, fp32, decoder, shrink, seed } = settings
  const begun = pretrained === null ? 'random weights' : `the weights of ${pretrained}`
  const passes = freezeEpochs > 0 ? `${freezeEpochs} + ${epochs}` : String(epochs)
  return [
    `${gpu.name}${gpu.software ? ': a software adapter, which computes on the processor' : ''}`,
    `${model} from ${begun}, ${size} px, ${passes} epochs in batches of ${batchSize}, ${fp32 ? 'single' : 'mixed'} precision, seed ${seed}`,
    ...(decoder === 'built-in'
      ? []
      : [`decoded by ${decoder}${shrink === 'fast' ? ' at the size that is needed' : ''}`]),
  ].join('\n')
}

/** Images per class below which weights that know images pay most. Source: Kornblith et al. 2019, arXiv:1805.08974, figure 8. */
const FEW = 200

function hint({ look: { classes } }: Begun): string | undefined {
  const counts = (classes as unknown as ClassCount[]).map(({ train: count }) => count)
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length
  return mean < FEW
    ? `with so few images, ${Math.round(mean)} of a class, weights that know images already do much better: --pretrained hub`
    : undefined
}
