import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { DataError, OptionError } from '../../src/base/errors.ts'
import { jsonText, parseRecord, type Json } from '../../src/base/json.ts'
import { OPTIONS_FILE } from '../../src/platform/node/run-folder.ts'
import { choice, parseCommand, whole, WIDEN, widenOption } from '../../src/cli/command.ts'

export const SECTIONS = [
  'baseline',
  'normalize',
  'small-images',
  'larger-images',
  'tta',
  'mixup',
  'label-smoothing',
] as const
export type Section = (typeof SECTIONS)[number]

/** Options of one run of the lesson, with all defaults filled in. */
export interface Options {
  readonly data: string | undefined
  readonly variant: 'full' | '320' | '160'
  readonly profile: 'full' | 'quick'
  readonly sections: readonly Section[]
  /** Side of the images that the network sees, in pixels. */
  readonly size: number
  /** Side of the larger images of progressive resizing, in pixels. */
  readonly thenSize: number
  readonly epochs: number
  readonly batchSize: number
  /** Batch size of the first two sections, baseline and normalize. */
  readonly firstBatchSize: number
  /** Largest number of images used, chosen at random. */
  readonly limit: number
  /** Part of the images that is measured on. */
  readonly valid: number
  readonly seed: number
  /** Factor of the widths of the network's stages. */
  readonly widen: number
  /** Validation split after resizing: a new one, as in the notebook, or the same. */
  readonly split: 'new' | 'shared'
  readonly fp32: boolean
  readonly out: string | undefined
  /** True to resume the interrupted run whose folder is `out`. */
  readonly resume: boolean
}

/**
 * Profiles: the notebook's own settings, and settings with which two cores finish all sections in five minutes. Of few
 * images half are measured on: with a fifth of them, chance would be larger than what the sections differ by. The batches of
 * the first two sections are smaller than those of the others, as in the notebook. Explicit options take precedence. Only the download differs from the notebook: it has larger files of the same
 * images, cropped to 224 pixels all the same.
 */
const PROFILES = {
  full: {
    size: 128,
    'then-size': 224,
    epochs: 5,
    'batch-size': 64,
    firstBatch: 1,
    limit: Infinity,
    valid: 0.2,
    variant: '320',
  },
  quick: {
    size: 64,
    'then-size': 96,
    epochs: 3,
    'batch-size': 16,
    firstBatch: 1 / 2,
    limit: 800,
    valid: 0.5,
    variant: '160',
  },
} as const

export const USAGE = `npm run imagenette -- [options]

  --data DIR          class folders to train on, below train/ and val/ or any other two folders
                      (default: IMAGENETTE_PATH, otherwise the cached download, otherwise the download)
  --variant V         which download: full (the notebook's), 320 (default), 160 (default of quick)
  --profile P         full: all images, which the network sees at the notebook's sizes; quick: a few minutes on a
                      processor (default: quick on a software adapter, otherwise full)
  --only A,B          sections to run, and what they continue (all):
                      ${SECTIONS.join(', ')}
  --size N            pixels a side (full 128, quick 64)
  --then-size N       pixels a side in larger-images (full 224, quick 96)
  --epochs N          (full 5, quick 3)
  --batch-size N      (full 64, quick 16)
  --first-batch-size N  of baseline and normalize (full --batch-size, quick half of it; the notebook has 4)
  --limit N           use N images, chosen at random (quick 800)
  --valid P           part of them to measure on (full 0.2, as the notebook; quick 0.5, so that chance is smaller than
                      what the sections differ by)
  --seed N            one seed for everything (0)
  --widen X           factor of the widths of the network's stages (1, the notebook's)
  --split S           new (default): the larger images are split anew, as the notebook does, so that most of those they
                      are measured on were trained on before; shared: the same split throughout
  --fp32              train in single precision instead of mixed
  --out DIR           where report.html and the figures go (runs/<time>)
  --resume DIR        continue the interrupted run of that folder, with the options it was begun with
  --help
`

const DEFINITION = {
  data: { type: 'string' },
  variant: { type: 'string' },
  profile: { type: 'string' },
  only: { type: 'string' },
  size: { type: 'string' },
  'then-size': { type: 'string' },
  epochs: { type: 'string' },
  'batch-size': { type: 'string' },
  'first-batch-size': { type: 'string' },
  limit: { type: 'string' },
  valid: { type: 'string' },
  seed: { type: 'string' },
  widen: { type: 'string' },
  split: { type: 'string' },
  fp32: { type: 'boolean' },
  out: { type: 'string' },
  resume: { type: 'string' },
  help: { type: 'boolean' },
} as const

const VARIANTS = ['full', '320', '160'] as const
const PROFILE_NAMES = ['full', 'quick'] as const
const SPLITS = ['new', 'shared'] as const

/** Bounds of the integer options. */
const BOUNDS = {
  size: [32, 1024],
  thenSize: [32, 1024],
  epochs: [1, 10_000],
  batchSize: [2, 4096],
  firstBatchSize: [2, 4096],
  limit: [20, Infinity],
  seed: [0, 2 ** 31],
} as const

/** Parses the command line. @throws OptionError  naming the option, the given value and the accepted values */
export function readOptions(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  software: boolean,
): Options {
  const given = parseCommand('imagenette', argv, DEFINITION).values
  if (given.resume !== undefined) return optionsOf(given.resume, Object.keys(given))
  const profile = choice('--profile', given.profile ?? (software ? 'quick' : 'full'), PROFILE_NAMES)
  const defaults = PROFILES[profile]
  const batchSize = whole('--batch-size', given['batch-size'], ...BOUNDS.batchSize) ?? defaults['batch-size']
  const data = given.data ?? env.IMAGENETTE_PATH
  return {
    // Absolute, because a run may be resumed from another folder.
    data: data && resolve(data),
    variant: choice('--variant', given.variant ?? defaults.variant, VARIANTS),
    profile,
    sections: given.only?.split(',').map((name) => choice('--only', name.trim(), SECTIONS)) ?? SECTIONS,
    size: whole('--size', given.size, ...BOUNDS.size) ?? defaults.size,
    thenSize: whole('--then-size', given['then-size'], ...BOUNDS.thenSize) ?? defaults['then-size'],
    epochs: whole('--epochs', given.epochs, ...BOUNDS.epochs) ?? defaults.epochs,
    batchSize,
    firstBatchSize:
      whole('--first-batch-size', given['first-batch-size'], ...BOUNDS.firstBatchSize) ??
      Math.max(2, Math.floor(batchSize * defaults.firstBatch)),
    limit: whole('--limit', given.limit, ...BOUNDS.limit) ?? defaults.limit,
    valid: share('--valid', given.valid, defaults.valid),
    seed: whole('--seed', given.seed ?? (env.SEED || undefined), ...BOUNDS.seed) ?? 0,
    widen: widenOption(given.widen) ?? 1,
    split: choice('--split', given.split ?? 'new', SPLITS),
    fp32: given.fp32 ?? false,
    out: given.out,
    resume: false,
  }
}

/** Parses a part of a whole. @throws OptionError  unless it is between 0 and 1 */
function share(name: string, given: string | undefined, absent: number): number {
  const value = given === undefined ? absent : Number(given)
  if (value > 0 && value < 1) return value
  throw new OptionError(name, `'${given}' is out of range`, {
    expected: 'a part of the images between 0 and 1, such as 0.2',
  })
}

/**
 * Reads the options of an interrupted run. @throws OptionError  if others are given as well; DataError  if there is no
 * such run
 */
function optionsOf(folder: string, given: readonly string[]): Options {
  const others = given.filter((name) => name !== 'resume')
  if (others.length > 0) {
    throw new OptionError('--resume', 'a run is continued with the options it was begun with', {
      fix: `leave out --${others.join(', --')}`,
    })
  }
  const file = join(folder, OPTIONS_FILE)
  if (!existsSync(file)) {
    throw new DataError(folder, 'there is no run to continue', {
      expected: 'the folder of an interrupted run, such as runs/2026-11-23T21-00-00',
    })
  }
  const saved = parseRecord(file, readFileSync(file, 'utf8'), BEGIN_ANEW)
  // Older runs have one batch size for all sections. JSON has no infinity, which stands for all images.
  const options = {
    ...saved,
    firstBatchSize: saved.firstBatchSize ?? saved.batchSize,
    limit: saved.limit ?? Infinity,
    // Older runs measured on a fifth, as the notebook.
    valid: saved.valid ?? PROFILES.full.valid,
    widen: saved.widen ?? 1,
  }
  requireOptions(file, options)
  return { ...(options as unknown as Options), out: folder, resume: true }
}

const BEGIN_ANEW = 'begin the run anew, without --resume'

/** @throws DataError  naming the file, if a stored option could not have come from a command line */
function requireOptions(file: string, options: Readonly<Record<string, Json | undefined>>): void {
  const isOf = (choices: readonly string[]) => (value: Json | undefined) => choices.includes(value as string)
  const checks: Record<string, (value: Json | undefined) => boolean> = {
    data: (value) => value === undefined || typeof value === 'string',
    fp32: (value) => typeof value === 'boolean',
    profile: isOf(PROFILE_NAMES),
    variant: isOf(VARIANTS),
    split: isOf(SPLITS),
    valid: (value) => typeof value === 'number' && value > 0 && value < 1,
    widen: (value) => typeof value === 'number' && value > WIDEN[0] && value <= WIDEN[1],
    sections: (value) => Array.isArray(value) && value.length > 0 && value.every(isOf(SECTIONS)),
  }
  for (const [name, [low, high]] of Object.entries(BOUNDS)) {
    const isWhole = (value: unknown) => Number.isInteger(value) || (name === 'limit' && value === Infinity)
    checks[name] = (value) => isWhole(value) && Number(value) >= low && Number(value) <= high
  }
  for (const [name, is] of Object.entries(checks)) {
    if (is(options[name])) continue
    throw new DataError(file, `a damaged file: its ${name} is invalid`, {
      given: { [name]: options[name] === undefined ? 'missing' : jsonText(options[name]) },
      fix: BEGIN_ANEW,
    })
  }
}

/** Returns the seed of the new split for larger images. */
export function nextSplit(seed: number): number {
  return seed + 1000
}

export function wantsHelp(argv: readonly string[]): boolean {
  return argv.includes('--help')
}
