import { requireInteger } from '../../base/check.ts'
import { DataError, OptionError } from '../../base/errors.ts'
import {
  ANY,
  checkArgument,
  checkOptions,
  nearest,
  NUMBER,
  objectWith,
  oneOf,
  TEXT,
  type Kinds,
} from '../../base/options.ts'
import { rng } from '../../base/rng.ts'
import { identityStats } from '../../data/augment/normalize.ts'
import { BatchPipeline } from '../../data/augment/pipeline.ts'
import { toImage } from '../../data/show.ts'
import { heatOverlay, type HeatMap } from '../../image/heat-map.ts'
import type { ImageSource } from '../../image/image-source.ts'
import type { Pixels } from '../../image/pixels.ts'
import { Module } from '../../nn/module.ts'
import { inEvaluation } from '../../nn/in-evaluation.ts'
import { aroundForwards, modulePaths, type ForwardCall } from '../../nn/module-paths.ts'
import { backward } from '../../tensor/backward.ts'
import { copy, empty } from '../../tensor/launch.ts'
import { noGrad, remember } from '../../tensor/op.ts'
import { read, tensor } from '../../tensor/read-write.ts'
import { withoutRecompute } from '../../tensor/recompute.ts'
import { keep, release, scope } from '../../tensor/scope.ts'
import type { Shape } from '../../tensor/shape.ts'
import { Tensor } from '../../tensor/tensor.ts'
import { outputName } from '../../data/targets.ts'
import { activated } from '../fit/activated.ts'
import type { Predictor } from './predictor.ts'

/** Options of `gradCam`. */
export interface GradCamOptions {
  /** Label to explain, or the number of an output. Default: the one with the largest probability */
  readonly label?: string | number
  /**
   * Layer whose activations are looked at: its path, such as `'7'` or `'0.7.1'`, or the module itself. Its output must be
   * [N,H,W,C]. Default: the last layer whose output is larger than 1 × 1
   */
  readonly layer?: string | Module
}

const KINDS: Kinds<GradCamOptions> = { label: oneOf(TEXT, NUMBER), layer: ANY }

/** Parts of an image that speak for a label, as `gradCam` finds them. */
export interface GradCam extends HeatMap {
  /** Label that is explained. */
  readonly label: string
  /** Number of its output. */
  readonly index: number
  /** Its probability. */
  readonly probability: number
  /** Path of the layer. */
  readonly layer: string
  /** Evidence for the label at each place of the layer, 0 or more; width × height numbers, row by row. */
  readonly values: Float32Array
  /** Image as the network receives it: resized as in validation. */
  readonly image: Pixels
  /** The image below the heat map, whose largest value is the brightest. */
  readonly overlay: Pixels
  /** Encodes the overlay as a PNG. */
  toPng(): Promise<Uint8Array>
}

/**
 * Finds which parts of an image speak for a label (Grad-CAM):
 *
 *   map = ReLU(Σ_k a_k · A_k),   a_k = mean over the places of ∂y/∂A_k
 *
 * A_k is channel k of the layer's output and y the output of the label before the softmax. The model is in evaluation
 * mode and computes in f32; its parameters, their gradients and a fit that is going on are not touched.
 *
 *   const { overlay, label } = await gradCam(learner, 'cat.jpg')
 *
 * @param of    learner or predictor
 * @param item  image, as for `predict`
 * @throws OptionError  for a label or layer that does not exist, or a layer without places
 * @throws DataError    naming the image, if it cannot be decoded
 * Source: Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2; fastai's book, chapter 18.
 */
export async function gradCam(
  of: Predictor | { predictor(): Predictor },
  item: ImageSource,
  options: GradCamOptions = {},
): Promise<GradCam> {
  checkArgument('gradCam', 'of', of, oneOf(objectWith('a learner', 'predictor'), objectWith('a predictor', 'predict')))
  checkOptions('gradCam', options, KINDS)
  const predictor = 'predictor' in of ? of.predictor() : of
  const { model, vocab, batchTransforms, platform } = predictor
  const wanted = options.layer === undefined ? undefined : findLayer(model, options.layer)
  const known = options.label === undefined ? undefined : indexOf(vocab, options.label)
  const pixels = await predictor.pixelsOf(item, 'gradCam')

  const { input, probabilities, shapes } = await firstPass(predictor, pixels)
  try {
    const index = known ?? largest(probabilities)
    requireInteger('gradCam', 'label', index, { from: 0, to: probabilities.length - 1 })
    const layer = wanted ?? lastWithPlaces(shapes)
    requirePlaces(layer, shapes.get(layer))
    const map = await mapOf(model, { input, layer, seed: oneHot(index, probabilities.length) })
    const stats =
      batchTransforms.find((transform) => transform.kind === 'normalize') ?? identityStats(predictor.channels)
    const [, H, W] = input.shape
    const image = toImage(await read(input), W, H, stats)
    const overlay = heatOverlay(image, map)
    const label = outputName(vocab, index)
    const toPng = () => platform.encodePng(overlay)
    return { ...map, label, index, probability: probabilities[index], layer, image, overlay, toPng }
  } finally {
    release(input)
  }
}

interface FirstPass {
  /** Input of the network, [1,H,W,C] f32; the caller releases it. */
  readonly input: Tensor
  readonly probabilities: Float32Array
  /** Shapes of the outputs of the layers by path, in the order in which they were done. */
  readonly shapes: ReadonlyMap<string, Shape>
}

async function firstPass(predictor: Predictor, { width, height, data }: Pixels): Promise<FirstPass> {
  const { model, batchTransforms, channels } = predictor
  const shapes = new Map<string, Shape>()
  const pipeline = new BatchPipeline(batchTransforms, channels)
  const run = () => {
    const pixels = tensor(new Uint32Array(data.slice().buffer), [1, height, width], 'u32')
    const input = pipeline.run(pixels, rng(0, 'gradCam'), 'valid')
    const watch = ({ path, run: forward }: ForwardCall) => {
      const output = forward()
      shapes.delete(path)
      shapes.set(path, output.shape)
      return output
    }
    const outputs = aroundForwards(model, watch, () => model.forward(input))
    return { input, probabilities: activated(predictor, outputs) }
  }
  const runOnce = () => {
    try {
      return inEvaluation(model, () => scope(() => noGrad(run)))
    } finally {
      pipeline.release()
    }
  }
  const { input, probabilities } = runOnce()
  const reading = read(probabilities)
  release(probabilities)
  return { input, probabilities: Float32Array.from(await reading), shapes }
}

interface MapParts {
  readonly input: Tensor
  readonly layer: string
  /** Gradient of the outputs. */
  readonly seed: readonly number[]
}

async function mapOf(model: Module, parts: MapParts): Promise<HeatMap> {
  const { activation, gradient } = inEvaluation(model, () => withFrozen(model, () => differentiated(model, parts)))
  const reading = Promise.all([read(activation), read(gradient)])
  const [, height, width, channels] = activation.shape
  release(activation)
  release(gradient)
  const [A, dA] = await reading
  const places = height * width
  const weights = new Float64Array(channels)
  for (let i = 0; i < dA.length; i++) weights[i % channels] += dA[i] / places
  const values = Float32Array.from({ length: places }, (_, place) => {
    let sum = 0
    for (let c = 0; c < channels; c++) sum += weights[c] * A[place * channels + c]
    return Math.max(0, sum)
  })
  return { width, height, values }
}

/** Runs the model with a tape that begins behind the layer, and back. @returns  kept tensors */
function differentiated(
  model: Module,
  { input, layer, seed }: MapParts,
): { readonly activation: Tensor; readonly gradient: Tensor } {
  // Activations of every call of the layer, of which the last counts.
  const made: Tensor[] = []
  let gradient: Tensor | undefined
  const begin = ({ path, run }: ForwardCall): Tensor => {
    const output = run()
    if (path !== layer) return output
    // A copy, as a layer may return its input or tensors that it keeps.
    const activation = keep(copied(output))
    made.push(activation)
    const start = new Tensor(activation, activation.storage)
    remember({
      name: 'gradCam',
      inputs: [],
      output: start,
      extras: [],
      needs: [],
      backward: (dy) => {
        if (activation === made.at(-1)) gradient = keep(dy)
        return []
      },
    })
    return start
  }
  try {
    scope(() =>
      withoutRecompute(() => {
        const outputs = aroundForwards(model, begin, () => model.forward(input))
        // Parameters are frozen: the tape begins at the layer, or nowhere.
        if (outputs.needsGrad) backward(outputs, tensor(seed, outputs.shape))
      }),
    )
    const activation = made.at(-1)
    if (activation && gradient) {
      made.pop()
      return { activation, gradient }
    }
  } finally {
    for (const unused of made) release(unused)
  }
  throw new OptionError('gradCam', `the outputs do not depend on layer '${layer}'`, {
    fix: 'name a layer that the outputs are computed from',
  })
}

function copied(x: Tensor): Tensor {
  const y = empty(x, 'activation')
  copy(x, y)
  return y
}

/** Runs work in which no parameter is trainable, so that no gradient of one is computed. */
function withFrozen<Result>(model: Module, work: () => Result): Result {
  const leaves = model.parameters().map(({ leaf }) => leaf)
  const before = leaves.map(({ trainable }) => trainable)
  for (const leaf of leaves) leaf.trainable = false
  try {
    return work()
  } finally {
    leaves.forEach((leaf, i) => (leaf.trainable = before[i]))
  }
}

function oneHot(index: number, length: number): number[] {
  return Array.from({ length }, (_, i) => (i === index ? 1 : 0))
}

function largest(probabilities: Float32Array): number {
  const index = probabilities.indexOf(probabilities.reduce((most, value) => Math.max(most, value)))
  if (index >= 0) return index
  throw new DataError('gradCam', "the model's outputs are not finite, so there is nothing to explain", {
    fix: 'its training has diverged: train it again with a lower learning rate',
  })
}

/** @throws OptionError  if the label is unknown */
function indexOf(vocab: readonly string[], label: string | number): number {
  const index = typeof label === 'number' ? label : vocab.indexOf(label)
  if (index !== -1) return index
  const near = nearest(String(label), vocab)
  throw new OptionError('gradCam', `there is no label '${label}'`, {
    given: { labels: vocab.slice(0, 12).join(', ') + (vocab.length > 12 ? `, … (${vocab.length})` : '') },
    fix: near && `write '${near}'`,
  })
}

/** @throws OptionError  if the layer is not one of the model */
function findLayer(model: Module, layer: string | Module): string {
  const paths = modulePaths(model)
  if (typeof layer === 'string' && [...paths.values()].includes(layer)) return layer
  const path = layer instanceof Module ? paths.get(layer) : undefined
  if (path !== undefined) return path
  throw new OptionError(
    'gradCam',
    `there is no layer ${typeof layer === 'string' ? `'${layer}'` : 'like that'} in the model`,
    {
      given: { layers: model.children().map(([name]) => name) },
      expected: 'a path such as those of model.summary(…), without the names of parameters, or a module of the model',
    },
  )
}

/** @throws OptionError  if no layer has an output larger than 1 × 1 */
function lastWithPlaces(shapes: FirstPass['shapes']): string {
  const last = [...shapes].findLast(([, shape]) => shape.length === 4 && shape[1] * shape[2] > 1)
  if (last) return last[0]
  throw new OptionError('gradCam', 'no layer of the model has an output with places, [N,H,W,C]', {
    fix: 'it explains convolutional networks, on images that are not reduced to 1 × 1 by the first layer',
  })
}

/** @throws OptionError  if a layer did not run, or its output has no places */
function requirePlaces(layer: string, shape: Shape | undefined): void {
  if (shape?.length === 4) return
  throw new OptionError('gradCam', `the output of layer '${layer}' has no places to look at`, {
    given: { output: shape ?? 'none, as the layer did not run' },
    expected: '[N,H,W,C]',
    fix: 'name a layer before the pooling, or leave `layer` out',
  })
}
