import { DataError } from '../base/errors.ts'
import { formatBytes } from '../base/format.ts'
import type { Pixels, Platform, ResizePlan } from '../platform/platform.ts'
import type { PixelCache } from './pixel-cache.ts'
import { dependsOnPlace, mirrored, resizePixels } from './resize.ts'

/** More unreadable items than one in a hundred: the data set is not what it should be. */
const TOLERATED_PART = 0.01
/** From this many decoding threads on, decoding a picture again there is cheaper than resizing a kept one here. */
const MANY_THREADS = 4

export interface PicturesOptions {
  readonly platform: Pick<Platform, 'decoder' | 'log'>
  /** Paths of the image files. */
  readonly items: readonly string[]
  readonly cache: PixelCache
}

/**
 * The pictures of a data set by item number: decoded, brought to size, and remembered while there is room, so that
 * later epochs decode nothing.
 *
 * What is remembered is the finished picture where it does not depend on the random place of its crop, else the whole
 * picture, cropped anew each time: the pixels are those that decoding anew would give.
 */
export class Pictures {
  readonly items: readonly string[]
  readonly cache: PixelCache
  private readonly platform: PicturesOptions['platform']
  private readonly unreadable = new Map<number, string>()
  /** Where the size of a picture decides: how many depended on the place of the crop, and how many did not. */
  private readonly seen = { varying: 0, fixed: 0 }
  private saidFull = false

  constructor({ platform, items, cache }: PicturesOptions) {
    this.platform = platform
    this.items = items
    this.cache = cache
  }

  /** Items left out because their file cannot be decoded. */
  get bad(): ReadonlyMap<number, string> {
    return this.unreadable
  }

  /**
   * What the plan makes of an item's picture, or nothing where its file cannot be decoded, which is reported once.
   *
   * @throws DataError  when more than one item in a hundred cannot be decoded
   */
  async get(item: number, plan: ResizePlan): Promise<Pixels | undefined> {
    if (this.unreadable.has(item)) {
      this.requireFewUnreadable()
      return undefined
    }
    try {
      return await this.load(this.items[item], plan)
    } catch (error) {
      if (!(error instanceof DataError)) throw error
      this.setAside(item, error.message)
      return undefined
    }
  }

  private async load(path: string, plan: ResizePlan): Promise<Pixels> {
    const { cache } = this
    const { decoder } = this.platform
    const kept = cache.get(path)
    if (plan.method === 'whole') {
      const whole = kept ?? this.remember(path, await decoder.decode({ path }))
      return plan.mirror ? mirrored(whole) : whole
    }
    const finishedName = `${path} ${nameOf(plan)}`
    const finished = cache.get(finishedName)
    if (finished) return finished
    if (kept) return resizePixels(kept, plan)

    const varies = dependsOnPlace(plan)
    if (varies === false) return this.remember(finishedName, await decoder.decode({ path, resize: plan }))
    const keepsWhole = decoder.threads < MANY_THREADS
    const probablyVaries = varies ?? this.seen.varying > this.seen.fixed
    if (cache.full || (probablyVaries && !keepsWhole)) return decoder.decode({ path, resize: plan })
    const whole = await decoder.decode({ path })
    const thisVaries = dependsOnPlace(plan, whole)
    if (varies === undefined) this.seen[thisVaries ? 'varying' : 'fixed']++
    if (thisVaries && keepsWhole) this.remember(path, whole)
    const sized = resizePixels(whole, plan)
    return thisVaries ? sized : this.remember(finishedName, sized)
  }

  private remember(name: string, pixels: Pixels): Pixels {
    const { cache } = this
    if (!cache.put(name, pixels) && !this.saidFull && cache.limitBytes > 0) {
      this.saidFull = true
      this.platform.log(
        `the first ${cache.count} decoded pictures fill the ${formatBytes(cache.limitBytes)} set aside for them (cacheBytes); ` +
          'the others are decoded anew each epoch',
      )
    }
    return pixels
  }

  private setAside(item: number, message: string): void {
    // Two batches that are prepared at once may both meet it.
    if (this.unreadable.has(item)) return
    this.unreadable.set(item, message)
    this.platform.log(`left out: ${message}`)
    this.requireFewUnreadable()
  }

  /** Asked again for every item that was set aside: who met it first may not have waited for the answer. */
  private requireFewUnreadable(): void {
    if (this.unreadable.size <= TOLERATED_PART * this.items.length) return
    // What was expected of each has been logged.
    const some = [...this.unreadable.values()].slice(0, 5).map((text, i) => [` ${i + 1}`, text.split('\n')[0]] as const)
    throw new DataError('data set', 'too many images cannot be decoded', {
      given: {
        unreadable: `${this.unreadable.size} of ${this.items.length}, the first of them:`,
        ...Object.fromEntries(some),
      },
      expected: 'at most one in a hundred',
      fix: 'get the files again, or leave these out',
    })
  }
}

/** A plan but for its random place. */
function nameOf(plan: Exclude<ResizePlan, { method: 'whole' }>): string {
  const { method, width, height, mirror = false } = plan
  const squished = method === 'middle' ? `+${plan.extra}` : ''
  return `${mirror ? 'mirrored ' : ''}${method} ${width}x${height}${squished}`
}
