import { requireInteger } from '../base/check.ts'
import { DataError, OptionError } from '../base/errors.ts'
import { ANY, checkOptions, FLAG, NUMBER, oneOfTexts, type Kinds } from '../base/options.ts'
import { rng, type Rng } from '../base/rng.ts'
import type { Pixels } from '../image/pixels.ts'
import type { Platform } from '../platform/platform.ts'
import { channelsOf } from '../image/decode-options.ts'
import { currentGpu } from '../gpu/device.ts'
import { augmentStream, type Phase } from './augment/draw.ts'
import { identityStats, type ChannelStats } from './augment/normalize.ts'
import { BatchPipeline } from './augment/pipeline.ts'
import { toBatchTransforms, type BatchTransform, type GivenBatchTransform } from './augment/transforms.ts'
import { assemble, assembleResident, BatchBuffers, type Batch, type HostBatch } from './batch.ts'
import { sortItemTransforms, type GivenItemTransform, type ItemTransform } from './item-transforms.ts'
import { doWork, drawWork, isPlanOnly, type ItemWork } from './item-work.ts'
import type { Pictures } from './pictures.ts'
import type { ResidentImages } from './resident-images.ts'
import { categoryTarget, type TargetCodec, type TargetNumbers } from './targets.ts'

/** Batches being decoded while the GPU works on earlier ones. */
const DEPTH = 2
/** Batches given out before the GPU has to be done with the first of them: more would only fill memory. */
const STEPS_AHEAD = 2

/** Parts that a `Loader` is made of; `DataBlock.loaders` puts them together. */
export interface LoaderOptions {
  readonly platform: Platform
  readonly pictures: Pictures
  /** Numbers of the target of every item of the data set, one after the other; empty where they are not known. */
  readonly labels: TargetNumbers
  /** Meaning of the targets. Default: one class of the vocabulary each */
  readonly target?: TargetCodec
  readonly vocab: readonly string[]
  /** Which items of the data set this loader gives, in the order of an epoch that is not shuffled. */
  readonly items: Uint32Array
  /** 'train' shuffles, leaves out the last partial batch and draws at random; 'valid' does none of these. */
  readonly split: Phase
  readonly batchSize: number
  readonly itemTransforms: readonly GivenItemTransform[]
  readonly batchTransforms: readonly GivenBatchTransform[]
  readonly seed: number
  /** Batches prepared ahead. Default 2 */
  readonly depth?: number
  /**
   * Weight of each of `items`, by place: a shuffled pass draws as many items as there are, each with a probability
   * proportional to its weight, and some more than once. Default: every item once
   */
  readonly itemWeights?: Float64Array | undefined
}

/** Options of one pass over the items. */
export interface EpochOptions {
  /** Chooses the order and the random numbers: the same epoch gives the same batches. Default 0 */
  readonly epoch?: number
  /** How the transforms draw. Default: as the loader's split says; 'train' on validation items is test-time augmentation */
  readonly draws?: Phase
  /** Number of the pass within its epoch; passes draw different random numbers. Default 0 */
  readonly pass?: number
  /** Take the items in a random order. Default: as the loader's split says */
  readonly shuffle?: boolean
  /**
   * Leave out a partial last batch, and fill the place of an item that cannot be decoded with another. Default: as the
   * loader's split says
   */
  readonly dropLast?: boolean
}

const PHASE = oneOfTexts('train', 'valid')
const EPOCH_KINDS: Kinds<EpochOptions> = {
  epoch: NUMBER,
  draws: PHASE,
  pass: NUMBER,
  shuffle: FLAG,
  dropLast: FLAG,
}
const LOADER_KINDS: Kinds<LoaderOptions> = {
  platform: ANY,
  pictures: ANY,
  labels: ANY,
  target: ANY,
  vocab: ANY,
  items: ANY,
  split: PHASE,
  batchSize: NUMBER,
  itemTransforms: ANY,
  batchTransforms: ANY,
  seed: NUMBER,
  depth: NUMBER,
  itemWeights: ANY,
}

/** The items of one subset as batches of images and labels. */
export class Loader {
  readonly split: Phase
  readonly batchSize: number
  readonly vocab: readonly string[]
  /** Items of the data set by number, as an unshuffled pass gives them. */
  readonly items: Uint32Array
  /** Meaning of the targets. */
  readonly target: TargetCodec
  /** Numbers of the targets of all items of the data set: of item i those from i·columns on; empty where they are not known. */
  readonly labels: TargetNumbers
  readonly pictures: Pictures
  readonly itemTransforms: readonly ItemTransform[]
  readonly batchTransforms: readonly BatchTransform[]
  readonly pipeline: BatchPipeline
  readonly platform: Platform
  /** Mean and standard deviation that the network's input is normalized with; 0 and 1 if it is not. */
  readonly stats: ChannelStats
  /** Weights by which a shuffled pass draws its items, by place; `undefined` if it visits each once. */
  readonly itemWeights: Float64Array | undefined
  private readonly seed: number
  private readonly depth: number
  private readonly options: LoaderOptions

  constructor(options: LoaderOptions) {
    checkOptions('loader', options, LOADER_KINDS)
    const { platform, pictures, labels, vocab, items, split, batchSize, seed, depth = DEPTH } = options
    requireInteger('loader', 'batchSize', batchSize, { from: 1 })
    this.platform = platform
    this.pictures = pictures
    this.labels = labels
    this.vocab = vocab
    this.target = options.target ?? categoryTarget(vocab)
    this.items = items
    this.split = split
    this.batchSize = batchSize
    this.itemTransforms = sortItemTransforms(options.itemTransforms)
    const batchTransforms = toBatchTransforms<BatchTransform>(options.batchTransforms)
    this.batchTransforms = batchTransforms
    this.pipeline = new BatchPipeline(batchTransforms, this.channels)
    this.stats = batchTransforms.find((transform) => transform.kind === 'normalize') ?? identityStats(this.channels)
    this.itemWeights = options.itemWeights
    if (this.itemWeights && this.itemWeights.length !== items.length) {
      throw new OptionError('loader', 'there are not as many weights as items', {
        given: { items: items.length, itemWeights: this.itemWeights.length },
        expected: 'one weight for each of the items, in their order',
      })
    }
    this.seed = seed
    this.depth = Math.max(1, depth)
    this.options = options
  }

  /**
   * Returns another loader that differs from this one in the given options; with other items it has no weights of items
   * unless they are given too. Source: fastai data/core.py, TfmdDL.new.
   */
  with(changes: Partial<LoaderOptions>): Loader {
    checkOptions('loader.with', changes, LOADER_KINDS)
    return new Loader({ ...this.options, ...(changes.items && { itemWeights: undefined }), ...changes })
  }

  /** Channels of the network's input: 3, or 1 for grey images. */
  get channels(): 1 | 3 {
    return channelsOf(this.pictures.decoding)
  }

  /** True if the labels of the images are known. */
  get labelled(): boolean {
    return this.labels.length > 0
  }

  /** Batches of an epoch: a partial last one counts in validation only. */
  get batchCount(): number {
    return this.countBatches(this.dropsLast())
  }

  /** Items that an epoch visits. */
  get itemCount(): number {
    return Math.min(this.items.length, this.batchCount * this.batchSize)
  }

  /**
   * The batches of one pass. The next ones are decoded while the consumer and the GPU work, and the GPU is never more
   * than two batches behind. The tensors of a batch are released, or written anew, when the next is asked for.
   *
   * @throws DataError  when more than one item in a hundred cannot be decoded, or images differ in size
   */
  async *batches(pass: EpochOptions = {}): AsyncGenerator<Batch, void, undefined> {
    checkOptions('loader', pass, EPOCH_KINDS)
    const buffers = new BatchBuffers(this.target)
    // Its own, as the loader may be gone through by others at the same time.
    const pipeline = new BatchPipeline(this.batchTransforms, this.channels)
    const fences: (() => Promise<void>)[] = []
    const all = this.pictures.cache.onGpu(currentGpu())
    // Without a budget, the usual case on a software adapter, no image is looked for there.
    const images = all.limitBytes > 0 ? all : undefined
    try {
      for await (const { host, free } of this.hostBatches(pass, images)) {
        // Everything for the batches given out so far is recorded by now.
        fences.push(currentGpu().queue.fence())
        if (fences.length > STEPS_AHEAD) await fences.shift()?.()
        const batch = this.send(host, pass, buffers, pipeline)
        if (images) buffers.keep(host, images)
        free()
        yield batch
      }
    } finally {
      buffers.release()
      pipeline.release()
    }
  }

  /** The first batch of a pass; it is good until its `release`. @throws DataError when there is none */
  async oneBatch(pass: EpochOptions = {}): Promise<Batch & { release(): void }> {
    checkOptions('oneBatch', pass, EPOCH_KINDS)
    for await (const { host } of this.hostBatches(pass)) {
      const buffers = new BatchBuffers(this.target)
      const pipeline = new BatchPipeline(this.batchTransforms, this.channels)
      const release = () => {
        buffers.release()
        pipeline.release()
      }
      return { ...this.send(host, pass, buffers, pipeline), release }
    }
    throw new DataError('oneBatch', 'there is no batch', {
      given: { items: this.items.length, batchSize: this.batchSize },
      expected: this.split === 'train' ? 'at least one full batch' : 'at least one item',
    })
  }

  /** Draws what is random about a batch and puts it on the GPU. */
  private send(
    host: HostBatch,
    { epoch = 0, draws = this.split, pass = 0 }: EpochOptions,
    buffers: BatchBuffers,
    pipeline: BatchPipeline,
  ): Batch {
    const shape = { N: host.items.length, H: host.height, W: host.width }
    const stream = augmentStream(this.seed, epoch, host.index, pass)
    const ownStream = (name: string) => rng(this.seed, `own batch ${name}`, epoch, host.index, pass)
    const draw = pipeline.draw(stream, shape, draws, ownStream)
    return buffers.load(host, pipeline, draw)
  }

  /**
   * As `batches`, on the CPU: decoded, cropped and put together; `free` says that the pixels may be written over.
   *
   * @param images  those in the memory of a GPU: a batch of them has no pixels here. Default none
   */
  async *hostBatches(
    pass: EpochOptions = {},
    images?: ResidentImages,
  ): AsyncGenerator<{ readonly host: HostBatch; free(): void }, void, undefined> {
    const order = this.order(pass)
    const count = this.countBatches(this.dropsLast(pass))
    const unused: Uint32Array[] = []
    const ahead: Promise<HostBatch | undefined>[] = []
    /** How often each item of the data set has come up: weights may choose one several times. */
    const times = new Uint32Array(this.pictures.items.length)
    let next = 0
    const prepare = () => {
      while (next < count && ahead.length < this.depth) {
        const items = order.slice(next * this.batchSize, (next + 1) * this.batchSize)
        const works = Array.from(items, (item) => this.drawItem(item, times[item]++, pass))
        const batch = this.prepare(next, items, works, pass, { images, staging: unused })
        // Its failure is thrown when its turn comes, not as an unhandled rejection before that.
        batch.catch(() => {})
        ahead.push(batch)
        next++
      }
    }
    try {
      prepare()
      for (let first = ahead.shift(); first; first = ahead.shift()) {
        prepare()
        const host = await first
        // Nothing in it could be decoded.
        if (!host) continue
        yield { host, free: () => void unused.push(host.pixels) }
      }
    } finally {
      await Promise.allSettled(ahead)
    }
  }

  /** The items of a pass in their order. */
  order(pass: EpochOptions = {}): Uint32Array {
    checkOptions('loader', pass, EPOCH_KINDS)
    const { epoch = 0, shuffle = this.split === 'train' } = pass
    if (!shuffle) return this.items
    if (this.itemWeights) return drawn(this.items, this.itemWeights, rng(this.seed, 'weighted', epoch))
    return rng(this.seed, 'shuffle', epoch)
      .permutation(this.items.length)
      .map((place) => this.items[place])
  }

  private async prepare(
    index: number,
    items: Uint32Array,
    works: readonly ItemWork[],
    pass: EpochOptions,
    { images, staging }: { readonly images: ResidentImages | undefined; readonly staging: Uint32Array[] },
  ): Promise<HostBatch | undefined> {
    const { pictures, batchSize: N, labels, target } = this
    const repeats = this.dropsLast(pass) ? 'count' : 'pad'
    // An image that was changed after it was resized is not remembered anywhere.
    const nameOf = (place: number) =>
      isPlanOnly(works[place]) ? pictures.finishedName(items[place], works[place].plan) : undefined
    /** Pixels of the items in some places, `undefined` if none can be decoded. */
    const load = async (places: readonly number[], count: number): Promise<HostBatch | undefined> => {
      const found = await Promise.all(places.map((place) => this.imageOf(items[place], works[place])))
      const host = assemble({
        index,
        N: count,
        items: Uint32Array.from(places, (place) => items[place]),
        pictures: found,
        labels,
        target,
        paths: pictures.items,
        staging: staging.pop(),
        repeats,
      })
      if (!host || !images) return host
      // Items that are missing move those behind them.
      return { ...host, names: places.filter((_, i) => found[i]).map(nameOf) }
    }
    const all = [...works.keys()]
    const resident = all.map((place) => (images?.count ? images.get(nameOf(place) ?? '') : undefined))
    const first = resident.find((image) => image !== undefined)
    const isOther = resident.some((image) => image && (image.width !== first?.width || image.height !== first.height))
    // Those of several sizes are refused there.
    if (!first || isOther) return load(all, N)
    const missing = all.filter((place) => !resident[place])
    const parts = { index, N, items, labels, target, repeats } as const
    if (missing.length === 0) return assembleResident(parts, resident, { pixels: new Uint32Array(0) }, first)
    const sent = await load(missing, missing.length)
    const isWhole = sent?.names?.length === missing.length && sent.width === first.width && sent.height === first.height
    // Everything is decoded once more where an item is missing, so that the others move, or has another size.
    return isWhole ? assembleResident(parts, resident, sent, first) : load(all, N)
  }

  /** Draws what the item transforms do with an item in that pass; `time` counts its earlier appearances there. */
  private drawItem(item: number, time: number, { epoch = 0, draws = this.split, pass = 0 }: EpochOptions): ItemWork {
    // The stream of a first appearance has no such number, so that passes without weights keep their draws.
    const again = time === 0 ? [] : [time]
    return drawWork(this.itemTransforms, (name) => rng(this.seed, name, epoch, item, pass, ...again), draws)
  }

  /** Returns the image of an item; nothing where its file cannot be decoded. */
  private imageOf(item: number, work: ItemWork): Promise<Pixels | undefined> {
    const { pictures, platform } = this
    return doWork(work, (plan) => pictures.get(item, plan), platform.decoder, pictures.items[item])
  }

  /** True if all batches are full and all their places count. */
  private dropsLast({ dropLast = this.split === 'train' }: EpochOptions = {}): boolean {
    return dropLast
  }

  private countBatches(dropLast: boolean): number {
    const batches = this.items.length / this.batchSize
    return dropLast ? Math.floor(batches) : Math.ceil(batches)
  }
}

/** Draws as many items as there are, with replacement. Source: numpy.random.choice(n, n, p=weights), as in fastai's WeightedDL. */
function drawn(items: Uint32Array, weights: Float64Array, random: Rng): Uint32Array {
  const sums = new Float64Array(weights.length)
  let total = 0
  for (const [place, weight] of weights.entries()) sums[place] = total += weight
  return items.map(() => {
    const wanted = random.uniform(0, total)
    // The first place whose sum is above: one of weight 0 never is.
    let [low, high] = [0, sums.length - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (sums[middle] > wanted) high = middle
      else low = middle + 1
    }
    return items[low]
  })
}
