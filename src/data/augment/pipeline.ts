import { DtypeError, ShapeError } from '../../base/errors.ts'
import { formatShape } from '../../base/format.ts'
import type { Rng } from '../../base/rng.ts'
import { empty, launch } from '../../tensor/launch.ts'
import { keep, release } from '../../tensor/scope.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { tensor, upload, zeros } from '../../tensor/read-write.ts'
import type { BatchShape, Phase } from './draw.ts'
import { erasingNoise, NOISE_PIXELS } from './erasing.ts'
import { chain, drawBatch, ITEM_NUMBERS, plan, type BatchDraw, type BatchPlan, type TransformChain } from './plan.ts'
import type { BatchTransform } from './transforms.ts'
import '../../gpu/wgsl/augment/index.ts'

/** Tensors that the launches for one batch size read; the same for every batch. */
interface Parameters {
  readonly items: Tensor
  readonly geometry: Tensor
  /** Rectangles and noise positions, as in `Erased`; `undefined` without erasing. */
  readonly erased: { readonly areas: Tensor; readonly starts: Tensor } | undefined
}

/**
 * Chain of batch transforms on the GPU: turns 8-bit images into the network's input in one launch, and one more if
 * rectangles are erased.
 *
 *   out = erase(normalize(hue(lighting(resize(crop(warp(pixels / 255)))))))
 *
 * Random numbers are drawn on the CPU (`draw`), uploaded (`write`) and used (`launch`) separately, so that a recorded
 * step can be replayed with the numbers of the next batch. Transforms that are not requested cost nothing.
 */
export class BatchPipeline {
  private readonly transforms: TransformChain
  private readonly parameters = new Map<number, Parameters>()
  private normalization: Tensor | undefined
  private noise: Tensor | undefined

  /** @throws OptionError  if a kind of transform is repeated or the order cannot be run (see `chain`) */
  constructor(transforms: readonly BatchTransform[]) {
    this.transforms = chain(transforms)
  }

  /** Plans the launch for images of a shape: size of the output, [P,Q], and the stages that run. */
  plan(shape: BatchShape, phase: Phase): BatchPlan {
    return plan(this.transforms, shape, phase)
  }

  /** Draws the random numbers of one batch from a stream such as `augmentStream`. */
  draw(random: Rng, shape: BatchShape, phase: Phase): BatchDraw {
    return drawBatch(this.transforms, random, shape, phase)
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
    const { items, geometry, erased } = this.parametersOf(draw.plan.shape.N)
    upload(items, draw.items)
    upload(geometry, draw.geometry)
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
   * @returns [N,P,Q,3] of the dtype
   * @throws ShapeError, DtypeError  if the pixels differ from those that were planned
   */
  launch(pixels: Tensor, plan: BatchPlan, dtype: 'f32' | 'f16' = 'f32'): Tensor {
    const { P, Q, warp, shrink, lighting, saturation, hue, areas } = plan
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
    const out = empty({ shape: [N, P, Q, 3], dtype }, 'augment')
    const normalization = (this.normalization ??= keep(this.meanAndScale()))
    const { items, geometry, erased } = this.parametersOf(N)
    // A workgroup has 8 × 8 threads.
    const groups = [Math.ceil(Q / 8), Math.ceil(P / 8), N] as const
    launch(
      'augment/batch',
      { source: pixels, items, geometry, normalization, out },
      {
        groups,
        shape: { H, W, P, Q },
        constants: { WARP: warp, SHRINK: shrink, LIGHTING: lighting, SATURATION: saturation, HUE: hue },
        dtype,
        track: 'data',
        detail: `${formatShape([N, H, W])}→${formatShape(out.shape)}`,
      },
    )
    if (erased && areas > 0) {
      const noise = (this.noise ??= keep(tensor(erasingNoise(), [NOISE_PIXELS, 3])))
      launch(
        'augment/erase',
        { ...erased, noise, x: out },
        {
          groups,
          shape: { P, Q },
          constants: { AREAS: areas, SIZE: NOISE_PIXELS },
          dtype,
          track: 'data',
          detail: formatShape(out.shape),
        },
      )
    }
    return out
  }

  /** Releases the tensors: a few kilobytes for each batch size, and the noise if there is any. */
  release(): void {
    const parameters = [...this.parameters.values()]
    const tensors = parameters.flatMap(({ items, geometry, erased }) => [
      items,
      geometry,
      erased?.areas,
      erased?.starts,
    ])
    for (const one of [...tensors, this.normalization, this.noise]) if (one) release(one)
    this.parameters.clear()
    this.normalization = undefined
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
    }
    this.parameters.set(N, made)
    return made
  }

  private meanAndScale(): Tensor {
    const { mean, std } = this.transforms.normalize ?? { mean: [0, 0, 0], std: [1, 1, 1] }
    return tensor([...mean, ...std.map((deviation) => 1 / deviation)], [2, 3])
  }
}
