import type { Pictures } from '../../data/pictures.ts'
import type { Pixels } from '../../image/pixels.ts'
import type { Platform } from '../../platform/platform.ts'
import type { ClassificationInterpretation, ItemLoss } from '../results/interpretation.ts'
import type { ConfusionResult, WrongTile } from './figures.ts'

/** Number of confused pairs of classes that a report lists. */
const PAIRS = 5
/** Side in pixels of the misclassified images: larger than the network's input, for human readers. */
const WRONG_SIZE = 128

/** Counts of an interpretation for a report. @param nameOf  text shown for a class */
export function confusionOf(
  interpretation: ClassificationInterpretation,
  nameOf: (label: string) => string = (label) => label,
): ConfusionResult {
  const pairs = interpretation.mostConfused().slice(0, PAIRS)
  return {
    classes: interpretation.vocab.map(nameOf),
    counts: interpretation.confusionMatrix(),
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
  const resize = { method: 'crop', width: WRONG_SIZE, height: WRONG_SIZE, position: [0.5, 0.5] } as const
  return Promise.all(
    worst
      .filter(({ actual, predicted }) => actual !== predicted)
      .map(async ({ item, actual, predicted, loss, probability }) => ({
        uri: await pngUri(platform, await platform.decoder.decode({ path: items[item], resize, decoding })),
        actual: nameOf(actual),
        predicted: nameOf(predicted),
        loss,
        probability,
        path: items[item],
      })),
  )
}

/** Returns an image as a `data:` address, which a page shows without another file. */
export async function pngUri({ encodePng }: Pick<Platform, 'encodePng'>, image: Pixels): Promise<string> {
  return `data:image/png;base64,${base64(await encodePng(image))}`
}

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

/** Encodes bytes in base 64, with neither Node nor a page at hand. Source: RFC 4648, section 4. */
function base64(bytes: Uint8Array): string {
  const parts: string[] = []
  for (let i = 0; i < bytes.length; i += 3) {
    const [a, b = 0, c = 0] = bytes.subarray(i, i + 3)
    const group = (a << 16) | (b << 8) | c
    const digits = [18, 12, 6, 0].map((shift) => DIGITS[(group >> shift) & 63])
    const given = Math.min(3, bytes.length - i)
    parts.push(digits.slice(0, given + 1).join('') + '='.repeat(3 - given))
  }
  return parts.join('')
}
