import { base64 } from '../../base/base64.ts'
import { DataError, OptionError } from '../../base/errors.ts'
import type { CleaningList } from '../../data/cleaning.ts'
import type { Pictures } from '../../data/pictures.ts'
import type { Pixels } from '../../image/pixels.ts'
import { resample } from '../../image/resize.ts'
import type { Platform } from '../../platform/platform.ts'
import { byLoss } from '../results/cleaning-list.ts'
import { gradCam } from '../results/grad-cam.ts'
import type { ClassificationInterpretation, ItemLoss } from '../results/interpretation.ts'
import type { Predictor } from '../results/predictor.ts'
import type { TargetInterpretation } from '../results/target-interpretation.ts'
import {
  MOST_CLASSES,
  type ConfusionResult,
  type SuspectLabels,
  type TargetResults,
  type WrongTile,
} from './figures.ts'

/** Number of confused pairs of classes that a report lists. */
const PAIRS = 5
/** Side in pixels of the misclassified images: larger than the network's input, for human readers. */
const WRONG_SIZE = 128
/** Most heat maps of a report: each takes a pass of the network back and forth, and about 40 kB. */
const MAPS = 12
/** Most images with suspect labels that a report shows. */
const SUSPECTS = 12

/** Counts of an interpretation for a report. @param nameOf  text shown for a class */
export function confusionOf(
  interpretation: ClassificationInterpretation,
  nameOf: (label: string) => string = (label) => label,
): ConfusionResult {
  const pairs = interpretation.mostConfused().slice(0, PAIRS)
  return {
    classes: interpretation.vocab.map(nameOf),
    counts: interpretation.vocab.length > MOST_CLASSES ? [] : interpretation.confusionMatrix(),
    pairs: pairs.map(({ actual, predicted, count }) => ({
      actual: nameOf(actual),
      predicted: nameOf(predicted),
      count,
    })),
  }
}

/**
 * Misclassified images among those with the largest losses, decoded for human readers.
 *
 * @param worst  items of `topLosses`; correctly classified ones are left out
 */
export function wrongTiles(
  platform: Pick<Platform, 'decoder' | 'encodePng'>,
  worst: readonly ItemLoss[],
  { items, decoding }: Pick<Pictures, 'items' | 'decoding'>,
  nameOf: (label: string) => string = (label) => label,
): Promise<WrongTile[]> {
  return Promise.all(
    worst
      .filter(({ actual, predicted }) => actual !== predicted)
      .map(async ({ item, actual, predicted, loss, probability }) => ({
        uri: await fileUri(platform, items[item], decoding),
        actual: nameOf(actual),
        predicted: nameOf(predicted),
        loss,
        probability,
        path: items[item],
      })),
  )
}

/** Results of targets that are labels or numbers for a report, with the most wrong images. */
export async function targetResults(
  platform: Pick<Platform, 'decoder' | 'encodePng'>,
  interpretation: TargetInterpretation,
  { items, decoding }: Pick<Pictures, 'items' | 'decoding'>,
  shown: number,
): Promise<TargetResults> {
  const mostWrong = await Promise.all(
    interpretation.mostWrong(shown).map(async ({ item, ...rest }) => ({
      ...rest,
      uri: await fileUri(platform, items[item], decoding),
      path: items[item],
    })),
  )
  return {
    isLabels: interpretation.isLabels,
    count: interpretation.results.predictions.rows,
    scores: interpretation.scores(),
    labels: interpretation.labelScores(),
    numbers: interpretation.numberErrors(),
    mostWrong,
  }
}

/**
 * Adds heat maps of what speaks for the predicted class (see `gradCam`) to the first images.
 *
 * @param tiles  those of `wrongTiles`, with the labels of the predictor as they are
 * @returns  the images, and why maps are missing, where the network has no layer with places or its outputs are not finite
 */
export async function withMaps(
  of: { predictor(): Predictor },
  tiles: readonly WrongTile[],
): Promise<{ readonly tiles: WrongTile[]; readonly note?: string }> {
  const mapped: WrongTile[] = []
  for (const tile of tiles.slice(0, MAPS)) {
    if (tile.path === undefined) return { tiles: [...tiles] }
    try {
      const { overlay } = await gradCam(of, tile.path, { label: tile.predicted })
      mapped.push({ ...tile, map: await pngUri(of.predictor().platform, small(overlay)) })
    } catch (error) {
      if (!(error instanceof OptionError || error instanceof DataError)) throw error
      return { tiles: [...tiles], note: error.message.split('\n')[0].replace(/^gradCam: /, '') }
    }
  }
  return { tiles: [...mapped, ...tiles.slice(MAPS)] }
}

/** Reduces an image to the size of the others. */
function small(image: Pixels): Pixels {
  const { width, height } = image
  const scale = WRONG_SIZE / Math.max(width, height)
  if (scale >= 1) return image
  const [newWidth, newHeight] = [width, height].map((side) => Math.max(1, Math.round(side * scale)))
  return resample(image, { left: 0, top: 0, width, height }, newWidth, newHeight)
}

/** Images of a cleaning list for which another label is suggested, those with the largest losses decoded for human readers. */
export async function suspectsOf(
  platform: Pick<Platform, 'decoder' | 'encodePng'>,
  { items }: CleaningList,
  { decoding }: Pick<Pictures, 'decoding'>,
): Promise<Omit<SuspectLabels, 'advice' | 'command'>> {
  const suspects = items.flatMap((item) =>
    item.suggested === undefined ? [] : [{ ...item, suggested: item.suggested }],
  )
  const tiles = suspects
    .sort(byLoss)
    .slice(0, SUSPECTS)
    .map(async ({ path, label, suggested, loss }) => ({
      uri: await fileUri(platform, path, decoding),
      path,
      actual: label,
      suggested,
      loss,
    }))
  return { suggested: suspects.length, count: items.length, tiles: await Promise.all(tiles) }
}

/** Returns the center of an image file as a `data:` address. */
async function fileUri(
  platform: Pick<Platform, 'decoder' | 'encodePng'>,
  path: string,
  decoding: Pictures['decoding'],
): Promise<string> {
  const resize = { method: 'crop', width: WRONG_SIZE, height: WRONG_SIZE, position: [0.5, 0.5] } as const
  return pngUri(platform, await platform.decoder.decode({ path, resize, decoding }))
}

/** Returns an image as a `data:` address, which a page shows without another file. */
export async function pngUri({ encodePng }: Pick<Platform, 'encodePng'>, image: Pixels): Promise<string> {
  return `data:image/png;base64,${base64(await encodePng(image))}`
}
