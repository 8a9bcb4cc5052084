/**
 * `npm run recipe`: one recipe for several seeds. The lesson switches its techniques on one after the other; here they
 * are options, so that the effect of a technique or a network can be separated from that of the seed. With
 * `--leaderboard` it is the recipe of Imagenette's leaderboard, which `bench/peers/torch_recipe.py` trains in PyTorch.
 */
import {
  accuracy,
  crossEntropy,
  DataError,
  Interrupted,
  labelSmoothing,
  Learner,
  mixUp,
  openGpu,
  ranger,
  sampleData,
  topKAccuracy,
  type Gpu,
} from '../src/node.ts'
import { wilsonInterval } from '../src/exports/train.ts'
import { architectures } from '../src/exports/nn.ts'
import { PixelCache } from '../src/exports/data.ts'
import { parseCommand, runCommand } from '../src/cli/command.ts'
import { TRACKS } from '../src/tensor/track.ts'
import { chooseData } from './lesson/data-source.ts'
import { nextSplit } from './lesson/options.ts'
import { OPTIONS_FILE, requireNoRun, RunFolder } from '../src/platform/node/run-folder.ts'
import { versions } from './machine/versions.ts'
import { loadersOf } from './recipe/loaders.ts'
import { begunWith, DEFINITION, givenBefore, readRecipe, USAGE, type Recipe } from './recipe/options.ts'
import { RESULTS_FILE, runsBefore, summary, type Measured, type Run } from './recipe/results.ts'

async function main(argv: readonly string[]): Promise<void> {
  const typed = parseCommand('recipe', argv, DEFINITION).values
  if (typed.help) {
    console.log(USAGE)
    return
  }
  const resume = typed.resume !== undefined
  const given = typed.resume === undefined ? begunWith(typed) : await givenBefore(typed.resume, Object.keys(typed))
  const recipe = readRecipe(given)
  if (!resume) await requireNoRun(given.out, 'npm run recipe -- --resume')
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
    await write()
    if (folder.unwritten.length > 0) {
      throw new DataError(folder.unwritten.join(', '), 'cannot be written', { fix: 'name another file or folder' })
    }
    await folder.write(OPTIONS_FILE, `${JSON.stringify(given, null, 2)}\n`)
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

/** Returns the names of the checkpoints of one seed: on the first images and on the larger ones. */
function checkpointsOf(seed: number): [string, string] {
  return [`seed-${seed}.checkpoint`, `seed-${seed}-larger.checkpoint`]
}

/** Returns `undefined` for an interruption during predictions and rethrows any other error. */
function unlessInterrupted(error: unknown): undefined {
  if (!(error instanceof Interrupted)) throw error
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

await runCommand(main)
