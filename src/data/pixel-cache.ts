import { formatBytes } from '../base/format.ts'
import { requireRange } from '../base/check.ts'
import { checkOptions, NUMBER } from '../base/options.ts'
import { currentGpu, type Gpu } from '../gpu/device.ts'
import type { Platform } from '../platform/platform.ts'
import type { Pixels } from '../image/pixels.ts'
import { ResidentImages, residentBudget } from './resident-images.ts'

/** Part of the free memory. Of 10 GiB it holds all of Imagenette at 224 × 224: 13 394 images of 196 KiB, 2.5 GiB. */
const DEFAULT_PART = 1 / 4
/** Budget in a page that cannot tell how much memory there is. */
const UNKNOWN_BYTES = 2 ** 30

/** Bytes for decoded images on a machine, by the memory that is free there now. */
export function cacheBudget({ availableBytes }: Pick<Platform, 'availableBytes'>): number {
  const free = availableBytes?.()
  return free === undefined ? UNKNOWN_BYTES : Math.floor(DEFAULT_PART * free)
}

/**
 * Decoded images by name, as many as fit a budget; what has come first stays. Decoding a JPEG costs milliseconds, so
 * from the second epoch on a data set that fits is only copied.
 *
 * Loaders can share one (the `cache` of DataBlock.loaders), as those of one data set at several batch sizes do.
 */
export class PixelCache {
  readonly limitBytes: number
  usedBytes = 0
  /** An image did not fit. */
  full = false
  private readonly pictures = new Map<string, Pixels>()
  private readonly gpuBytes: number | undefined
  private readonly residents = new WeakMap<Gpu, ResidentImages>()

  /**
   * @param limitBytes  for the pixels, 4 bytes each; 0 keeps nothing. Default: a quarter of the free memory, with an open GPU
   * @param options.gpuBytes  for images of finished size in the memory of the GPU, those of other caches counted in. Default: 1 GiB, 0 on a
   *                          software adapter
   */
  constructor(limitBytes = cacheBudget(currentGpu().platform), options: { readonly gpuBytes?: number } = {}) {
    checkOptions('PixelCache', options, { gpuBytes: NUMBER })
    const { gpuBytes } = options
    requireRange('PixelCache', { limitBytes }, limitBytes >= 0, 'at least 0')
    if (gpuBytes !== undefined) requireRange('PixelCache', { gpuBytes }, gpuBytes >= 0, 'at least 0')
    this.limitBytes = limitBytes
    this.gpuBytes = gpuBytes
  }

  /** Returns the images that are in the memory of a GPU as well. */
  onGpu(gpu: Gpu): ResidentImages {
    const known = this.residents.get(gpu)
    if (known) return known
    const made = new ResidentImages(gpu, this.gpuBytes ?? residentBudget(gpu))
    this.residents.set(gpu, made)
    return made
  }

  get count(): number {
    return this.pictures.size
  }

  get(name: string): Pixels | undefined {
    return this.pictures.get(name)
  }

  /** Remembers an image where it fits. @returns whether it did */
  put(name: string, pixels: Pixels): boolean {
    if (this.pictures.has(name)) return true
    if (this.usedBytes + pixels.data.byteLength > this.limitBytes) {
      this.full = true
      return false
    }
    this.usedBytes += pixels.data.byteLength
    this.pictures.set(name, pixels)
    return true
  }

  /** Forgets everything. */
  clear(): void {
    this.pictures.clear()
    this.usedBytes = 0
    this.full = false
  }

  toString(): string {
    return `${this.count} decoded images, ${formatBytes(this.usedBytes)} of ${formatBytes(this.limitBytes)}`
  }
}
