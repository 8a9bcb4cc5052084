import { afterEach, describe, expect, test } from 'vitest'
import type { Gpu } from '../../../src/gpu/device.ts'
import type { MatrixSize } from '../../../src/gpu/matrices.ts'
import { runPass } from '../../../src/ops/convolution/passes.ts'
import {
  candidateKernels,
  defaultKernel,
  kernelName,
  matrixKernel,
  matrixKernelFits,
  type KernelVariant,
} from '../../../src/ops/convolution/families.ts'
import {
  OPERANDS,
  operandSpec,
  PASSES,
  type ConvolutionSizes,
  type ConvolutionPass,
} from '../../../src/ops/convolution/sizes.ts'
import { empty } from '../../../src/tensor/launch.ts'
import { elementCount, windowOutput } from '../../../src/tensor/shape.ts'
import { read, tensor, zeros } from '../../../src/tensor/read-write.ts'
import { expectClose } from '../../../src/testing/close.ts'
import { hashUniform } from '../../../src/testing/hash-uniform.ts'
import { openTestGpu } from '../../helpers/gpu.ts'

const gpu = await openTestGpu()
const family = gpu.family
afterEach(() => {
  gpu.family = family
})

/**
 * [N,H,W,C]→O R×R stride: the tiles' edges everywhere, few channels, and enough work for several tiles each way. All channels
 * are stored as multiples of eight, as matrix kernels want them: some are such, and some end in padding.
 */
const SHAPES: readonly Convolution[] = [
  [3, 7, 6, 13, 37, 3, 2],
  [2, 9, 8, 6, 5, 3, 1],
  [5, 6, 7, 69, 70, 1, 1],
  [3, 7, 5, 24, 136, 3, 2],
]
type Convolution = readonly [number, number, number, number, number, number, number]

function sizesOf([N, H, W, C, O, R, STRIDE]: Convolution, dtype: 'f16' | 'f32' = 'f16'): ConvolutionSizes {
  const PAD = R >> 1
  return {
    N,
    H,
    W,
    C,
    P: windowOutput(H, R, STRIDE, PAD),
    Q: windowOutput(W, R, STRIDE, PAD),
    O,
    R,
    S: R,
    STRIDE,
    PAD,
    dtype,
  }
}

async function resultOf(
  pass: ConvolutionPass,
  sizes: ConvolutionSizes,
  kernel: KernelVariant,
  scale = 1,
): Promise<Float32Array | Uint32Array> {
  const [left, right, result] = OPERANDS[pass].map((name, i) => {
    const spec = operandSpec(name, sizes)
    return i === 2
      ? empty(spec)
      : tensor(hashUniform(elementCount(spec.shape), 100 * i + 1, -scale, scale), spec.shape, spec.dtype)
  })
  runPass(pass, sizes, [left, right, result], kernel)
  return read(result)
}

describe('matrix kernels', () => {
  interface Case {
    readonly size: MatrixSize
    readonly tile: readonly [number, number, number, number, number]
    readonly lanes: number
  }
  /** Emulated: sizes that adapters report, the tiles of the tuner where workgroup memory allows, and subgroups of other widths. */
  const EMULATED: readonly Case[] = [
    { size: { M: 16, N: 16, K: 16 }, tile: [64, 64, 64, 2, 2], lanes: 32 },
    { size: { M: 16, N: 16, K: 16 }, tile: [32, 32, 64, 1, 2], lanes: 32 },
    { size: { M: 16, N: 16, K: 16 }, tile: [128, 64, 32, 2, 2], lanes: 32 },
    { size: { M: 16, N: 16, K: 16 }, tile: [128, 32, 32, 4, 1], lanes: 32 },
    { size: { M: 16, N: 16, K: 16 }, tile: [32, 128, 32, 1, 4], lanes: 32 },
    { size: { M: 16, N: 16, K: 16 }, tile: [128, 128, 16, 2, 2], lanes: 32 },
    { size: { M: 16, N: 16, K: 16 }, tile: [64, 64, 32, 2, 2], lanes: 64 },
    { size: { M: 16, N: 8, K: 16 }, tile: [32, 64, 32, 1, 2], lanes: 32 },
    { size: { M: 16, N: 16, K: 8 }, tile: [64, 32, 16, 2, 1], lanes: 32 },
    { size: { M: 16, N: 8, K: 8 }, tile: [32, 32, 16, 2, 1], lanes: 32 },
    { size: { M: 8, N: 16, K: 16 }, tile: [32, 32, 32, 2, 1], lanes: 16 },
    { size: { M: 8, N: 8, K: 8 }, tile: [32, 32, 16, 2, 2], lanes: 8 },
    // Intel's, in subgroups of 16, and the f32 of Apple, as which halves are staged.
    { size: { M: 8, N: 16, K: 16 }, tile: [64, 64, 32, 2, 2], lanes: 16 },
    { size: { M: 8, N: 8, K: 8, component: 'f32' }, tile: [32, 32, 32, 1, 2], lanes: 32 },
    { size: { M: 8, N: 8, K: 8, component: 'f32' }, tile: [64, 64, 32, 2, 2], lanes: 32 },
  ]
  /** Of an adapter that has matrix units: its own sizes, with the same tiles. */
  const own = gpu.matrices.sizes.flatMap((size) =>
    EMULATED.map(({ tile }) => ({ size, tile, lanes: gpu.matrices.lanes })),
  )
  const made = (gpu.matrices.emulated ? EMULATED : own).map(({ size, tile, lanes }): KernelVariant => {
    const kernel = matrixKernel(gpu, tile, size)
    return { ...kernel, constants: { ...kernel.constants, LANES: lanes } }
  })
  const all = [...new Map(made.map((kernel) => [`${kernelName(kernel)}, ${kernel.constants.LANES} lanes`, kernel]))]
  const kernels = all.filter(([, kernel]) => matrixKernelFits(gpu, kernel))

  test('fit, all that are emulated and some of every size that an adapter has', () => {
    const sizes = (of: typeof all) =>
      new Set(of.map(([, { constants }]) => [constants.MATRIX_M, constants.MATRIX_N, constants.MATRIX_K].join()))
    expect(sizes(kernels)).toEqual(sizes(all))
    // The default limits of WebGPU leave room for half as much.
    const roomy = gpu.device.limits.maxComputeWorkgroupStorageSize >= 32768
    if (gpu.matrices.emulated && roomy) expect(kernels).toEqual(all)
  })

  test.each(kernels)('%s', async (_name, kernel) => {
    for (const shape of SHAPES) {
      for (const pass of PASSES) {
        const sizes = sizesOf(shape)
        const proven = defaultKernel(gpu, pass, sizes, 'tile')
        const dtype = pass === 'backward-weight' ? 'f32' : 'f16'
        // Two results in f16, each rounded once.
        expectClose(await resultOf(pass, sizes, kernel), await resultOf(pass, sizes, proven), dtype, {
          roundings: 2,
          name: `${pass} ${shape}`,
        })
      }
    }
  })

  test('what is too large for f16 becomes an infinity of its sign', async () => {
    const sizes = sizesOf([1, 4, 4, 8, 8, 1, 1])
    for (const pass of ['forward', 'backward-input'] as const) {
      const values = await resultOf(pass, sizes, kernels[0][1], 300)
      const proven = await resultOf(pass, sizes, defaultKernel(gpu, pass, sizes, 'tile'), 300)
      expect([...values].map((value) => Number.isFinite(value))).toEqual(
        [...proven].map((value) => Number.isFinite(value)),
      )
      expect(values).toContain(Infinity)
      expect(values).toContain(-Infinity)
    }
  })
})

describe('the rule', () => {
  const large = sizesOf([64, 32, 32, 64, 64, 3, 1])
  const small = sizesOf([1, 4, 4, 64, 64, 3, 1])

  test('takes large tiles where there are enough of them', () => {
    const names = (sizes: ConvolutionSizes) =>
      (['tile', 'matrix'] as const).map((wanted) => kernelName(defaultKernel(gpu, 'forward', sizes, wanted)))
    const [{ M, N, K }] = gpu.matrices.sizes
    expect(names(large)[0]).toBe('tile 64×64×16, 8×8 a thread')
    // As workgroup memory allows: two tiles of f16 in steps of 32, each row 16 bytes longer.
    const wide = gpu.device.limits.maxComputeWorkgroupStorageSize >= (256 + 64) * (2 * 32 + 16)
    const tile = (step: number) => (wide ? `256×64×${step}, 4×2` : `64×64×${step}, 2×2`)
    expect([64, 32].map((step) => `matrix ${tile(step)} subgroups, ${M}×${N}×${K}`)).toContain(names(large)[1])
    expect(names(small)[0]).toBe('tile 32×32×16, 4×4 a thread')
    expect([64, 32].map((step) => `matrix 32×32×${step}, 1×2 subgroups, ${M}×${N}×${K}`)).toContain(names(small)[1])
  })

  test('takes no tile of which more than a quarter would be idle', () => {
    const columns = (O: number) =>
      (['tile', 'matrix'] as const).map((wanted) => defaultKernel(gpu, 'forward', { ...large, O }, wanted).columns)
    expect(columns(32)).toEqual([32, 32])
    expect(columns(48)).toEqual([64, 64])
    expect(columns(40)).toEqual([32, 32])
  })

  test('splits a weight gradient into few slices on matrix units', () => {
    expect(defaultKernel(gpu, 'backward-weight', large, 'matrix').slices).toBe('few')
    expect(defaultKernel(gpu, 'backward-weight', large, 'tile').slices).toBe('many')
  })

  test.each([4, 8, 16, 32])(
    'takes narrow broadcast tiles where wide ones would leave some of %i lanes idle',
    (lanes) => {
      const adapter = Object.create(gpu, { subgroupSize: { value: lanes } }) as Gpu
      const tile = (pass: ConvolutionPass, channels: number) => {
        const { rows, columns, narrow } = defaultKernel(
          adapter,
          pass,
          sizesOf([2, 8, 8, channels, channels, 3, 1]),
          'broadcast',
        )
        return [rows / Math.min(lanes, 16), columns / lanes, narrow === true]
      }
      for (const pass of ['forward', 'backward-input'] as const) {
        expect(tile(pass, 2 * lanes)).toEqual([4, 2, true])
        expect(tile(pass, 5 * lanes)).toEqual([4, 2, true])
        expect(tile(pass, 4 * lanes)).toEqual([2, 4, false])
        // Where as many lanes are idle either way, a wide one costs less.
        expect(tile(pass, 7 * lanes)).toEqual([2, 4, false])
      }
      // Its columns are numbered through all taps.
      expect(tile('backward-weight', 4)).toEqual([2, 4, false])
    },
  )

  test('keeps f32 away from matrix units', () => {
    expect(defaultKernel(gpu, 'forward', { ...large, dtype: 'f32' }, 'matrix').family).toBe('tile')
  })

  test('keeps channels away from matrix units that are not stored in groups of eight', () => {
    const families = (C: number, O: number) =>
      PASSES.map((pass) => {
        const sizes = sizesOf([2, 8, 8, C, O, 3, 1])
        const { family } = defaultKernel(gpu, pass, sizes, 'matrix')
        const tried = candidateKernels(gpu, pass, sizes).some((kernel) => kernel.family === 'matrix')
        expect(tried).toBe(family === 'matrix' && !gpu.matrices.emulated)
        return family
      })
    expect(families(24, 40)).toEqual(['matrix', 'matrix', 'matrix'])
    // Stored as 8 and 16.
    expect(families(5, 14)).toEqual(['matrix', 'matrix', 'matrix'])
    // The out-channels of a forward pass are written four at a time.
    expect(families(24, 10)).toEqual(['matrix', 'tile', 'tile'])
    expect(families(3, 32)).toEqual(['tile', 'tile', 'tile'])
    expect(families(36, 32)).toEqual(['tile', 'tile', 'tile'])
  })
})

describe('candidates', () => {
  test('have names of their own, in every pass', () => {
    for (const shape of SHAPES) {
      for (const pass of PASSES) {
        const names = candidateKernels(gpu, pass, sizesOf(shape)).map(kernelName)
        expect(names.length).toBeGreaterThan(0)
        expect(new Set(names).size).toBe(names.length)
      }
    }
  })

  test("hold the rule's own choice, emulated matrices never", () => {
    const sizes = sizesOf([64, 32, 32, 64, 64, 3, 1])
    const names = candidateKernels(gpu, 'forward', sizes).map(kernelName)
    expect(names).toContain(kernelName(defaultKernel(gpu, 'forward', sizes, 'tile')))
    expect(names.some((name) => name.startsWith('matrix'))).toBe(!gpu.matrices.emulated)
  })

  test('compute the same', async () => {
    for (const pass of PASSES) {
      const sizes = sizesOf(SHAPES[2], 'f32')
      const proven = await resultOf(pass, sizes, defaultKernel(gpu, pass, sizes, 'tile'))
      for (const kernel of candidateKernels(gpu, pass, sizes)) {
        expectClose(await resultOf(pass, sizes, kernel), proven, 'f32', { name: kernelName(kernel) })
      }
    }
  })
})

test('zeros stay zeros', async () => {
  const sizes = sizesOf(SHAPES[1])
  const y = empty(operandSpec('y', sizes))
  runPass(
    'forward',
    sizes,
    [zeros([2, 9, 8, 6], 'f16'), zeros([5, 3, 3, 6], 'f16'), y],
    defaultKernel(gpu, 'forward', sizes, 'matrix'),
  )
  expect([...(await read(y))].every((value) => value === 0)).toBe(true)
})
