import { resolve } from 'node:path'
import { jsonText, parseRecord } from '../../src/base/json.ts'
import { architectures } from '../../src/exports/nn.ts'
import { choice, numberIn, type parseCommand, whole, widenOption } from '../../src/cli/command.ts'
import { DataError, nodePlatform, OptionError } from '../../src/node.ts'
import type { chooseData } from '../lesson/data-source.ts'
import { OPTIONS_FILE } from '../../src/platform/node/run-folder.ts'

export const USAGE = `npm run recipe -- [options]

  --data DIR          class folders below train/ and val/ (IMAGENETTE_PATH, otherwise the download)
  --variant V         which download: full, 320 (default), 160
  --limit N           use N images, chosen at random
  --noise N           train on labels of which N percent are wrong (1, 5, 25 or 50), by the table in the folder of the images;
                      measured on the official split, whose labels are right
  --seeds A,B         one run each (0)
  --size N            pixels a side (64; --leaderboard 128)
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

export const DEFINITION = {
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
export const NOISE = { file: 'noisy_imagenette.csv', percents: ['1', '5', '25', '50'] } as const

/** Complete description of a training run, with all defaults filled in. */
export interface Recipe {
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

export type Given = ReturnType<typeof parseCommand<typeof DEFINITION>>['values']

/**
 * Returns the options in the form in which they are stored: with those from the environment, and with absolute paths.
 */
export function begunWith({ help: _help, data = process.env.IMAGENETTE_PATH, json, ...given }: Given): Given {
  return { ...given, ...(data ? { data: resolve(data) } : {}), ...(json === undefined ? {} : { json: resolve(json) }) }
}

/**
 * Reads the options that a recipe was begun with. @throws OptionError  if others are given; DataError  if there are
 * none or they are damaged
 */
export async function givenBefore(folder: string, typed: readonly string[]): Promise<Given> {
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

export function readRecipe(given: Given): Recipe {
  const { leaderboard = false, fp32 = false, tta = false } = given
  const defaults = RECIPES[leaderboard ? 'leaderboard' : 'lesson']
  const size = whole('--size', given.size, 32, 1024) ?? defaults.size
  return {
    data: { data: given.data, variant: choice('--variant', given.variant ?? '320', ['full', '320', '160']) },
    limit: whole('--limit', given.limit, 20, Infinity) ?? Infinity,
    noise: choice('--noise', given.noise, NOISE.percents),
    seeds: (given.seeds ?? '0').split(',').map((seed) => whole('--seeds', seed, 0, 2 ** 31)),
    leaderboard,
    fp32,
    tta,
    size,
    thenSize: whole('--then-size', given['then-size'], 32, 1024),
    epochs: whole('--epochs', given.epochs, 1, 10_000) ?? 5,
    batchSize: whole('--batch-size', given['batch-size'], 2, 4096) ?? 64,
    lr: numberIn('--lr', given.lr, 0, 10) ?? defaults.lr,
    // The options of a recipe, such as the activation, are those of xresnets.
    model: choice(
      '--model',
      given.model ?? defaults.model,
      Object.keys(architectures).filter((name) => name.startsWith('xresnet')),
    ),
    modelOptions: {
      outputs: whole('--outputs', given.outputs, 2, 100_000) ?? defaults.outputs,
      widen: widenOption(given.widen) ?? 1,
      activation: choice('--activation', given.activation ?? defaults.activation, ['relu', 'mish']),
      pool: choice('--pool', given.pool ?? defaults.pool, ['max', 'maxBlur']),
    },
    loss: choice('--loss', given.loss ?? defaults.loss, ['cross-entropy', 'label-smoothing']),
    mixup: numberIn('--mixup', given.mixup, 0, 100),
  }
}
