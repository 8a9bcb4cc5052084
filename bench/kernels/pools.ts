import { avgPool } from '../../src/ops/avg-pool.ts'
import { globalAvgPool } from '../../src/ops/global-avg-pool.ts'
import { maxBlurPool } from '../../src/ops/max-blur-pool.ts'
import { maxPool } from '../../src/ops/max-pool.ts'
import { noGrad } from '../../src/tensor/op.ts'
import type { Shape } from '../../src/tensor/shape.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { rounding } from '../../src/testing/measure-kernel.ts'
import { type Case, type Use } from './harness.ts'
import { unravel } from '../../src/testing/convolution-case.ts'
import { bytesOf, type KernelOperand } from '../../src/testing/kernel-operands.ts'
import type { NetworkShapes } from './shapes.ts'
import { taped, trainable } from './taped.ts'

type Float = 'f32' | 'f16'

export function poolCases(
  { maxPool: max, avgPool: average, globalAvgPool: global }: NetworkShapes,
  dtype: Float,
): Case[] {
  return [
    ...max.flatMap(({ sizes: { shape, ...options }, uses }) => {
      return cases('max-pool', shape, dtype, uses, maxOf(options), { places: true })
    }),
    ...average.flatMap(({ sizes: { shape, kernelSize, stride }, uses }) => {
      return cases('avg-pool', shape, dtype, uses, averageOf(kernelSize, stride))
    }),
    ...global.flatMap(({ sizes: { shape }, uses }) => cases('global-avg-pool', shape, dtype, uses, meanOf)),
    // Used by no xresnet: measured at the shape of the pool that it can replace.
    ...max.flatMap(({ sizes: { shape } }) => cases('max-blur-pool', shape, dtype, [], blurOf, { reads: true })),
  ]
}

interface Pool {
  run(x: Tensor): Tensor
  y(x: At, place: number): number
  dx(x: At, dy: At, place: number): number
}

/** Function that returns a number by position, and 0 outside the tensor. */
type At = (n: number, h: number, w: number, c: number) => number

/**
 * @param backward.places  true if it reads the positions of the maxima, one byte per output
 * @param backward.reads   true if it reads x again
 */
function cases(
  name: string,
  shape: Shape,
  dtype: Float,
  uses: readonly Use[],
  of: (shape: Shape) => Pool,
  backward: { places?: boolean; reads?: boolean } = {},
): Case[] {
  const pool = of(shape)
  const forwardCase: Case = {
    name: `${name}/forward [${shape.join(',')}] ${dtype}`,
    uses,
    prepare(operands) {
      const x = operands.random('x', shape, dtype)
      const y = operands.own(noGrad(() => pool.run(x.tensor)))
      return {
        flops: 0,
        bytes: bytesOf(x.tensor, y) + (backward.places ? y.shape.reduce((a, b) => a * b) : 0),
        run: () => ({ y: noGrad(() => pool.run(x.tensor)) }),
        checks: { y: { at: (place) => pool.y(within(x, shape), place), allowed: rounding(dtype) } },
      }
    },
  }
  const backwardCase: Case = {
    name: `${name}/backward [${shape.join(',')}] ${dtype}`,
    uses,
    prepare(operands) {
      const x = operands.random('x', shape, dtype)
      trainable(x.tensor)
      const { output, extras, backward: gradients } = taped(operands, () => pool.run(x.tensor))
      const dy = operands.random('dy', output.shape, dtype)
      const image = output.shape.length === 4 ? output.shape : [output.shape[0], 1, 1, output.shape[1]]
      return {
        flops: 0,
        bytes: bytesOf(dy.tensor, x.tensor, ...extras, ...(backward.reads ? [x.tensor] : [])),
        run() {
          const [dx] = gradients(dy.tensor)
          if (!dx) throw new Error(`${name} gives no gradient`)
          return { dx }
        },
        checks: {
          dx: { at: (place) => pool.dx(within(x, shape), within(dy, image), place), allowed: rounding(dtype) },
        },
      }
    },
  }
  return [forwardCase, backwardCase]
}

function within({ at }: KernelOperand, [, H, W, C]: Shape): At {
  return (n, h, w, c) => (h < 0 || w < 0 || h >= H || w >= W ? 0 : at(((n * H + h) * W + w) * C + c))
}

function maxOf({ kernelSize, stride, padding }: { kernelSize: number; stride: number; padding: number }) {
  return ([, H, W, C]: Shape): Pool => {
    const [P, Q] = [H, W].map((size) => Math.floor((size + 2 * padding - kernelSize) / stride) + 1)
    /** Returns the maximum of a window and its position, the first of equal ones. */
    const largest = (x: At, n: number, p: number, q: number, c: number) => {
      let best = { value: -Infinity, h: -1, w: -1 }
      for (let h = p * stride - padding; h < p * stride - padding + kernelSize; h++) {
        for (let w = q * stride - padding; w < q * stride - padding + kernelSize; w++) {
          const inside = h >= 0 && w >= 0 && h < H && w < W
          if (inside && x(n, h, w, c) > best.value) best = { value: x(n, h, w, c), h, w }
        }
      }
      return best
    }
    return {
      run: (x) => maxPool(x, { kernelSize, stride, padding }),
      y(x, place) {
        const [n, p, q, c] = unravel(place, [P, Q, C])
        return largest(x, n, p, q, c).value
      },
      dx(x, dy, place) {
        const [n, h, w, c] = unravel(place, [H, W, C])
        let sum = 0
        for (let p = 0; p < P; p++) {
          if (Math.abs(p * stride - h) > kernelSize + padding) continue
          for (let q = 0; q < Q; q++) {
            if (Math.abs(q * stride - w) > kernelSize + padding) continue
            const best = largest(x, n, p, q, c)
            if (best.h === h && best.w === w) sum += dy(n, p, q, c)
          }
        }
        return sum
      },
    }
  }
}

/** Makes the average over adjacent windows whose size divides that of the image. */
function averageOf(kernelSize: number, stride: number) {
  return ([, H, W, C]: Shape): Pool => ({
    run: (x) => avgPool(x, { kernelSize, stride, ceilMode: true }),
    y(x, place) {
      const [n, p, q, c] = unravel(place, [H / stride, W / stride, C])
      let sum = 0
      for (let r = 0; r < kernelSize; r++) {
        for (let s = 0; s < kernelSize; s++) sum += x(n, p * stride + r, q * stride + s, c)
      }
      return sum / kernelSize ** 2
    },
    dx(_x, dy, place) {
      const [n, h, w, c] = unravel(place, [H, W, C])
      return dy(n, Math.floor(h / stride), Math.floor(w / stride), c) / kernelSize ** 2
    },
  })
}

function meanOf([, H, W, C]: Shape): Pool {
  return {
    run: globalAvgPool,
    y(x, place) {
      const [n, c] = [Math.floor(place / C), place % C]
      let sum = 0
      for (let h = 0; h < H; h++) for (let w = 0; w < W; w++) sum += x(n, h, w, c)
      return sum / (H * W)
    },
    dx(_x, dy, place) {
      const [n, , , c] = unravel(place, [H, W, C])
      return dy(n, 0, 0, c) / (H * W)
    },
  }
}

/** Makes the maximum of every 2×2 pixels, blurred by [1 2 1]/4 along both axes and downsampled by 2. */
function blurOf([, H, W, C]: Shape): Pool {
  const KERNEL = [0.25, 0.5, 0.25]
  const largest = (x: At, n: number, i: number, j: number, c: number) => {
    let best = { value: -Infinity, h: -1, w: -1 }
    for (const [h, w] of [
      [i, j],
      [i, j + 1],
      [i + 1, j],
      [i + 1, j + 1],
    ]) {
      if (x(n, h, w, c) > best.value) best = { value: x(n, h, w, c), h, w }
    }
    return best
  }
  const inside = (i: number, j: number) => i >= 0 && j >= 0 && i < H - 1 && j < W - 1
  const [P, Q] = [H >> 1, W >> 1]
  return {
    run: maxBlurPool,
    y(x, place) {
      const [n, p, q, c] = unravel(place, [P, Q, C])
      let sum = 0
      for (let a = 0; a < 3; a++) {
        for (let b = 0; b < 3; b++) {
          const [i, j] = [2 * p - 1 + a, 2 * q - 1 + b]
          if (inside(i, j)) sum += KERNEL[a] * KERNEL[b] * largest(x, n, i, j, c).value
        }
      }
      return sum
    },
    dx(x, dy, place) {
      const [n, h, w, c] = unravel(place, [H, W, C])
      let sum = 0
      for (const i of [h - 1, h]) {
        for (const j of [w - 1, w]) {
          if (!inside(i, j)) continue
          const best = largest(x, n, i, j, c)
          if (best.h !== h || best.w !== w) continue
          // Outputs whose blur includes this maximum: 2p − 1 + a = i.
          for (let a = 0; a < 3; a++) {
            for (let b = 0; b < 3; b++) {
              const [p, q] = [(i + 1 - a) / 2, (j + 1 - b) / 2]
              const whole = Number.isInteger(p) && Number.isInteger(q)
              if (whole && p < P && q < Q) sum += KERNEL[a] * KERNEL[b] * dy(n, p, q, c)
            }
          }
        }
      }
      return sum
    },
  }
}
