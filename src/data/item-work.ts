import type { Rng } from '../base/rng.ts'
import { editPixels, type PixelEdit } from '../image/pixel-edits.ts'
import type { Pixels } from '../image/pixels.ts'
import type { ResizePlan } from '../image/resize-plan.ts'
import { resizePixels } from '../image/resize.ts'
import type { DecodePool } from '../platform/platform.ts'
import type { Phase } from './augment/draw.ts'
import { drawPlan, type ItemTransform } from './item-transforms.ts'
import { applyOwn } from './apply-own-item.ts'
import type { OwnItemTransform } from './own-item-transform.ts'

/** Change of an image after it was resized: edits that any thread can make, or code of one's own. */
type Change =
  | { readonly drawEdits: (image: Pixels) => readonly PixelEdit[] }
  | { readonly own: OwnItemTransform; readonly random: Rng }

/** Work of the item transforms on one image, with its random numbers or the streams that they come from. */
export interface ItemWork {
  readonly phase: Phase
  /** Code of one's own that sees the whole image, before it is resized. */
  readonly before: readonly Change[]
  readonly plan: ResizePlan
  readonly after: readonly Change[]
}

/** Returns the stream of random numbers of a name, for one image of one epoch. */
export type Streams = (name: string) => Rng

/** Draws what the transforms, sorted, do with one image. */
export function drawWork(transforms: readonly ItemTransform[], streams: Streams, phase: Phase): ItemWork {
  const plan = drawPlan(transforms, streams('crop'), phase)
  const [before, after]: [Change[], Change[]] = [[], []]
  for (const transform of transforms) {
    if (transform.kind === 'own') {
      if (transform.runsOn === 'train' && phase !== 'train') continue
      const change = { own: transform, random: streams(`own ${transform.name}`) }
      if (transform.order < 1) before.push(change)
      else after.push(change)
    } else if ('drawEdits' in transform && phase === 'train') {
      const random = streams(transform.kind)
      after.push({ drawEdits: (image) => transform.drawEdits(random, image) })
    }
  }
  return { phase, before, plan, after }
}

/** True if an image is what its plan makes of it, so that it can be kept under the name of the plan. */
export function isPlanOnly({ before, after }: ItemWork): boolean {
  return before.length === 0 && after.length === 0
}

/**
 * Makes the image of an item.
 *
 * @param load  returns what a plan makes of the file; nothing if it cannot be decoded
 * @param decoder  makes edits, on its threads
 * @param path  named in errors
 * @throws OptionError  if code of one's own fails
 */
export async function doWork<Found extends Pixels | undefined>(
  { phase, before, plan, after }: ItemWork,
  load: (plan: ResizePlan) => Promise<Found>,
  decoder: Pick<DecodePool, 'decode' | 'threads'>,
  path: string,
): Promise<Found | Pixels> {
  const found = await load(before.length > 0 ? { method: 'whole' } : plan)
  if (!found) return found
  const make = async (given: Pixels, changes: readonly Change[]) => {
    let image = given
    for (const change of changes) {
      if ('own' in change) image = await applyOwn(change.own, image, { random: change.random, phase }, path)
      else image = await edited(image, change.drawEdits(image), decoder, path)
    }
    return image
  }
  if (before.length === 0) return make(found, after)
  return make(resizePixels(await make(found, before), plan), after)
}

/** Edits an image, on a thread of the decoder if it has any. */
async function edited(
  image: Pixels,
  edits: readonly PixelEdit[],
  decoder: Pick<DecodePool, 'decode' | 'threads'>,
  path: string,
): Promise<Pixels> {
  if (edits.length === 0 || decoder.threads === 0) return editPixels(image, edits)
  return decoder.decode({ path, from: image, edits })
}
