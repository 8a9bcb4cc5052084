import { DataError, DecodeError } from '../base/errors.ts'
import { formatBytes } from '../base/format.ts'
import type { Platform } from '../platform/platform.ts'
import { decodingKey, DEFAULT_DECODING, type Decoding } from '../image/decode-options.ts'
import type { ResizePlan } from '../image/resize-plan.ts'
import type { Pixels } from '../image/pixels.ts'
import { requireReadable, tolerated as toleratedOf } from './check-files.ts'
import type { PixelCache } from './pixel-cache.ts'
import { dependsOnPlace, resizePixels, turnedPixels } from '../image/resize.ts'

/**
 * From this many decoding threads on, decoding an image again there is cheaper than resizing a kept one here, where threads
 * cannot share it.
 */
const MANY_THREADS = 4
/**
 * A whole image is kept where it has at most so many times the pixels that are needed of it. ImageNet's usual
 * 500 × 375 are 46 times 64 × 64; the 12 megapixels of a telephone are 240 times 224 × 224.
 */
const MOST_TIMES_KEPT = 64

/** Parts that `Pictures` are made of. */
export interface PicturesOptions {
  readonly platform: Pick<Platform, 'decoder' | 'drawsPage' | 'log'>
  /** Paths of the image files. */
  readonly items: readonly string[]
  readonly cache: PixelCache
  /** Way in which files become pixels. Default: that of `ImageBlock()` */
  readonly decoding?: Decoding
  /** Items that may be left out, as their file cannot be read. Default: one in a hundred, but always one */
  readonly tolerated?: number
}

/**
 * The images of a data set by item number: decoded, brought to size, and remembered while there is room, so that
 * later epochs decode nothing.
 *
 * It remembers the finished image if that does not depend on the random place of its crop, and otherwise the whole image,
 * cropped anew each time, unless it is far larger: the pixels are those that decoding anew would give.
 */
export class Pictures {
  readonly items: readonly string[]
  readonly cache: PixelCache
  readonly decoding: Decoding
  private readonly platform: PicturesOptions['platform']
  private readonly tolerated: number
  private readonly unreadable = new Map<number, Unreadable>()
  /** Images that are too large to be kept whole. */
  private readonly large = new Set<string>()
  /** Where the size of an image decides: how many depended on the place of the crop, and how many did not. */
  private readonly seen = { varying: 0, fixed: 0 }
  private saidFull = false

  constructor({
    platform,
    items,
    cache,
    decoding = DEFAULT_DECODING,
    tolerated = toleratedOf(items.length),
  }: PicturesOptions) {
    this.platform = platform
    this.items = items
    this.cache = cache
    this.decoding = decoding
    this.tolerated = tolerated
  }

  /** Items left out because their file cannot be read or decoded. */
  get bad(): ReadonlyMap<number, string> {
    return new Map(Array.from(this.unreadable, ([item, { message }]) => [item, message]))
  }

  /**
   * Pixels that the plan makes of an item's image, or nothing where its file cannot be decoded, which is reported once. A
   * file that could not be read is tried again the next time: the reason may have passed.
   *
   * @throws DataError  when more items cannot be read than are tolerated
   */
  async get(item: number, plan: ResizePlan): Promise<Pixels | undefined> {
    if (this.unreadable.get(item)?.forGood) {
      this.requireFewUnreadable()
      return undefined
    }
    try {
      const pixels = await this.load(this.items[item], plan)
      if (this.unreadable.delete(item)) this.platform.log(`could be read again: ${this.items[item]}`)
      return pixels
    } catch (error) {
      if (!(error instanceof DataError)) throw error
      this.setAside(item, { message: error.message, forGood: error instanceof DecodeError })
      return undefined
    }
  }

  /**
   * Returns the name under which the pixels that a plan makes of an item are remembered, `undefined` where they are not:
   * they depend on a random place, or do not fit.
   */
  finishedName(item: number, plan: ResizePlan): string | undefined {
    const whole = this.nameOf(this.items[item])
    const name = plan.method === 'whole' ? whole : `${whole} ${planName(plan)}`
    const turnsWhole = plan.method === 'whole' && (plan.mirror === true || plan.dihedral !== undefined)
    return turnsWhole || !this.cache.get(name) ? undefined : name
  }

  private nameOf(path: string): string {
    return [path, decodingKey(this.decoding)].filter((part) => part !== '').join(' ')
  }

  private async load(path: string, plan: ResizePlan): Promise<Pixels> {
    const { cache, decoding } = this
    const { decoder, drawsPage = false } = this.platform
    const shares = decoder.threads > 0 && decoder.shares === true
    const decode = (resize?: ResizePlan) =>
      decoder.decode(resize ? { path, resize, decoding } : { path, decoding, share: shares })
    const resized = (from: Pixels) =>
      shares ? decoder.decode({ path, from, resize: plan, decoding }) : resizePixels(from, plan)
    const name = this.nameOf(path)
    const kept = cache.get(name)
    if (plan.method === 'whole') {
      const whole = kept ?? this.remember(name, await decode())
      return turnedPixels(whole, plan)
    }
    const finishedName = `${name} ${planName(plan)}`
    const finished = cache.get(finishedName)
    if (finished) return finished
    if (kept) return resized(kept)

    const varies = dependsOnPlace(plan)
    if (varies === false) return this.remember(finishedName, await decode(plan))
    // Shrunk on load, the pixels are not those that the whole image gives.
    if (decoding.shrink === 'fast') return decode(plan)
    // A page would stand still while the thread that draws it resized an image, or took over the pixels of a whole one.
    if (drawsPage && decoder.threads > 0 && !shares) return decode(plan)
    const keepsWhole = shares || decoder.threads < MANY_THREADS
    const probablyVaries = varies ?? this.seen.varying > this.seen.fixed
    if (cache.full || this.large.has(path) || (probablyVaries && !keepsWhole)) {
      return decode(plan)
    }
    const whole = await decode()
    const thisVaries = dependsOnPlace(plan, whole)
    if (varies === undefined) this.seen[thisVaries ? 'varying' : 'fixed']++
    const isLarge = whole.width * whole.height > MOST_TIMES_KEPT * plan.width * plan.height
    if (thisVaries && isLarge) this.large.add(path)
    else if (thisVaries && keepsWhole) this.remember(name, whole)
    const sized = await resized(whole)
    return thisVaries ? sized : this.remember(finishedName, sized)
  }

  private remember(name: string, pixels: Pixels): Pixels {
    const { cache } = this
    if (!cache.put(name, pixels) && !this.saidFull && cache.limitBytes > 0) {
      this.saidFull = true
      this.platform.log(
        `the first ${cache.count} decoded images fill the ${formatBytes(cache.limitBytes)} set aside for them (cacheBytes); ` +
          'the others are decoded anew each epoch',
      )
    }
    return pixels
  }

  private setAside(item: number, reason: Unreadable): void {
    // Two batches that are prepared at once may both meet it.
    const known = this.unreadable.get(item)?.message === reason.message
    this.unreadable.set(item, reason)
    if (!known) this.platform.log(`left out: ${reason.message}`)
    this.requireFewUnreadable()
  }

  /** Asked again for every item that was set aside: who met it first may not have waited for the answer. */
  private requireFewUnreadable(): void {
    requireReadable(
      Array.from(this.unreadable.values(), ({ message }) => message),
      this.items.length,
      this.tolerated,
    )
  }
}

/** Why an item is left out, and whether it stays so: undecodable bytes stay undecodable. */
interface Unreadable {
  readonly message: string
  readonly forGood: boolean
}

/** Returns a plan without its random place. */
function planName(plan: Exclude<ResizePlan, { method: 'whole' }>): string {
  const { method, width, height, mirror = false, dihedral = 0 } = plan
  const squished = method === 'middle' ? `+${plan.extra}` : ''
  const turned = dihedral > 0 ? `turned ${dihedral} ` : mirror ? 'mirrored ' : ''
  const middle = method === 'window' && !plan.position ? ' middle' : ''
  const padded = 'padMode' in plan && plan.padMode !== undefined ? ` ${plan.padMode}` : ''
  return `${turned}${method} ${width}x${height}${squished}${middle}${padded}`
}
