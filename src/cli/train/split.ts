import { DataError, OptionError } from '../../base/errors.ts'
import { stratifiedSplitter, type ImageFolder, type Side, type Survey } from '../../exports/data.ts'
import { whole } from '../command.ts'

const DEFAULT_SHARE = 0.2
const DEFAULT_SEED = 42

/** Option `--valid`: a share of every class, or the name of a folder or part; neither where it is not given. */
export interface Valid {
  readonly share?: number
  readonly folder?: string
}

/** Returns the option `--valid`. @throws OptionError  if it is a number out of range */
export function validOption(given: string | undefined): Valid {
  if (given === undefined) return {}
  const percent = /^([\d.]+)\s*%$/.exec(given)?.[1]
  const share = percent === undefined ? Number(given) : Number(percent) / 100
  if (given.trim() === '' || Number.isNaN(share)) return { folder: given }
  if (share > 0 && share < 1) return { share }
  throw new OptionError('--valid', `'${given}' is out of range`, {
    expected: 'a share between 0 and 1, such as 0.2 or 20%, or the name of a folder',
  })
}

/** @throws OptionError  if a share is asked for of images that are divided already */
export function requireShareFor({ images }: Pick<ImageFolder, 'images'>, { share }: Valid): void {
  if (share === undefined || images.every(({ side }) => side === undefined)) return
  throw new OptionError('--valid', 'the folders or the table say already what is measured on', {
    given: { valid: share },
    fix: 'leave it out, or name one of several folders or parts to measure on',
  })
}

/** Returns the option `--seed`. @throws OptionError  if it is not an integer in range */
export function seedOption(given: string | undefined): number {
  return whole('--seed', given, 0, 2 ** 31) ?? DEFAULT_SEED
}

/** Division of the surveyed images into those to train on and those to measure on. */
export interface SplitSides {
  sideOf(path: string): Side | undefined
  /** One line that says how they are divided. */
  readonly text: string
}

/**
 * Divides the images of a survey: as their folders or table say, otherwise at random, of each class where there are classes,
 * with copies of an image on one side.
 */
export function splitOf(
  { images, folder }: Survey,
  { valid: { share = DEFAULT_SHARE }, seed }: { readonly valid: Valid; readonly seed: number },
): SplitSides {
  const given = images.some(({ side }) => side !== undefined)
  if (given) {
    const sides = new Map(images.map(({ path, side }) => [path, side]))
    return { sideOf: (path) => sides.get(path), text: 'split    as the folders or the table say' }
  }
  const byPath = new Map(images.map((image) => [image.path, image]))
  const byClass = folder.targets.kind === 'class'
  const splitter = stratifiedSplitter({
    labelOf: (path) => (byClass ? (byPath.get(path)?.label ?? '') : ''),
    together: (path) => byPath.get(path)?.content ?? path,
    validPercent: share,
    seed,
  })
  const paths = images.map(({ path }) => path)
  const measured = new Set(measuredOf(folder.path, () => splitter(paths).valid).map((item) => paths[item]))
  return {
    sideOf: (path) => (byPath.has(path) ? (measured.has(path) ? 'valid' : 'train') : undefined),
    text: `split    ${Math.round(100 * share)}% of ${byClass ? 'every class' : 'the images'} to measure on, chosen at random by seed ${seed}`,
  }
}

/** Returns the items to measure on. @throws DataError  that names the folder, if none is left for either side */
function measuredOf(path: string, split: () => ArrayLike<number>): number[] {
  try {
    return Array.from(split())
  } catch (cause) {
    if (!(cause instanceof DataError)) throw cause
    throw new DataError(path, 'there are too few images to train and to measure on', {
      expected: 'two images of one class at least, which are not copies of each other',
      fix: 'put more images into it',
      cause,
    })
  }
}
