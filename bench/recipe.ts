/**
 * `npm run recipe`: one recipe, for several seeds. The lesson switches its techniques on one after the other; here they are
 * options, so that what a technique is worth, or another network, can be told from what a seed changes. With
 * `--leaderboard` it is the recipe of Imagenette's leaderboard.
 */
import { parseArgs } from 'node:util'
import {
  accuracy, architectures, augTransforms, CategoryBlock, crossEntropy, DataBlock, flipItem, getImageFiles, grandparentSplitter, ImageBlock,
  imagenetStats, labelSmoothing, Learner, mixUp, normalize, openGpu, OptionError, parentLabel, PixelCache, randomResizedCrop,
  randomSplitter, ranger, resize, sampleData, topKAccuracy, WgradError, type EpochRow, type Loaders,
} from '../src/node.ts'
import { chooseData } from './data-source.ts'
import { choice, nextSplit, numberIn, whole } from './options.ts'

const USAGE = `npm run recipe -- [options]

  --data DIR          class folders below train/ and val/ (IMAGENETTE_PATH, else the download)
  --variant V         which download: full, 320 (default), 160
  --limit N           use N images, chosen at random
  --seeds A,B         one run each (0)
  --size N            pixels a side (64)
  --then-size N       afterwards fine-tune on such images, on a new split, as the lesson does
  --epochs N          of each size (5)
  --batch-size N      (64)
  --lr X              the highest learning rate (0.003)
  --model NAME        (xresnet18)
  --outputs N         (1000)
  --activation NAME   relu (default) or mish
  --pool NAME         max (default) or maxBlur
  --loss NAME         cross-entropy (default) or label-smoothing
  --mixup ALPHA       mix pairs of images
  --tta               measure with test-time augmentation too
  --fp32              train in single precision instead of mixed
  --leaderboard       another recipe: the official split, randomResizedCrop and flips, xresnet50 with Mish and MaxBlurPool,
                      label smoothing over 10 outputs, Ranger at 0.008, flat and then a cosine; options given win
  --json FILE         what came out
  --help
`

const DEFINITION = {
  data: { type: 'string' }, variant: { type: 'string' }, limit: { type: 'string' }, seeds: { type: 'string' },
  size: { type: 'string' }, 'then-size': { type: 'string' }, epochs: { type: 'string' }, 'batch-size': { type: 'string' },
  lr: { type: 'string' }, model: { type: 'string' }, outputs: { type: 'string' }, activation: { type: 'string' },
  pool: { type: 'string' }, loss: { type: 'string' }, mixup: { type: 'string' }, tta: { type: 'boolean' },
  fp32: { type: 'boolean' }, leaderboard: { type: 'boolean' }, json: { type: 'string' }, help: { type: 'boolean' },
} as const

/** The lesson's recipe, and that of the leaderboard. Source of the latter: fastai nbs/examples/train_imagenette.py. */
const RECIPES = {
  lesson: { model: 'xresnet18', outputs: 1000, activation: 'relu', pool: 'max', loss: 'cross-entropy', lr: 3e-3, size: 64 },
  leaderboard: { model: 'xresnet50', outputs: 10, activation: 'mish', pool: 'maxBlur', loss: 'label-smoothing', lr: 8e-3, size: 128 },
} as const

/** What one seed came to. */
interface Run {
  readonly seed: number
  readonly rows: readonly EpochRow[]
  readonly tta?: number
  /** After the larger images. */
  readonly then?: { readonly rows: readonly EpochRow[]; readonly tta?: number }
}

async function main(argv: readonly string[]): Promise<void> {
  const given = parse(argv)
  if (given.help) {
    console.log(USAGE)
    return
  }
  const { leaderboard = false, fp32 = false, tta = false } = given
  const defaults = RECIPES[leaderboard ? 'leaderboard' : 'lesson']
  const size = whole('--size', given.size, defaults.size, 32, 1024)
  const thenSize = given['then-size'] === undefined ? undefined : whole('--then-size', given['then-size'], size, 32, 1024)
  const epochs = whole('--epochs', given.epochs, 5, 1, 10_000)
  const batchSize = whole('--batch-size', given['batch-size'], 64, 2, 4096)
  const limit = whole('--limit', given.limit, Infinity, 20, Infinity)
  const lr = numberIn('--lr', given.lr, defaults.lr, 0, 10)
  const alpha = given.mixup === undefined ? undefined : numberIn('--mixup', given.mixup, 0.4, 0, 100)
  const seeds = (given.seeds ?? '0').split(',').map((seed) => whole('--seeds', seed, 0, 0, 2 ** 31))
  const name = choice('--model', given.model ?? defaults.model, Object.keys(architectures))
  const outputs = whole('--outputs', given.outputs, defaults.outputs, 2, 100_000)
  const activation = choice('--activation', given.activation ?? defaults.activation, ['relu', 'mish'])
  const pool = choice('--pool', given.pool ?? defaults.pool, ['max', 'maxBlur'])
  const loss = choice('--loss', given.loss ?? defaults.loss, ['cross-entropy', 'label-smoothing'])

  const gpu = await openGpu()
  const { log, files } = gpu.platform
  log(`${gpu.name}${gpu.software ? ': a software adapter' : ''}`)
  const variant = choice('--variant', given.variant ?? '320', ['full', '320', '160'])
  const data = await chooseData({ data: given.data ?? process.env.IMAGENETTE_PATH, variant }, gpu.platform, sampleData)
  log(`images: ${data.name}`)

  const cache = new PixelCache()
  const getLoaders = (seed: number, pixels: number, split = seed): Promise<Loaders> =>
    new DataBlock({
      blocks: [ImageBlock(), CategoryBlock()],
      getItems: getImageFiles,
      getY: parentLabel,
      splitter: leaderboard ? grandparentSplitter({ valid: 'val' }) : randomSplitter({ seed: split }),
      itemTransforms: leaderboard ? [randomResizedCrop(pixels, { minScale: 0.35 }), flipItem()] : [resize(224)],
      batchTransforms: [...(leaderboard ? [] : augTransforms({ size: pixels, minScale: 0.5 })), normalize(imagenetStats)],
    }).loaders(data.path, { batchSize, seed, limit, cache })

  const ttaOf = async (learner: Learner): Promise<{ readonly tta?: number }> => {
    if (!tta || learner.interrupted) return {}
    const { predictions, targets } = await learner.tta()
    const result = accuracy(predictions, targets)
    log(`with test-time augmentation: ${result.toFixed(6)}`)
    return { tta: result }
  }

  const runs: Run[] = []
  for (const seed of seeds) {
    log(`\nseed ${seed}`)
    const model = architectures[name]({ outputs, activation, pool, seed })
    const learner = new Learner(await getLoaders(seed, size), model, {
      loss: loss === 'cross-entropy' ? crossEntropy() : labelSmoothing(),
      metrics: leaderboard ? [accuracy, topKAccuracy(5)] : [accuracy],
      callbacks: alpha === undefined ? [] : [mixUp(alpha)],
      ...(leaderboard ? { optimizer: ranger({ squareMomentum: 0.99, epsilon: 1e-6 }), weightDecay: 1e-2 } : {}),
    })
    if (!fp32) learner.toFp16()
    await (leaderboard ? learner.fitFlatCos(epochs, lr) : learner.fitOneCycle(epochs, lr))
    let run: Run = { seed, rows: learner.recorder.rows, ...(await ttaOf(learner)) }
    if (thenSize !== undefined && !learner.interrupted) {
      learner.loaders = await getLoaders(seed, thenSize, nextSplit(seed))
      await learner.fineTune(epochs, 1e-3)
      run = { ...run, then: { rows: learner.recorder.rows, ...(await ttaOf(learner)) } }
    }
    if (learner.interrupted) break
    runs.push(run)
    if (given.json !== undefined) {
      const result = { adapter: gpu.name, software: gpu.software, data: data.name, options: { ...given }, runs }
      await files.write(given.json, `${JSON.stringify(result, null, 2)}\n`)
    }
  }
  log(`\n${summary(runs)}`)
  await gpu.platform.decoder.close()
  gpu.close()
}

/** A line for each thing that was measured: the mean, and each seed. */
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
    return values.length === 0 ? undefined : `${title.padEnd(14)} ${mean.toFixed(4)}   ${values.map((value) => value.toFixed(4)).join(' ')}`
  })
  return lines.filter((line) => line !== undefined).join('\n')
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: DEFINITION }).values
  } catch (cause) {
    throw new OptionError('recipe', (cause as Error).message.split('\n')[0], { fix: '`npm run recipe -- --help` lists the options', cause })
  }
}

await main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof WgradError ? `${error.name}: ${error.message}` : error)
  process.exitCode = 1
})
