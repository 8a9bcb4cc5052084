import { DataError } from '../base/errors.ts'
import type { BufferView } from '../gpu/buffers.ts'
import { currentGpu } from '../gpu/device.ts'
import type { Pixels } from '../image/pixels.ts'
import { release } from '../tensor/scope.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { tensor, upload, zeros } from '../tensor/read-write.ts'
import type { BatchPipeline } from './augment/pipeline.ts'
import type { BatchDraw } from './augment/plan.ts'
import type { ResidentImage, ResidentImages } from './resident-images.ts'
import { emptyNumbers, rowsOf, type TargetCodec, type TargetNumbers } from './targets.ts'

/** Images of one size with their labels, in the memory of the CPU. */
export interface HostBatch {
  /** Number of the batch within the epoch, from 0. */
  readonly index: number
  /** Places that hold an item; those behind it repeat one, to keep the size. */
  readonly count: number
  /** The item in each of the N places, by its number in the data set. */
  readonly items: Uint32Array
  /** Numbers of the targets of the N places, one after the other; empty where they are not known. */
  readonly labels: TargetNumbers
  readonly height: number
  readonly width: number
  /** [N,H,W], a pixel's bytes R G B A from the lowest; with `resident` only the images that are sent, one after the other. */
  readonly pixels: Uint32Array
  /** Name of each image in `pixels`, `undefined` where it is not of finished size (see `Pictures.finishedName`). */
  readonly names?: readonly (string | undefined)[]
  /** Images in the memory of the GPU by their place; in the other places are those of `pixels`, in their order. */
  readonly resident?: readonly (ResidentImage | undefined)[]
}

/** Targets that the loss compares outputs with: labels, and with mixup a second label and the share of the first. */
export interface Targets {
  /** Classes, [N] u32, or numbers, [N,columns] f32 */
  readonly a: Tensor
  /** [N] u32; for classes only, as numbers are mixed themselves */
  readonly b?: Tensor
  /** [N] f32, in [0,1]: the target is mix·a + (1 − mix)·b */
  readonly mix?: Tensor
}

/** A batch on the GPU. Its tensors are good until the next batch of the same loader is asked for. */
export interface Batch {
  readonly index: number
  readonly count: number
  readonly items: Uint32Array
  /** The targets as they are on the CPU: classes, or rows of numbers; empty where they are not known. */
  readonly labels: TargetNumbers
  /** [N,H,W] u32 */
  readonly pixels: Tensor
  /** Labels of the batch; zeros where they are not known. */
  readonly targets: Targets
  /** Random numbers of its augmentation. */
  readonly draw: BatchDraw
  /**
   * Records the augmentation: the network's input, [N,h,w,channels] of that type. Asked for twice, the images are the same.
   * Inside a scope it is released with the scope.
   */
  input(dtype: 'f32' | 'f16'): Tensor
  /** First half of `input`, for steps that are recorded once: uploads what was drawn to where the launches of `augment` read it. */
  write(): void
  /** Second half of `input`: records the augmentation, of what `write` uploads. */
  augment(dtype: 'f32' | 'f16'): Tensor
}

/** Parts that a batch is made of. */
export interface BatchParts {
  readonly index: number
  /** Places, at least as many as items. */
  readonly N: number
  readonly items: Uint32Array
  /** Pixels of each item; missing where its file cannot be decoded. */
  readonly pictures: readonly (Pixels | undefined)[]
  /** Numbers of the targets of all items of the data set; empty where they are not known. */
  readonly labels: TargetNumbers
  readonly target: Pick<TargetCodec, 'columns'>
  readonly paths: readonly string[]
  /** 'count': repeated images are items like the others (training); 'pad': they only fill the batch. */
  readonly repeats: 'count' | 'pad'
  /** Where the pixels go, if its length is N·H·W; otherwise a new array. */
  readonly staging: Uint32Array | undefined
}

/**
 * Puts images side by side into one array. Those that are there come first, and are repeated to fill all places.
 *
 * @returns  nothing where all images are missing
 * @throws DataError  when the images differ in size
 */
export function assemble({
  index,
  N,
  items,
  pictures,
  labels,
  target,
  paths,
  repeats,
  staging,
}: BatchParts): HostBatch | undefined {
  const present = pictures.flatMap((picture, i) => (picture ? [{ picture, item: items[i] }] : []))
  if (present.length === 0) return undefined
  const { width, height } = present[0].picture
  const different = present.find(({ picture }) => picture.width !== width || picture.height !== height)
  if (different) {
    throw new DataError(paths[different.item], 'another size than the first image of its batch', {
      given: { size: sizeText(different.picture), first: sizeText(present[0].picture) },
      fix: 'give `itemTransforms: [resize(224)]` to the DataBlock',
    })
  }
  const pixels = staging?.length === N * width * height ? staging : new Uint32Array(N * width * height)
  const bytes = new Uint8Array(pixels.buffer, pixels.byteOffset, N * width * height * 4)
  const placed = new Uint32Array(N)
  for (let i = 0; i < N; i++) {
    const { picture, item } = present[i % present.length]
    bytes.set(picture.data, i * width * height * 4)
    placed[i] = item
  }
  const count = repeats === 'count' ? N : present.length
  return {
    index,
    count,
    items: placed,
    labels: labels.length > 0 ? rowsOf(labels, target, placed) : labels,
    height,
    width,
    pixels,
  }
}

function sizeText({ width, height }: Pixels): string {
  return `${width} × ${height}`
}

/**
 * Puts a batch together of which some images are in the memory of the GPU, in N places as `assemble` fills them.
 *
 * @param resident  the image of each item, `undefined` for those in `sent`
 * @param sent      pixels and names of the other items, in their order
 */
export function assembleResident(
  { index, N, items, labels, target, repeats }: Omit<BatchParts, 'pictures' | 'paths' | 'staging'>,
  resident: readonly (ResidentImage | undefined)[],
  { pixels, names }: Pick<HostBatch, 'pixels' | 'names'>,
  { width, height }: Pick<HostBatch, 'width' | 'height'>,
): HostBatch {
  const placed = Uint32Array.from({ length: N }, (_, place) => items[place % items.length])
  return {
    index,
    count: repeats === 'count' ? N : items.length,
    items: placed,
    labels: labels.length > 0 ? rowsOf(labels, target, placed) : labels,
    height,
    width,
    pixels,
    names: names ?? [],
    resident,
  }
}

/** Tensors that one batch after the other is written to: a launch finds its data always in the same place. */
export class BatchBuffers {
  private pixels: Tensor | undefined
  private labels: Tensor | undefined
  /** Images of a batch that are not in the memory of the GPU. */
  private sent: Tensor | undefined
  private readonly target: Pick<TargetCodec, 'columns'>

  constructor(target: Pick<TargetCodec, 'columns'>) {
    this.target = target
  }

  /** Sends a batch to the GPU, after all work recorded so far. @throws DataError when its size is not the first one's */
  load(host: HostBatch, pipeline: BatchPipeline, draw: BatchDraw): Batch {
    const shape = [host.items.length, host.height, host.width]
    if (this.pixels && this.pixels.shape.join() !== shape.join()) {
      throw new DataError('batch', 'the images of this batch have another size than those before', {
        given: { size: `${host.width} × ${host.height}`, before: `${this.pixels.shape[2]} × ${this.pixels.shape[1]}` },
        fix: 'give `itemTransforms: [resize(224)]` to the DataBlock',
      })
    }
    if (host.resident) this.pixels = this.gather(host, host.resident, shape)
    else if (this.pixels) upload(this.pixels, host.pixels)
    else this.pixels = tensor(host.pixels, shape, 'u32')
    const N = host.items.length
    const { columns } = this.target
    const known = host.labels.length > 0 ? host.labels : emptyNumbers(this.target, N)
    if (this.labels) upload(this.labels, known)
    else this.labels = columns === 'class' ? tensor(known, [N], 'u32') : tensor(known, [N, columns])
    const { pixels, labels } = this
    return {
      index: host.index,
      count: host.count,
      items: host.items,
      labels: host.labels,
      pixels,
      targets: { a: labels },
      draw,
      write: () => pipeline.write(draw),
      augment: (dtype) => pipeline.launch(pixels, draw.plan, dtype),
      input(dtype) {
        this.write()
        return this.augment(dtype)
      },
    }
  }

  /** Copies the images of a batch that was loaded to those that stay in the memory of the GPU. */
  keep({ names = [], resident, width, height }: HostBatch, images: ResidentImages): void {
    const from = resident ? this.sent : this.pixels
    if (!from) return
    for (const [place, name] of names.entries()) {
      if (name !== undefined) images.keep(name, imageView(from, place, 4 * width * height), { width, height })
    }
  }

  /** Sends the images that are not in the memory of the GPU, and copies all of them to their places. */
  private gather(host: HostBatch, resident: readonly (ResidentImage | undefined)[], shape: readonly number[]): Tensor {
    const { queue } = currentGpu()
    const pixels = this.pixels ?? zeros(shape, 'u32')
    if (host.pixels.length > 0) {
      this.sent ??= zeros(shape, 'u32')
      queue.write(this.sent.view.buffer, this.sent.view.offset, host.pixels)
    }
    const size = 4 * host.width * host.height
    let next = 0
    const sources = resident.map((image) => image?.view ?? (this.sent && imageView(this.sent, next++, size)))
    for (let place = 0; place < host.items.length; place++) {
      const source = sources[place % sources.length]
      if (source) queue.copy(source, imageView(pixels, place, size))
    }
    return pixels
  }

  release(): void {
    if (this.pixels) release(this.pixels)
    if (this.labels) release(this.labels)
    if (this.sent) release(this.sent)
    this.sent = undefined
    this.pixels = undefined
    this.labels = undefined
  }
}

/** Part of a tensor of images that holds one of them. */
function imageView({ view: { buffer, offset } }: Tensor, place: number, size: number): BufferView {
  return { buffer, offset: offset + place * size, size }
}
