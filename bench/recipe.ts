/**
 * `npm run recipe`: one recipe for several seeds. The lesson switches its techniques on one after the other; here they
 * are options, so that the effect of a technique or a network can be separated from that of the seed. With
 * `--leaderboard` it is the recipe of Imagenette's leaderboard, which `bench/peers/torch_recipe.py` trains in PyTorch.
 */
import { resolve } from 'node:path'
import { isRecord, jsonText, parseRecord } from '../src/base/json.ts'
import {
  accuracy,
  augTransforms,
  CategoryBlock,
  columnSplitter,
  crossEntropy,
  DataBlock,
  DataError,
  flipItem,
  getImageFiles,
  getImagesFromCsv,
  grandparentSplitter,
  ImageBlock,
  imagenetStats,
  Interrupted,
  labelSmoothing,
  Learner,
  mixUp,
  nodePlatform,
  normalize,
  openGpu,
  OptionError,
  parentLabel,
  randomResizedCrop,
  randomSplitter,
  ranger,
  resize,
  sampleData,
  topKAccuracy,
  type Gpu,
} from '../src/node.ts'
import { wilsonInterval, type EpochRow } from '../src/exports/train.ts'
import { architectures } from '../src/exports/nn.ts'
import { PixelCache, type DataBlockOptions, type Loaders } from '../src/exports/data.ts'
import { choice, numberIn, parseCommand, runCommand, whole, widenOption } from '../src/cli/command.ts'
import { TRACKS } from '../src/tensor/track.ts'
import { chooseData } from './lesson/data-source.ts'
import { nextSplit, OPTIONS_FILE } from './lesson/options.ts'
import { RunFolder } from '../src/platform/node/run-folder.ts'
import { versions } from './machine/versions.ts'

const USAGE = `npm run recipe -- [options]

  --data DIR          class folders below train/ and val/ (IMAGENETTE_PATH, else the download)
  --variant V         which download: full, 320 (default), 160
  --limit N           use N images, chosen at random
  --noise N           train on labels of which N percent are wrong (1, 5, 25 or 50), by the table in the folder of the images;
                      measured on the official split, whose labels are right
  --seeds A,B         one run each (0)
  --size N            pixels a side (64)
  --then-size N       afterwards fine-tune on such images, on a new split, as the lesson does
  --epochs N          of each size (5)
  --batch-size N      (64)
  --lr X              the highest learning rate (0.003)
  --model NAME        (xresnet18)
  --outputs N         (1000)
  --widen X           factor of the widths of the stages (1)
  --activation NAME   relu (default) or mish
  --pool NAME         max (default) or maxBlur
  --loss NAME         cross-entropy (default) or label-smoothing
  --mixup ALPHA       mix pairs of images
  --tta               measure with test-time augmentation too
  --fp32              train in single precision instead of mixed
  --leaderboard       another recipe: the official split, randomResizedCrop and flips, xresnet50 with Mish and MaxBlurPool,
                      label smoothing over 10 outputs, Ranger at 0.008, flat and then a cosine; options given win
  --out DIR           where its models, checkpoints and results.json go (runs/<time>)
  --json FILE         what came out, to this file too
  --resume DIR        continue the interrupted recipe of that folder, with the options it was begun with
  --help
`

const DEFINITION = {
  data: { type: 'string' },
  variant: { type: 'string' },
  limit: { type: 'string' },
  noise: { type: 'string' },
  seeds: { type: 'string' },
  size: { type: 'string' },
  'then-size': { type: 'string' },
  epochs: { type: 'string' },
  'batch-size': { type: 'string' },
  lr: { type: 'string' },
  model: { type: 'string' },
  outputs: { type: 'string' },
  widen: { type: 'string' },
  activation: { type: 'string' },
  pool: { type: 'string' },
  loss: { type: 'string' },
  mixup: { type: 'string' },
  tta: { type: 'boolean' },
  fp32: { type: 'boolean' },
  leaderboard: { type: 'boolean' },
  json: { type: 'string' },
  out: { type: 'string' },
  resume: { type: 'string' },
  help: { type: 'boolean' },
} as const

/**
 * Defaults of the lesson's recipe and of the leaderboard's. Source of the latter: fastai
 * nbs/examples/train_imagenette.py.
 */
const RECIPES = {
  lesson: {
    model: 'xresnet18',
    outputs: 1000,
    activation: 'relu',
    pool: 'max',
    loss: 'cross-entropy',
    lr: 3e-3,
    size: 64,
  },
  leaderboard: {
    model: 'xresnet50',
    outputs: 10,
    activation: 'mish',
    pool: 'maxBlur',
    loss: 'label-smoothing',
    lr: 8e-3,
    size: 128,
  },
} as const

/** Imagenette's own table of wrong labels. */
const NOISE = { file: 'noisy_imagenette.csv', percents: ['1', '5', '25', '50'] } as const

/** Complete description of a training run, with all defaults filled in. */
interface Recipe {
  readonly data: Parameters<typeof chooseData>[0]
  readonly limit: number
  /** Percentage of the training labels that are wrong. */
  readonly noise: (typeof NOISE.percents)[number] | undefined
  readonly seeds: readonly number[]
  readonly leaderboard: boolean
  readonly size: number
  readonly thenSize: number | undefined
  readonly epochs: number
  readonly batchSize: number
  readonly lr: number
  readonly model: string
  /** Options of the model except its seed. */
  readonly modelOptions: {
    readonly outputs: number
    readonly widen: number
    readonly activation: 'relu' | 'mish'
    readonly pool: 'max' | 'maxBlur'
  }
  readonly loss: 'cross-entropy' | 'label-smoothing'
  readonly mixup: number | undefined
  readonly tta: boolean
  readonly fp32: boolean
}

/** Result of one size of images: its last fit, and the accuracy with test-time augmentation. */
interface Measured {
  readonly rows: readonly EpochRow[]
  readonly tta?: number
}

/** Result of one seed. */
interface Run extends Measured {
  readonly seed: number
  /** Result of fine-tuning on larger images. */
  readonly then?: Measured
}

type Given = ReturnType<typeof parseCommand<typeof DEFINITION>>['values']

async function main(argv: readonly string[]): Promise<void> {
  const typed = parseCommand('recipe', argv, DEFINITION).values
  if (typed.help) {
    console.log(USAGE)
    return
  }
  const resume = typed.resume !== undefined
  const given = typed.resume === undefined ? begunWith(typed) : await givenBefore(typed.resume, Object.keys(typed))
  const recipe = readRecipe(given)
  const gpu = await openGpu()
  const { log, files, decoder } = gpu.platform
  log(`${gpu.name}${gpu.software ? ': a software adapter' : ''}`)
  // Checks that can fail run before hours of training.
  const folder = await RunFolder.open(typed.resume ?? given.out, log)
  const runs = resume ? await runsBefore(folder) : []
  const write = async (data?: string): Promise<void> => {
    const result = {
      adapter: gpu.name,
      software: gpu.software,
      data,
      versions: versions(),
      options: { ...given },
      runs,
    }
    const text = `${JSON.stringify(result, null, 2)}\n`
    await folder.attempt(RESULTS_FILE, () => folder.write(RESULTS_FILE, text))
    const { json } = given
    if (json !== undefined) await folder.attempt(json, () => files.write(json, text, { lasting: true }))
  }
  if (!resume) {
    await folder.write(OPTIONS_FILE, `${JSON.stringify(given, null, 2)}\n`)
    // Files of an earlier run in this folder are removed: only the new run can be resumed.
    await folder.remove(recipe.seeds.flatMap(checkpointsOf))
    await write()
    if (folder.unwritten.length > 0) {
      throw new DataError(folder.unwritten.join(', '), 'cannot be written', { fix: 'name another file or folder' })
    }
  }
  const left = recipe.seeds.filter((seed) => !runs.some((run) => run.seed === seed))
  if (left.length === 0) log(`${folder.path} is the folder of a recipe that is over: there is nothing to continue`)
  else await trainAll(recipe, left, { gpu, folder, resume, runs, write })
  log(`\n${summary(runs)}`)
  await gpu.writeProfile(TRACKS)
  const { unwritten } = folder
  const isOver = runs.length === recipe.seeds.length && unwritten.length === 0
  if (unwritten.length > 0) log(`NOT written: ${unwritten.join(', ')}`)
  if (isOver) await folder.remove(recipe.seeds.flatMap(checkpointsOf))
  else log(`to continue: npm run recipe -- --resume ${folder.path}`)
  process.exitCode = runs.length < recipe.seeds.length ? 130 : unwritten.length > 0 ? 1 : 0
  await folder.close()
  await decoder.close()
  gpu.close()
}

/** State of one run of the command: its folder and the results so far. */
interface Going {
  readonly gpu: Gpu
  readonly folder: RunFolder
  readonly resume: boolean
  readonly runs: Run[]
  write(data: string): Promise<void>
}

/** Trains once per seed, until interrupted. */
async function trainAll(recipe: Recipe, seeds: readonly number[], going: Going): Promise<void> {
  const {
    gpu: { platform },
    runs,
  } = going
  const data = await chooseData(recipe.data, platform, sampleData)
  platform.log(`images: ${data.name}`)
  const cache = new PixelCache()
  for (const seed of seeds) {
    platform.log(`\nseed ${seed}`)
    const run = await train(recipe, seed, data.path, cache, going).catch(unlessInterrupted)
    if (!run) return
    runs.push(run)
    await going.write(data.name)
  }
}

const RESULTS_FILE = 'results.json'

/** Returns the names of the checkpoints of one seed: on the first images and on the larger ones. */
function checkpointsOf(seed: number): [string, string] {
  return [`seed-${seed}.checkpoint`, `seed-${seed}-larger.checkpoint`]
}

/**
 * Returns the options in the form in which they are stored: with those from the environment, and with absolute paths.
 */
function begunWith({ help: _help, data = process.env.IMAGENETTE_PATH, json, ...given }: Given): Given {
  return { ...given, ...(data ? { data: resolve(data) } : {}), ...(json === undefined ? {} : { json: resolve(json) }) }
}

/**
 * Reads the options that a recipe was begun with. @throws OptionError  if others are given; DataError  if there are
 * none or they are damaged
 */
async function givenBefore(folder: string, typed: readonly string[]): Promise<Given> {
  const others = typed.filter((name) => name !== 'resume')
  if (others.length > 0) {
    throw new OptionError('--resume', 'a recipe is continued with the options it was begun with', {
      fix: `leave out --${others.join(', --')}`,
    })
  }
  const { files } = nodePlatform
  const file = files.join(folder, OPTIONS_FILE)
  const fix = 'begin the recipe anew, without --resume'
  if (!(await files.exists(file))) {
    throw new DataError(folder, 'there is no recipe to continue', { expected: `a folder with ${OPTIONS_FILE}` })
  }
  const saved = parseRecord(file, await files.readText(file), fix)
  try {
    for (const [name, value] of Object.entries(saved)) {
      const type = Object.hasOwn(DEFINITION, name) ? DEFINITION[name as keyof typeof DEFINITION].type : 'none'
      if (typeof value !== type) {
        throw new OptionError(`--${name}`, 'this is no option of a recipe', {
          given: { [name]: jsonText(value ?? null) },
        })
      }
    }
    readRecipe(saved)
  } catch (error) {
    throw error instanceof OptionError
      ? new DataError(file, `a damaged file: ${error.message}`, { fix, cause: error })
      : error
  }
  return saved
}

/** Reads the results of the finished seeds. */
async function runsBefore(folder: RunFolder): Promise<Run[]> {
  const file = folder.file(RESULTS_FILE)
  if (!(await nodePlatform.files.exists(file))) return []
  const fix = 'remove it: the seeds are measured anew, from their checkpoints'
  const { runs } = parseRecord(file, await nodePlatform.files.readText(file), fix)
  const isRun = (run: unknown) => isRecord(run) && Number.isInteger(run.seed) && Array.isArray(run.rows)
  if (!Array.isArray(runs) || !runs.every(isRun)) {
    throw new DataError(file, 'a damaged file: its runs are invalid', { fix })
  }
  return runs
}

/** Returns `undefined` for an interruption during predictions and rethrows any other error. */
function unlessInterrupted(error: unknown): undefined {
  if (!(error instanceof Interrupted)) throw error
}

function readRecipe(given: Given): Recipe {
  const { leaderboard = false, fp32 = false, tta = false } = given
  const defaults = RECIPES[leaderboard ? 'leaderboard' : 'lesson']
  const size = whole('--size', given.size, defaults.size, 32, 1024)
  return {
    data: { data: given.data, variant: choice('--variant', given.variant ?? '320', ['full', '320', '160']) },
    limit: whole('--limit', given.limit, Infinity, 20, Infinity),
    noise: given.noise === undefined ? undefined : choice('--noise', given.noise, NOISE.percents),
    seeds: (given.seeds ?? '0').split(',').map((seed) => whole('--seeds', seed, 0, 0, 2 ** 31)),
    leaderboard,
    fp32,
    tta,
    size,
    thenSize: given['then-size'] === undefined ? undefined : whole('--then-size', given['then-size'], size, 32, 1024),
    epochs: whole('--epochs', given.epochs, 5, 1, 10_000),
    batchSize: whole('--batch-size', given['batch-size'], 64, 2, 4096),
    lr: numberIn('--lr', given.lr, defaults.lr, 0, 10),
    // The options of a recipe, such as the activation, are those of xresnets.
    model: choice(
      '--model',
      given.model ?? defaults.model,
      Object.keys(architectures).filter((name) => name.startsWith('xresnet')),
    ),
    modelOptions: {
      outputs: whole('--outputs', given.outputs, defaults.outputs, 2, 100_000),
      widen: widenOption(given.widen),
      activation: choice('--activation', given.activation ?? defaults.activation, ['relu', 'mish']),
      pool: choice('--pool', given.pool ?? defaults.pool, ['max', 'maxBlur']),
    },
    loss: choice('--loss', given.loss ?? defaults.loss, ['cross-entropy', 'label-smoothing']),
    mixup: given.mixup === undefined ? undefined : numberIn('--mixup', given.mixup, 0.4, 0, 100),
  }
}

/** Trains one seed. @returns `undefined` if it was interrupted */
async function train(
  recipe: Recipe,
  seed: number,
  path: string,
  cache: PixelCache,
  { folder, resume }: Going,
): Promise<Run | undefined> {
  const [first, larger] = checkpointsOf(seed).map((name) => ({ checkpoint: folder.file(name), resume }))
  const modelFile = `seed-${seed}.safetensors`
  const { leaderboard, size, thenSize, epochs, lr, mixup } = recipe
  const model = architectures[recipe.model]({ ...recipe.modelOptions, seed })
  const learner = new Learner(await loadersOf(recipe, { path, seed, cache, pixels: size, split: seed }), model, {
    loss: recipe.loss === 'cross-entropy' ? crossEntropy() : labelSmoothing(),
    metrics: leaderboard ? [accuracy, topKAccuracy(5)] : [accuracy],
    callbacks: mixup === undefined ? [] : [mixUp(mixup)],
    ...(leaderboard ? { optimizer: ranger({ squareMomentum: 0.99, eps: 1e-6 }), weightDecay: 1e-2 } : {}),
  })
  if (!recipe.fp32) learner.toFp16()
  await (leaderboard ? learner.fitFlatCos(epochs, lr, first) : learner.fitOneCycle(epochs, lr, first))
  const measured = await measure(recipe, learner)
  if (measured) await folder.attempt(modelFile, () => learner.export(folder.file(modelFile)))
  if (thenSize === undefined || !measured) return measured && { seed, ...measured }
  learner.loaders = await loadersOf(recipe, { path, seed, cache, pixels: thenSize, split: nextSplit(seed) })
  await learner.fineTune(epochs, 1e-3, larger)
  const then = await measure(recipe, learner)
  if (then) await folder.attempt(modelFile, () => learner.export(folder.file(modelFile)))
  return then && { seed, ...measured, then }
}

interface LoadersWanted {
  readonly path: string
  readonly seed: number
  readonly cache: PixelCache
  readonly pixels: number
  /** Seed of the random split. */
  readonly split: number
}

/** Items, labels and split of the data. */
type Source = Required<Pick<DataBlockOptions, 'getItems' | 'getY' | 'splitter'>>

async function loadersOf(recipe: Recipe, { path, seed, cache, pixels, split }: LoadersWanted): Promise<Loaders> {
  const { leaderboard, noise, batchSize, limit } = recipe
  const splitter = leaderboard ? grandparentSplitter({ valid: 'val' }) : randomSplitter({ seed: split })
  const source =
    noise === undefined ? { getItems: getImageFiles, getY: parentLabel, splitter } : await noisySource(path, noise)
  // Images chosen at random may leave a class without any to train on.
  const vocab = Number.isFinite(limit) ? [...new Set((await getImageFiles(path)).map(parentLabel))].sort() : undefined
  return new DataBlock({
    blocks: [ImageBlock(), CategoryBlock(vocab && { vocab })],
    ...source,
    itemTransforms: leaderboard ? [randomResizedCrop(pixels, { minScale: 0.35 }), flipItem()] : [resize(224)],
    batchTransforms: [...(leaderboard ? [] : augTransforms({ size: pixels, minScale: 0.5 })), normalize(imagenetStats)],
  }).loaders(path, { batchSize, seed, limit, cache })
}

/** Makes the source in which training labels come from the table's column and validation labels from the folders. */
async function noisySource(path: string, noise: NonNullable<Recipe['noise']>): Promise<Source> {
  const { files, log } = nodePlatform
  if (!(await files.exists(files.join(path, NOISE.file)))) {
    throw new DataError(path, `there is no table of wrong labels, ${NOISE.file}`, {
      fix: 'give --data the folder of the unpacked download, or leave out --noise',
    })
  }
  const table = await getImagesFromCsv(path, { file: NOISE.file })
  const [noisy, right, isValid] = [`noisy_labels_${noise}`, 'noisy_labels_0', 'is_valid'].map((name) =>
    table.column(name),
  )
  const splitter = columnSplitter(table)
  return {
    getItems: () => table.items,
    getY: (item) => (isValid(item).toLowerCase() === 'true' ? right : noisy)(item),
    splitter(items) {
      const split = splitter(items)
      const wrong = split.train.filter((item) => noisy(items[item]) !== right(items[item]))
      log(
        `labels to train on: ${wrong.length} of ${split.train.length} are wrong; ${split.valid.length} images to measure on`,
      )
      return split
    },
  }
}

async function measure({ tta }: Recipe, learner: Learner): Promise<Measured | undefined> {
  const { rows } = learner.recorder
  if (learner.interrupted) return undefined
  const { platform, loaders } = learner
  const count = loaders.valid.items.length
  /** Formats the interval of an accuracy: of few images it is wide. */
  const interval = (value: number) =>
    wilsonInterval(Math.round(value * count), count)
      .map((end) => end.toFixed(4))
      .join(' to ')
  const last = rows.at(-1)?.metrics.accuracy
  if (last !== undefined) platform.log(`95% interval of the accuracy on ${count} images: ${interval(last)}`)
  if (!tta) return { rows }
  const { predictions, targets } = await learner.tta()
  const result = accuracy(predictions, targets)
  platform.log(`with test-time augmentation: ${result.toFixed(6)}, 95% interval ${interval(result)}`)
  return { rows, tta: result }
}

/** Formats one line per measured quantity: the mean, and each seed. */
function summary(runs: readonly Run[]): string {
  const columns: readonly (readonly [string, (run: Run) => number | undefined])[] = [
    ['accuracy', ({ rows }) => rows.at(-1)?.metrics.accuracy],
    ['with TTA', (run) => run.tta],
    ['larger images', ({ then }) => then?.rows.at(-1)?.metrics.accuracy],
    ['with TTA', ({ then }) => then?.tta],
  ]
  const lines = columns.map(([title, of]) => {
    const values = runs.map(of).filter((value) => value !== undefined)
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    return values.length === 0
      ? undefined
      : `${title.padEnd(14)} ${mean.toFixed(4)}   ${values.map((value) => value.toFixed(4)).join(' ')}`
  })
  return lines.filter((line) => line !== undefined).join('\n')
}

await runCommand(main)
