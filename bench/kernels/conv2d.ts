import { rng } from '../../src/base/rng.ts'
import { convolve, convolveBackwardInput, convolveBackwardWeight, type ConvolutionSizes } from '../../src/ops/kernels/convolution.ts'
import { roundToHalf } from '../../src/tensor/half.ts'
import { windowOutput, type Shape } from '../../src/tensor/shape.ts'
import { keep } from '../../src/tensor/scope.ts'
import { read, tensor, zeros } from '../../src/tensor/transfer.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import type { Case } from '../harness.ts'

/** [N, side of the image, C, O, side of the filter, stride] */
type ConvolutionShape = readonly [number, number, number, number, number, number]

/** The shape the kernel prototypes were tuned at: comparable with figures of other projects. */
const PROBE: readonly ConvolutionShape[] = [[2, 28, 128, 128, 3, 1]]

/** The distinct convolutions of xresnet18 at an image size. */
export function xresnet18Convolutions(batch: number, size: number): ConvolutionShape[] {
  const half = size / 2
  const quarter = size / 4
  const stages: ConvolutionShape[] = [64, 128, 256, 512].flatMap((width, stage): ConvolutionShape[] => {
    const side = quarter / 2 ** stage
    const same: ConvolutionShape = [batch, side, width, width, 3, 1]
    if (stage === 0) return [same]
    return [[batch, side * 2, width / 2, width, 3, 2], [batch, side, width / 2, width, 1, 1], same]
  })
  return [[batch, size, 3, 32, 3, 2], [batch, half, 32, 32, 3, 1], [batch, half, 32, 64, 3, 1], ...stages]
}

/** Elements compared with the reference, for each case. */
const SAMPLES = 64

export function conv2dCases(): Case[] {
  return [...PROBE, ...xresnet18Convolutions(16, 64)].flatMap((shape) => (['f16', 'f32'] as const).flatMap((dtype) => casesOf(shape, dtype)))
}

function casesOf([N, side, C, O, R, stride]: ConvolutionShape, dtype: 'f16' | 'f32'): Case[] {
  const pad = R >> 1
  const P = windowOutput(side, R, stride, pad)
  const sizes: ConvolutionSizes = { N, H: side, W: side, C, P, Q: P, O, R, S: R, STRIDE: stride, PAD: pad, dtype }
  const what = `[${N},${side},${side},${C}]→${O} ${R}×${R}${stride > 1 ? ` /${stride}` : ''} ${dtype}`
  const flops = 2 * N * P * P * O * R * R * C
  // Made at the first use, so that filtered-out cases cost nothing.
  let made: Record<'x' | 'weight' | 'dy' | 'y' | 'dx' | 'dw', Operand> | undefined
  const operands = () =>
    (made ??= {
      x: operand('x', [N, side, side, C], dtype),
      weight: operand('weight', [O, R, R, C], dtype),
      dy: operand('dy', [N, P, P, O], dtype),
      y: result([N, P, P, O], dtype),
      dx: result([N, side, side, C], dtype),
      dw: result([O, R, R, C], 'f32'),
    })
  const forward = () => convolve(sizes, operands().x.tensor, operands().weight.tensor, operands().y.tensor)
  const backwardInput = () => convolveBackwardInput(sizes, operands().dy.tensor, operands().weight.tensor, operands().dx.tensor)
  const backwardWeight = () => convolveBackwardWeight(sizes, operands().x.tensor, operands().dy.tensor, operands().dw.tensor)

  // Σ over every tap that connects an element of the result with the operands; slow and obviously right.
  const at = { y: (i: number) => sumY(sizes, operands().x.data, operands().weight.data, i), dx: (i: number) => sumDx(sizes, operands().dy.data, operands().weight.data, i), dw: (i: number) => sumDw(sizes, operands().x.data, operands().dy.data, i) }
  const make = (name: string, key: 'y' | 'dx' | 'dw', run: () => void): Case => ({
    name: `conv2d/${name} ${what}`,
    flops,
    run,
    async prove() {
      run()
      const got = await read(operands()[key].tensor)
      const random = rng(0, 'bench', got.length)
      let deviation = 0
      let largest = 0
      for (let sample = 0; sample < SAMPLES; sample++) {
        const index = random.integer(0, got.length - 1)
        const expected = at[key](index)
        largest = Math.max(largest, Math.abs(expected))
        deviation = Math.max(deviation, Math.abs(got[index] - expected))
      }
      // Half precision keeps 11 bits of the result; the sums themselves are f32.
      return { deviation: deviation / largest, allowed: dtype === 'f16' && key !== 'dw' ? 2 ** -11 : 1e-5 }
    },
  })
  return [make('forward', 'y', forward), make('backward-input', 'dx', backwardInput), make('backward-weight', 'dw', backwardWeight)]
}

interface Operand {
  readonly tensor: Tensor
  readonly data: Float32Array
}

function operand(name: string, shape: Shape, dtype: 'f16' | 'f32'): Operand {
  const random = rng(0, `bench ${name}`)
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => {
    const value = random.uniform(-1, 1)
    return dtype === 'f16' ? roundToHalf(value) : value
  })
  return { tensor: keep(tensor(data, shape, dtype)), data }
}

function result(shape: Shape, dtype: 'f16' | 'f32'): Operand {
  return { tensor: keep(zeros(shape, dtype)), data: new Float32Array() }
}

function sumY({ H, W, C, P, Q, O, R, S, STRIDE, PAD }: ConvolutionSizes, x: Float32Array, weight: Float32Array, index: number): number {
  const [n, p, q, o] = unravel(index, [P, Q, O])
  let sum = 0
  for (let r = 0; r < R; r++) {
    for (let s = 0; s < S; s++) {
      const h = p * STRIDE + r - PAD
      const w = q * STRIDE + s - PAD
      if (h < 0 || w < 0 || h >= H || w >= W) continue
      for (let c = 0; c < C; c++) sum += x[((n * H + h) * W + w) * C + c] * weight[((o * R + r) * S + s) * C + c]
    }
  }
  return sum
}

function sumDx({ H, W, C, P, Q, O, R, S, STRIDE, PAD }: ConvolutionSizes, dy: Float32Array, weight: Float32Array, index: number): number {
  const [n, h, w, c] = unravel(index, [H, W, C])
  let sum = 0
  for (let r = 0; r < R; r++) {
    for (let s = 0; s < S; s++) {
      const p = (h + PAD - r) / STRIDE
      const q = (w + PAD - s) / STRIDE
      if (!Number.isInteger(p) || !Number.isInteger(q) || p < 0 || q < 0 || p >= P || q >= Q) continue
      for (let o = 0; o < O; o++) sum += dy[((n * P + p) * Q + q) * O + o] * weight[((o * R + r) * S + s) * C + c]
    }
  }
  return sum
}

function sumDw({ N, H, W, C, P, Q, O, R, S, STRIDE, PAD }: ConvolutionSizes, x: Float32Array, dy: Float32Array, index: number): number {
  const [o, r, s, c] = unravel(index, [R, S, C])
  let sum = 0
  for (let n = 0; n < N; n++) {
    for (let p = 0; p < P; p++) {
      for (let q = 0; q < Q; q++) {
        const h = p * STRIDE + r - PAD
        const w = q * STRIDE + s - PAD
        if (h < 0 || w < 0 || h >= H || w >= W) continue
        sum += x[((n * H + h) * W + w) * C + c] * dy[((n * P + p) * Q + q) * O + o]
      }
    }
  }
  return sum
}

/** The indices of an element of a 4-axis tensor, from the lengths of its last three axes. */
function unravel(index: number, [second, third, fourth]: readonly [number, number, number]): readonly [number, number, number, number] {
  const d = index % fourth
  const c = Math.floor(index / fourth) % third
  const b = Math.floor(index / (fourth * third)) % second
  return [Math.floor(index / (fourth * third * second)), b, c, d]
}
