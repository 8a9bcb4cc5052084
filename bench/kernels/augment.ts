import { erasingNoise, NOISE_PIXELS, randomErasing } from '../../src/data/augment/erasing.ts'
import { imagenetStats, normalize } from '../../src/data/augment/normalize.ts'
import { BatchPipeline } from '../../src/data/augment/pipeline.ts'
import { ITEM_NUMBERS } from '../../src/data/augment/plan.ts'
import { augTransforms, type BatchTransform } from '../../src/data/augment/transforms.ts'
import type { Phase } from '../../src/data/augment/draw.ts'
import { rng } from '../../src/base/rng.ts'
import { empty, launch } from '../../src/tensor/launch.ts'
import { tensor } from '../../src/tensor/read-write.ts'
import { rounding } from '../../src/testing/measure-kernel.ts'
import { type Case, type Use } from './harness.ts'
import { unravel } from '../../src/testing/convolution-case.ts'
import { bytesOf } from '../../src/testing/kernel-operands.ts'
import '../../src/gpu/wgsl/mixup/lerp.ts'

type Float = 'f32' | 'f16'

/** Side in pixels of the images that the lesson decodes photographs to. */
const SOURCE = 224

/** Returns the kernels that make a batch [N,size,size,3]. */
export function augmentCases(N: number, size: number, dtype: Float, uses: readonly Use[]): Case[] {
  const lesson = [...augTransforms({ size, minScale: 0.5 }), normalize(imagenetStats)]
  const erased = [...lesson, randomErasing({ p: 1, maxScale: 0.5, maxCount: 3 })]
  return [
    augmentCase('augment/train', lesson, 'train', N, size, dtype, uses),
    augmentCase('augment/valid', lesson, 'valid', N, size, dtype, []),
    augmentCase('augment/train + erase', erased, 'train', N, size, dtype, []),
    mixupCase(N, size, dtype),
  ]
}

/**
 * Makes a case on images of one color each, which no warp, crop or resize changes. It verifies the arithmetic of
 * lighting and normalization, the erasing, and that every item uses its own numbers. The geometry is verified by the
 * tests.
 */
function augmentCase(
  name: string,
  transforms: readonly BatchTransform[],
  phase: Phase,
  N: number,
  size: number,
  dtype: Float,
  uses: readonly Use[],
): Case {
  return {
    name: `${name} [${N},${SOURCE},${SOURCE}]→[${N},${size},${size},3] ${dtype}`,
    uses,
    prepare(operands) {
      const random = rng(0, 'bench colours')
      const colours = Uint8Array.from({ length: 4 * N }, () => random.integer(30, 220))
      const words = new Uint32Array(colours.buffer)
      const pixels = new Uint32Array(N * SOURCE * SOURCE)
      for (let n = 0; n < N; n++) pixels.fill(words[n], n * SOURCE * SOURCE, (n + 1) * SOURCE * SOURCE)
      const source = operands.own(tensor(pixels, [N, SOURCE, SOURCE], 'u32'))
      const pipeline = new BatchPipeline(transforms)
      const draw = pipeline.draw(rng(0, 'bench augment'), { N, H: SOURCE, W: SOURCE }, phase)
      pipeline.write(draw)
      operands.after(() => pipeline.release())
      const out = operands.own(empty({ shape: [N, size, size, 3], dtype }))
      const { mean, std } = imagenetStats
      return {
        flops: 0,
        bytes: bytesOf(source, out),
        run: () => ({ out: pipeline.launch(source, draw.plan, dtype) }),
        checks: {
          out: {
            at(place) {
              const [n, p, q, c] = unravel(place, [size, size, 3])
              const { areas, starts } = draw.erased ?? { areas: new Uint32Array(), starts: new Uint32Array() }
              for (let i = 0; i < areas.length; i += 4) {
                const [top, left, bottom, right] = areas.subarray(i, i + 4)
                if (p < top || p >= bottom || q < left || q >= right) continue
                return erasingNoise()[3 * ((starts[n] + p * size + q) % NOISE_PIXELS) + c]
              }
              const value = colours[4 * n + c] / 255
              const [darkness, contrast] = [draw.items[ITEM_NUMBERS * n + 3], draw.items[ITEM_NUMBERS * n + 7]]
              const lit = draw.plan.lighting ? 1 / (1 + (((1 - value) / value) * darkness) ** contrast) : value
              return (lit - mean[c]) / std[c]
            },
            // Lighting involves a power, whose argument no adapter computes to the last bit.
            allowed: 4 * rounding(dtype),
          },
        },
      }
    },
  }
}

function mixupCase(N: number, size: number, dtype: Float): Case {
  const shape = [N, size, size, 3]
  return {
    name: `mixup/lerp [${shape.join(',')}] ${dtype}`,
    uses: [],
    prepare(operands) {
      const x = operands.random('x', shape, dtype)
      const order = rng(0, 'bench mixup').permutation(N)
      const partner = operands.own(tensor(order, [N], 'u32'))
      const weight = operands.random('weight', [N], 'f32', Math.abs)
      const VECTORS = size * size
      return {
        flops: 0,
        // Every image is read twice: for itself and as a partner.
        bytes: 3 * bytesOf(x.tensor),
        run() {
          const y = empty({ shape, dtype })
          const groups = [Math.ceil(VECTORS / 64), N, 1] as const
          launch(
            'mixup/lerp',
            { x: x.tensor, partner, weight: weight.tensor, y },
            { groups, shape: { VECTORS }, dtype },
          )
          return { y }
        },
        checks: {
          y: {
            at(place) {
              const each = 3 * size * size
              const n = Math.floor(place / each)
              const [own, other] = [x.at(place), x.at(order[n] * each + (place % each))]
              return other + weight.at(n) * (own - other)
            },
            allowed: rounding(dtype),
          },
        },
      }
    },
  }
}
