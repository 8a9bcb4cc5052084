import { requireInteger } from '../../base/check.ts'
import { DataError } from '../../base/errors.ts'
import { groupBy } from '../../base/group-by.ts'
import { checkArgument, checkOptions, FLAG, NUMBER, oneOf, type Kind, type Kinds } from '../../base/options.ts'
import { rng } from '../../base/rng.ts'
import type { Phase } from '../../data/augment/draw.ts'
import { BatchPipeline } from '../../data/augment/pipeline.ts'
import { doWork, drawWork } from '../../data/item-work.ts'
import { outputName } from '../../data/targets.ts'
import { channelsOf, type Decoding } from '../../image/decode-options.ts'
import { inGrey } from '../../image/grey.ts'
import { isImageFile, openImage, type ImageSource, type OpenedImage } from '../../image/image-source.ts'
import type { Pixels } from '../../image/pixels.ts'
import { resizePixels } from '../../image/resize.ts'
import type { ResizePlan } from '../../image/resize-plan.ts'
import { inEvaluation } from '../../nn/in-evaluation.ts'
import { cast } from '../../ops/cast.ts'
import type { Platform } from '../../platform/platform.ts'
import { noGrad } from '../../tensor/op.ts'
import { read, tensor } from '../../tensor/read-write.ts'
import { release, scope } from '../../tensor/scope.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { activated } from '../fit/activated.ts'
import {
  checkedThreshold,
  type CompleteParts,
  type PredictAllOptions,
  type Prediction,
  type PredictionOutcome,
  type PredictOptions,
} from './predictor.ts'
import { combinePasses } from './tta.ts'

const KINDS: Kinds<PredictOptions> = { tta: oneOf(FLAG, NUMBER), topK: NUMBER, threshold: NUMBER }
const ALL_KINDS: Kinds<PredictAllOptions> = { ...KINDS, batchSize: NUMBER }

/** Check of many images. A path and the bytes of a file are iterable as well: by letter and by number. */
const ITEMS: Kind = {
  expected: 'several images: a list, or another iterable, of paths, bytes or pixels',
  fix: 'pass one image to predict, or in a list; for the images of a loader call learner.getPredictions({ loader })',
  is: (value) =>
    value instanceof Object &&
    !ArrayBuffer.isView(value) &&
    (Symbol.iterator in value || Symbol.asyncIterator in value),
}

/** Source: fastai learner.py, Learner.tta. */
const TTA_PASSES = 4
/** Weight of the pass without random transforms. Source: fastai learner.py, Learner.tta. */
const TTA_BETA = 0.25

/** Work behind a `Predictor`. */
export class Classifier {
  private readonly parts: CompleteParts
  private readonly pipeline: BatchPipeline
  private readonly dtype: 'f32' | 'f16'
  /** Promise that is fulfilled when the last call that was queued is done. */
  private last: Promise<unknown> = Promise.resolve()

  constructor(parts: CompleteParts) {
    this.parts = parts
    this.pipeline = new BatchPipeline(parts.batchTransforms, channelsOf(parts.decoding))
    this.dtype = parts.precision === 'mixed' ? 'f16' : 'f32'
  }

  /** Classifies an image. */
  async predict(item: ImageSource, options: PredictOptions = {}): Promise<Prediction> {
    checkOptions('predict', options, KINDS)
    const request = this.request('predict', options)
    const pixels = await this.decode(item, 'the image', request)
    const [prediction] = await this.classify([{ index: 0, pixels }], request)
    return prediction
  }

  /** Yields the outcome of each image. */
  async *predictEach(
    items: Iterable<ImageSource> | AsyncIterable<ImageSource>,
    options: PredictAllOptions = {},
  ): AsyncGenerator<PredictionOutcome, void, undefined> {
    checkOptions('predictAll', options, ALL_KINDS)
    checkArgument('predictAll', 'items', items, ITEMS)
    const { batchSize = 32 } = options
    requireInteger('predictAll', 'batchSize', batchSize, { from: 1 })
    const request = this.request('predictAll', options)
    const chunks = chunked(items, batchSize, (one) => this.decodeSafely(one, request))
    let isAsking = false
    const next = async (): Promise<readonly Decoded[] | undefined> => {
      isAsking = true
      const { value, done } = await chunks.next()
      isAsking = false
      return done === true ? undefined : Promise.all(value)
    }
    let ahead = next()
    try {
      for (let chunk = await ahead; chunk; chunk = await ahead) {
        ahead = next()
        // Its failure is thrown when its turn comes, not as an unhandled rejection before that.
        ahead.catch(() => {})
        const readable = chunk.filter((one): one is Readable => one.pixels !== undefined)
        const predictions = new Map<number, Prediction>()
        for (const alike of bySize(readable)) {
          const made = await this.classify(alike, request)
          alike.forEach(({ index }, i) => predictions.set(index, made[i]))
        }
        for (const { index, item, error } of chunk) {
          const prediction = predictions.get(index)
          if (prediction) yield { index, item, prediction }
          else if (error) yield { index, item, error }
        }
      }
    } finally {
      const ended = ahead.catch(() => {}).then(() => chunks.return())
      // Not waited for while it has no next image to give, as a camera or a queue may have none for long.
      if (isAsking) ended.catch(() => {})
      else await ended
    }
  }

  /** Decodes an image and resizes it as in validation. @throws DataError  naming it, if it cannot be decoded */
  async pixelsOf(item: ImageSource, where: string): Promise<Pixels> {
    const [pixels] = await this.decode(item, 'the image', { where, phases: ['valid'] })
    return pixels
  }

  private request(where: string, { tta = false, topK = 5, threshold = this.parts.threshold }: PredictOptions): Request {
    const passes = tta === true ? TTA_PASSES : Number(tta)
    requireInteger(where, 'tta', passes, { from: 0 })
    requireInteger(where, 'topK', topK, { from: 1 })
    const phases: Phase[] = ['valid', ...new Array<Phase>(passes).fill('train')]
    return { where, phases, topK, threshold: checkedThreshold(where, threshold) }
  }

  /** Makes the pixels of each pass, which differ where item transforms are random. */
  private async decode(
    item: ImageSource,
    name: string,
    { where, phases }: Pick<Request, 'where' | 'phases'>,
    index = 0,
  ): Promise<Pixels[]> {
    const { platform, decoding, itemTransforms } = this.parts
    const draw = platform.drawablePixels
    const opened = await openImage(item, { where, name, draw })
    const made = new Map<string, Promise<Pixels>>()
    const load = (plan: ResizePlan) => {
      const key = JSON.stringify(plan)
      const known = made.get(key) ?? resized(opened, plan, platform, decoding)
      made.set(key, known)
      return known
    }
    const pixels = phases.map((phase, pass) => {
      const streams = (stream: string) => rng(0, stream === 'crop' ? 'predict' : `predict ${stream}`, index, pass)
      return doWork(drawWork(itemTransforms, streams, phase), load, platform.decoder, opened.path)
    })
    return Promise.all(pixels)
  }

  private async decodeSafely({ index, item }: Numbered, request: Request): Promise<Decoded> {
    try {
      return { index, item, pixels: await this.decode(item, `image ${index}`, request, index) }
    } catch (error) {
      if (!(error instanceof DataError)) throw error
      return { index, item, error }
    }
  }

  /** Runs the model on images of one size once earlier calls are done. */
  private classify(images: readonly Pick<Readable, 'index' | 'pixels'>[], request: Request): Promise<Prediction[]> {
    const work = () => this.classifyNow(images, request)
    const result = this.last.then(work)
    this.last = result.catch(() => {})
    return result
  }

  private async classifyNow(
    images: readonly Pick<Readable, 'index' | 'pixels'>[],
    { phases, topK, threshold }: Request,
  ): Promise<Prediction[]> {
    const passes: Float32Array[] = []
    for (const [pass, phase] of phases.entries()) {
      passes.push(
        await this.pass(
          images.map(({ pixels }) => pixels[pass]),
          phase,
          [images[0].index, pass],
        ),
      )
    }
    const [plain, ...augmented] = passes
    const all = augmented.length > 0 ? combinePasses(augmented, plain, TTA_BETA) : plain
    const columns = all.length / images.length
    return images.map((_, row) => this.prediction(all.slice(row * columns, (row + 1) * columns), topK, threshold))
  }

  private prediction(probabilities: Float32Array, topK: number, threshold: number): Prediction {
    const { vocab, activation, target } = this.parts
    const values = target.columns === 'class' ? undefined : Float32Array.from(target.decode(probabilities, threshold))
    if (values && activation === 'none') {
      const none = { label: undefined, labels: [], isKnown: true, index: 0, probability: NaN, top: [] }
      return { ...none, values, text: target.text(values), probabilities: new Float32Array(0) }
    }
    // Numbers are sorted many times as fast as places by a function of them, of which few are left then.
    const least = probabilities.toSorted().at(-topK) ?? -Infinity
    const top = Array.from(probabilities.keys())
      .filter((index) => probabilities[index] >= least)
      .sort((a, b) => probabilities[b] - probabilities[a])
      .slice(0, topK)
      .map((index) => ({ label: outputName(vocab, index), index, probability: probabilities[index] }))
    const [{ label, index, probability }] = top
    const labels = values ? vocab.filter((_, i) => values[i] > 0.5) : probability >= threshold ? [label] : []
    const isKnown = labels.length > 0
    return {
      label: isKnown ? label : undefined,
      labels,
      values,
      text: values ? target.text(values) : labels.join(),
      isKnown,
      index,
      probability,
      top,
      probabilities,
    }
  }

  /** Computes the probabilities of images of one size, row by row. @throws DataError  if they are not finite */
  private async pass(images: readonly Pixels[], phase: Phase, stream: readonly number[]): Promise<Float32Array> {
    const [{ width, height }] = images
    const places = placesFor(images.length)
    const pixels = new Uint32Array(places * height * width)
    const bytes = new Uint8Array(pixels.buffer)
    for (let i = 0; i < places; i++) bytes.set(images[i % images.length].data, i * 4 * height * width)
    const outputs = this.probabilities(pixels, [places, height, width], phase, stream)
    const [, columns] = outputs.shape
    const reading = read(outputs)
    release(outputs)
    const values = Float32Array.from((await reading).subarray(0, images.length * columns))
    if (values.every(Number.isFinite)) return values
    throw new DataError('predict', "the model's outputs are not finite, so there is no prediction", {
      given: { outputs: values.length, 'not finite': values.filter((value) => !Number.isFinite(value)).length },
      fix: 'its training has diverged: train it again with a lower learning rate',
    })
  }

  private probabilities(
    pixels: Uint32Array,
    shape: readonly [number, number, number],
    phase: Phase,
    stream: readonly number[],
  ): Tensor {
    const run = () => {
      const input = this.pipeline.run(tensor(pixels, shape, 'u32'), rng(0, 'predict', ...stream), phase, this.dtype)
      return activated(this.parts, cast(this.parts.model.forward(input), 'f32'))
    }
    try {
      return inEvaluation(this.parts.model, () => scope(() => noGrad(run)))
    } finally {
      this.pipeline.release()
    }
  }
}

/** Options of a call, checked and completed. */
interface Request {
  readonly where: string
  /** Phases of the passes: 'valid', then 'train' for each pass with random transforms. */
  readonly phases: readonly Phase[]
  readonly topK: number
  readonly threshold: number
}

interface Numbered {
  readonly index: number
  readonly item: ImageSource
}
type Readable = Numbered & { readonly pixels: readonly Pixels[]; readonly error?: undefined }
type Decoded = Readable | (Numbered & { readonly pixels?: undefined; readonly error: DataError })

async function resized(
  image: OpenedImage,
  resize: ResizePlan,
  { decoder }: Pick<Platform, 'decoder'>,
  decoding: Decoding | undefined,
): Promise<Pixels> {
  if (image.pixels) return resizePixels(channelsOf(decoding) === 1 ? inGrey(image.pixels) : image.pixels, resize)
  return decoder.decode({ ...image, resize, decoding })
}

/**
 * Begins to decode each item as it comes, and collects them into lists of a length; the last may be shorter. The next item is
 * asked for when pixels and drawables have been read: what makes them may use their memory, canvas or video for it.
 */
async function* chunked(
  items: Iterable<ImageSource> | AsyncIterable<ImageSource>,
  length: number,
  decode: (one: Numbered) => Promise<Decoded>,
): AsyncGenerator<Promise<Decoded>[], void, undefined> {
  let chunk: Promise<Decoded>[] = []
  let index = 0
  for await (const item of items) {
    const decoded = decode({ index: index++, item })
    // Its failure is thrown with its list, not as an unhandled rejection before that.
    decoded.catch(() => {})
    if (!isImageFile(item)) await decoded
    chunk.push(decoded)
    if (chunk.length < length) continue
    yield chunk
    chunk = []
  }
  if (chunk.length > 0) yield chunk
}

/** Groups images by their size, which differs where no item transform resizes them. */
function bySize(images: readonly Readable[]): Iterable<readonly Readable[]> {
  return groupBy(images, ({ pixels: [{ width, height }] }) => `${width} ${height}`).values()
}

/**
 * Places of a batch for so many images: the next power of two, as kernels may be compiled for each size of a batch. The
 * surplus places repeat images.
 */
function placesFor(count: number): number {
  return 2 ** Math.ceil(Math.log2(count))
}
