import { DtypeError, OptionError, ShapeError } from '../../base/errors.ts'
import { formatShape } from '../../base/format.ts'
import type { Rng } from '../../base/rng.ts'
import { PAD_MODES } from '../../image/resize-plan.ts'
import { elementwise, empty, launch } from '../../tensor/launch.ts'
import { keep, release, scope } from '../../tensor/scope.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { tensor, upload, zeros } from '../../tensor/read-write.ts'
import type { BatchShape, Phase } from './draw.ts'
import { erasingNoise, NOISE_PIXELS } from './erasing.ts'
import { applyOwnBatch } from './apply-own.ts'
import { identityStats, type ChannelStats } from './normalize.ts'
import { checkNumbers, NORMALIZED, type DrawnNumbers, type DrawnTensors, type OwnBatchTransform } from './own.ts'
import { chain, drawBatch, ITEM_NUMBERS, plan, type BatchDraw, type BatchPlan, type TransformChain } from './plan.ts'
import type { BatchTransform } from './transforms.ts'
import '../../gpu/wgsl/augment/index.ts'

/** Tensors that the launches for one batch size read; the same for every batch. */
interface Parameters {
  readonly items: Tensor
  readonly geometry: Tensor
  /** Rectangles and noise positions, as in `Erased`; `undefined` without erasing. */
  readonly erased: { readonly areas: Tensor; readonly starts: Tensor } | undefined
  /** Numbers of transforms from outside, by their names; added by the first `write`. */
  readonly own: Map<string, DrawnTensors>
}

/**
 * Chain of batch transforms on the GPU: turns 8-bit images into the network's input in one launch, and one more if
 * rectangles are erased.
 *
 *   out = erase(normalize(hue(lighting(resize(crop(warp(pixels / 255)))))))
 *
 * Transforms from outside run before the normalization, which then is a launch of its own, or last.
 *
 * Random numbers are drawn on the CPU (`draw`), uploaded (`write`) and used (`launch`) separately, so that a recorded
 * step can be replayed with the numbers of the next batch. Transforms that are not requested cost nothing.
 */
export class BatchPipeline {
  private readonly transforms: TransformChain
  /** Channels of the output, 3 or 1, which is then the first of the source. */
  private readonly channels: 1 | 3
  private readonly parameters = new Map<number, Parameters>()
  private normalization: Tensor | undefined
  /** Normalization that changes nothing. */
  private unchanged: Tensor | undefined
  private noise: Tensor | undefined

  /**
   * @param channels  1 for grey images, whose channels are alike
   * @throws OptionError  if a kind of transform is repeated, the order cannot be run (see `chain`), or grey images would be
   *   colored
   */
  constructor(transforms: readonly BatchTransform[], channels: 1 | 3 = 3) {
    this.transforms = chain(transforms)
    this.channels = channels
    requireChannels(this.transforms, channels)
  }

  /** Plans the launch for images of a shape: size of the output, [P,Q], and the stages that run. */
  plan(shape: BatchShape, phase: Phase): BatchPlan {
    return plan(this.transforms, shape, phase)
  }

  /**
   * Draws the random numbers of one batch from a stream such as `augmentStream`, and those of transforms from outside from
   * streams by their names.
   */
  draw(random: Rng, shape: BatchShape, phase: Phase, ownRandom?: (name: string) => Rng): BatchDraw {
    return drawBatch(this.transforms, random, shape, phase, ownRandom)
  }

  /** Draws, uploads and launches. @returns the input of the network, as `launch` */
  run(pixels: Tensor, random: Rng, phase: Phase, dtype: 'f32' | 'f16' = 'f32'): Tensor {
    const [N, H, W] = pixels.shape
    const draw = this.draw(random, { N, H, W }, phase)
    this.write(draw)
    return this.launch(pixels, draw.plan, dtype)
  }

  /** Uploads the numbers of a draw to the tensors that launches of its batch size read. */
  write(draw: BatchDraw): void {
    const { items, geometry, erased, own } = this.parametersOf(draw.plan.shape.N)
    upload(items, draw.items)
    upload(geometry, draw.geometry)
    for (const [name, numbers] of draw.own) {
      const known = own.get(name)
      checkNumbers(name, numbers, known)
      if (known) for (const [key, values] of Object.entries(numbers)) upload(known[key], values)
      else own.set(name, onGpu(numbers))
    }
    if (!erased || !draw.erased) return
    upload(erased.areas, draw.erased.areas)
    upload(erased.starts, draw.erased.starts)
  }

  /**
   * Launches the transforms.
   *
   * @param pixels  [N,H,W] u32, bytes R G B A from the lowest
   * @param plan    plan of the batch
   * @param dtype   type of the output
   * @returns [N,P,Q,channels] of the dtype
   * @throws ShapeError, DtypeError  if the pixels differ from those that were planned
   */
  launch(pixels: Tensor, plan: BatchPlan, dtype: 'f32' | 'f16' = 'f32'): Tensor {
    const { own } = plan
    if (own.length === 0) return this.erase(this.fused(pixels, plan, dtype, this.normalizationOf()), plan)
    const early = own.filter(({ order }) => order < NORMALIZED)
    return scope(() => {
      let images =
        early.length === 0
          ? this.fused(pixels, plan, dtype, this.normalizationOf())
          : this.normalized(
              this.throughOwn(
                this.fused(pixels, plan, 'f32', (this.unchanged ??= keep(meanAndScale(identityStats(this.channels))))),
                plan,
                early,
              ),
              dtype,
            )
      images = this.erase(images, plan)
      return this.throughOwn(
        images,
        plan,
        own.filter(({ order }) => order >= NORMALIZED),
      )
    })
  }

  /** Launches everything up to the normalization at once. */
  private fused(pixels: Tensor, plan: BatchPlan, dtype: 'f32' | 'f16', normalization: Tensor): Tensor {
    const { P, Q, warp, padMode, shrink, lighting, saturation, hue } = plan
    const { N, H, W } = plan.shape
    if (pixels.dtype !== 'u32') {
      throw new DtypeError('batch transforms', 'pixels must be u32', { given: { pixels } })
    }
    if (pixels.shape.join() !== [N, H, W].join()) {
      throw new ShapeError('batch transforms', 'the shape of the pixels differs from the plan', {
        given: { pixels },
        expected: formatShape([N, H, W]),
      })
    }
    const out = empty({ shape: [N, P, Q, this.channels], dtype }, 'augment')
    const { items, geometry } = this.parametersOf(N)
    const PAD = PAD_MODES.indexOf(padMode)
    launch(
      'augment/batch',
      { source: pixels, items, geometry, normalization, out },
      {
        groups: pixelGroups(plan),
        shape: { H, W, P, Q },
        constants: { WARP: warp, PAD, SHRINK: shrink, LIGHTING: lighting, SATURATION: saturation, HUE: hue },
        dtype,
        track: 'data',
        detail: `${formatShape([N, H, W])}→${formatShape(out.shape)}`,
      },
    )
    return out
  }

  /** Replaces rectangles of images by noise, where the plan has some. */
  private erase(images: Tensor, plan: BatchPlan): Tensor {
    const { P, Q, areas } = plan
    const { erased } = this.parametersOf(plan.shape.N)
    if (!erased || areas === 0) return images
    const noise = (this.noise ??= keep(this.noiseOf()))
    launch(
      'augment/erase',
      { ...erased, noise, x: images },
      {
        groups: pixelGroups(plan),
        shape: { P, Q },
        constants: { AREAS: areas, SIZE: NOISE_PIXELS },
        dtype: images.dtype === 'f16' ? 'f16' : 'f32',
        track: 'data',
        detail: formatShape(images.shape),
      },
    )
    return images
  }

  /** Normalizes images of values from 0 to 1. */
  private normalized(x: Tensor, dtype: 'f32' | 'f16'): Tensor {
    const y = empty({ shape: x.shape, dtype }, 'augment')
    launch(
      'augment/normalize',
      { x, normalization: this.normalizationOf(), y },
      { ...elementwise(x), dtype, track: 'data', detail: formatShape(x.shape) },
    )
    return y
  }

  private throughOwn(images: Tensor, plan: BatchPlan, transforms: readonly OwnBatchTransform[]): Tensor {
    const { own } = this.parametersOf(plan.shape.N)
    return transforms.reduce(
      (before, transform) => applyOwnBatch(transform, before, own.get(transform.name) ?? {}, plan.phase),
      images,
    )
  }

  /** Releases the tensors: a few kilobytes for each batch size, and the noise if there is any. */
  release(): void {
    const parameters = [...this.parameters.values()]
    const tensors = parameters.flatMap(({ items, geometry, erased, own }) => [
      items,
      geometry,
      erased?.areas,
      erased?.starts,
      ...[...own.values()].flatMap((numbers) => Object.values(numbers)),
    ])
    for (const one of [...tensors, this.normalization, this.unchanged, this.noise]) if (one) release(one)
    this.parameters.clear()
    this.normalization = undefined
    this.unchanged = undefined
    this.noise = undefined
  }

  private parametersOf(N: number): Parameters {
    const known = this.parameters.get(N)
    if (known) return known
    const { erasing } = this.transforms
    const made = {
      items: keep(zeros([N, ITEM_NUMBERS])),
      geometry: keep(zeros([10], 'u32')),
      erased: erasing && { areas: keep(zeros([erasing.maxCount, 4], 'u32')), starts: keep(zeros([N], 'u32')) },
      own: new Map<string, DrawnTensors>(),
    }
    this.parameters.set(N, made)
    return made
  }

  private normalizationOf(): Tensor {
    return (this.normalization ??= keep(meanAndScale(this.transforms.normalize ?? identityStats(this.channels))))
  }

  private noiseOf(): Tensor {
    const noise = erasingNoise()
    return this.channels === 3
      ? tensor(noise, [NOISE_PIXELS, 3])
      : tensor(
          noise.filter((_, i) => i % 3 === 0),
          [NOISE_PIXELS, 1],
        )
  }
}

/**
 * Uploads means and inverse deviations, [2,C]. Of grey images the scale of the two other channels is padding, and zero: so
 * are they.
 */
function meanAndScale({ mean, std }: ChannelStats): Tensor {
  return tensor([...mean, ...std.map((deviation) => 1 / deviation)], [2, mean.length])
}

/** Workgroups of 8 × 8 pixels that cover the output. */
function pixelGroups({ P, Q, shape }: BatchPlan): readonly [number, number, number] {
  return [Math.ceil(Q / 8), Math.ceil(P / 8), shape.N]
}

function onGpu(numbers: DrawnNumbers): DrawnTensors {
  return Object.fromEntries(
    Object.entries(numbers).map(([key, values]) => [
      key,
      keep(tensor(values, [values.length], values instanceof Uint32Array ? 'u32' : 'f32')),
    ]),
  )
}

/** @throws OptionError  if transforms are for images of other channels */
function requireChannels({ normalize, hue, saturation }: TransformChain, channels: 1 | 3): void {
  const colored = hue ?? saturation
  if (channels === 1 && colored) {
    throw new OptionError('batch transforms', `grey images have no ${colored.kind}`, {
      given: { channels },
      fix: `leave ${colored.kind}() out`,
    })
  }
  if (!normalize || normalize.mean.length === channels) return
  throw new OptionError('normalize', 'the statistics are of other channels than the images', {
    given: { mean: normalize.mean, channels },
    expected: `${channels} ${channels === 1 ? 'mean and deviation' : 'means and deviations'}`,
    fix: channels === 1 ? 'normalize(mnistStats), or normalize() to measure them' : 'normalize(imagenetStats)',
  })
}
