import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openGpuOn, useGpu, type Gpu } from '../../src/gpu/device.ts'
import { onGrid, oneWorkgroup, columnPass, columnSums, rowPass } from '../../src/gpu/grid.ts'
import { xresnet18 } from '../../src/nn/xresnet.ts'
import { candidateKernels, defaultKernel, kernelName, type KernelVariant } from '../../src/ops/convolution/families.ts'
import { runPass } from '../../src/ops/convolution/passes.ts'
import { OPERANDS, operandSpec, PASSES, type ConvolutionSizes } from '../../src/ops/convolution/sizes.ts'
import { adam } from '../../src/optim/adam.ts'
import { nodePlatform } from '../../src/platform/node/index.ts'
import { backward } from '../../src/tensor/backward.ts'
import { read, tensor } from '../../src/tensor/read-write.ts'
import { empty } from '../../src/tensor/launch.ts'
import { scope } from '../../src/tensor/scope.ts'
import { elementCount } from '../../src/tensor/shape.ts'
import { gradientClip } from '../../src/train/callbacks/gradient-clip.ts'
import { accuracy } from '../../src/train/fit/metrics.ts'
import { Learner } from '../../src/train/learner.ts'
import { expectClose } from '../../src/testing/close.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { DEFAULT_LIMITS, limitedGpu } from '../helpers/limited.ts'
import { tinyLoaders, tinyModel } from '../helpers/tiny.ts'

const usual = await openTestGpu({ poison: false })
afterEach(() => useGpu(usual))

const SIZES: ConvolutionSizes = {
  N: 4,
  H: 16,
  W: 16,
  C: 24,
  P: 16,
  Q: 16,
  O: 40,
  R: 3,
  S: 3,
  STRIDE: 1,
  PAD: 1,
  dtype: 'f16',
}

/** Limits of Apple's M-series in Dawn on Metal, and of most others at least. */
const LARGE_LIMITS = {
  ...DEFAULT_LIMITS.core,
  maxComputeWorkgroupStorageSize: 32768,
  maxComputeInvocationsPerWorkgroup: 1024,
  maxComputeWorkgroupSizeX: 1024,
} as const

/** Returns true if a kernel of the family `tile` has as many threads and as much workgroup memory as a device allows, or fewer. */
function fits({ rows, columns, constants: { TILE_K, THREAD_M, THREAD_N } }: KernelVariant, limits: Limits): boolean {
  const threads = (rows / THREAD_M) * (columns / THREAD_N)
  // Two tiles of vec4f, each row a vector longer.
  const bytes = (rows + columns) * (TILE_K / 4 + 1) * 16
  return threads <= limits.maxComputeInvocationsPerWorkgroup && bytes <= limits.maxComputeWorkgroupStorageSize
}

type Limits = Pick<GPUSupportedLimits, 'maxComputeInvocationsPerWorkgroup' | 'maxComputeWorkgroupStorageSize'>

describe.each(['core', 'compatibility'] as const)('with the default limits and no features, %s', (level) => {
  const limits = DEFAULT_LIMITS[level]
  let gpu: Gpu
  beforeAll(async () => {
    const instance = limitedGpu(await nodePlatform.gpu(), level)
    gpu = await openGpuOn({ ...nodePlatform, log: () => {}, gpu: () => instance })
    return () => gpu.close()
  })
  const onSmall = () => useGpu(gpu)

  test('the device has these limits, and no clock, subgroups, f16 or matrix units', () => {
    expect(gpu.device.limits).toMatchObject(limits)
    expect([gpu.family, gpu.subgroupSize, gpu.matrices.emulated]).toEqual(['tile', 0, true])
    expect([...gpu.features].filter((name) => name !== 'core-features-and-limits')).toEqual([])
  })

  test('no workgroup of any grid is larger', () => {
    onSmall()
    const grids = [
      columnPass(5000, 16),
      columnSums(5000, 16).runs,
      columnSums(5000, 16).total,
      oneWorkgroup(),
      rowPass(7),
    ]
    const threads = grids.map((grid) => {
      const { LANES, ROWS } = onGrid(grid, {}).constants as { LANES: number; ROWS: number }
      // Sums halve the rows again and again.
      expect(Math.log2(ROWS) % 1).toBe(0)
      return LANES * ROWS
    })
    expect(Math.max(...threads)).toBe(limits.maxComputeInvocationsPerWorkgroup)
  })

  test('candidates that do not fit are never tried, and those that fit are right', async () => {
    onSmall()
    const large = { ...SIZES, N: 64, C: 128, O: 128 }
    for (const pass of PASSES) {
      const names = (of: Gpu) => candidateKernels(of, pass, large).map(kernelName)
      // The same device with larger limits: the usual one may have matrix units, for which few tiles are candidates.
      const roomy = { ...gpu, device: { limits: LARGE_LIMITS } } as unknown as Gpu
      const [all, fitting] = [names(roomy), names(gpu)]
      expect(fitting).toEqual(
        candidateKernels(roomy, pass, large)
          .filter((kernel) => fits(kernel, limits))
          .map(kernelName),
      )
      expect(all).toContain('tile 128×128×16, 8×8 a thread')
      // 20 KiB of workgroup memory.
      expect(fitting).not.toContain('tile 128×128×16, 8×8 a thread')
      // 256 threads.
      expect(fitting.includes('tile 64×64×16, 4×4 a thread')).toBe(limits.maxComputeInvocationsPerWorkgroup >= 256)
      expect(fitting.length).toBeGreaterThan(3)
      const results: (Float32Array | Uint32Array)[] = []
      const kernels: KernelVariant[] = [defaultKernel(gpu, pass, SIZES), ...candidateKernels(gpu, pass, SIZES)]
      for (const kernel of kernels) results.push(await resultOf(pass, kernel))
      const dtype = pass === 'backward-weight' ? 'f32' : 'f16'
      for (const [i, result] of results.entries()) {
        expectClose(result, results[0], dtype, { roundings: 2, name: `${pass} ${kernelName(kernels[i])}` })
      }
    }
  })

  async function resultOf(pass: (typeof PASSES)[number], kernel: KernelVariant): Promise<Float32Array | Uint32Array> {
    const [left, right, result] = OPERANDS[pass].map((name, i) => {
      const spec = operandSpec(name, SIZES)
      const count = elementCount(spec.shape)
      return i === 2 ? empty(spec) : tensor(hashUniform(count, 100 * i + 1, -1, 1), spec.shape, spec.dtype)
    })
    runPass(pass, SIZES, [left, right, result], kernel)
    return read(result)
  }

  test.each(['f32', 'mixed'] as const)('training in %s has the losses of the usual device', async (precision) => {
    const trained = async () => {
      const loaders = await tinyLoaders({ train: 24, valid: 9, batchSize: 8 })
      const callbacks = [gradientClip(1)]
      const learner = new Learner(loaders, tinyModel({ seed: 1 }), {
        metrics: [accuracy],
        optimizer: adam(),
        callbacks,
      })
      if (precision === 'mixed') learner.toFp16()
      await learner.fitOneCycle(2, 1e-2)
      return [...learner.recorder.rawLosses, ...(await learner.getPredictions()).losses]
    }
    const losses = await trained()
    onSmall()
    const small = await trained()
    expect(small.length).toBe(losses.length)
    expect(Math.max(...small.map((loss, i) => Math.abs(loss / losses[i] - 1)))).toBeLessThan(0.01)
  })

  test('a whole network runs forward and backward', async () => {
    onSmall()
    const model = xresnet18({ outputs: 10, pool: 'maxBlur', activation: 'mish' })
    const images = () => tensor(hashUniform(2 * 64 * 64 * 3, 1, -1, 1), [2, 64, 64, 3], 'f16')
    const { logits } = scope(() => {
      const logits = model.forward(images())
      backward(logits, tensor(new Float32Array(20).fill(0.1), [2, 10], 'f16'))
      return { logits }
    })
    const gradients = model.parameters().map(({ value }) => value.leaf?.gradient)
    for (const numbers of [await read(logits), ...(await Promise.all(gradients.map((one) => read(one!))))]) {
      expect([...numbers].every(Number.isFinite)).toBe(true)
    }
  })
})

describe('the rule of a vendor that was not measured', () => {
  /** Most sums of a thread of a vendor: see families.ts. */
  const SUMS = { apple: 64, amd: 64, arm: 16, intel: 16, qualcomm: 16, '': 64 } as const
  const LIMITS = { ...DEFAULT_LIMITS, large: LARGE_LIMITS } as const
  /** Convolutions and the linear layer of xresnet18 at 128 px, of one image to 64. */
  const shapes = [1, 16, 64].flatMap((N) =>
    (['f32', 'f16'] as const).flatMap((dtype): ConvolutionSizes[] => [
      { N, H: 128, W: 128, C: 3, P: 64, Q: 64, O: 32, R: 3, S: 3, STRIDE: 2, PAD: 1, dtype },
      { N, H: 64, W: 64, C: 32, P: 64, Q: 64, O: 64, R: 3, S: 3, STRIDE: 1, PAD: 1, dtype },
      { N, H: 32, W: 32, C: 64, P: 32, Q: 32, O: 64, R: 3, S: 3, STRIDE: 1, PAD: 1, dtype },
      { N, H: 16, W: 16, C: 64, P: 16, Q: 16, O: 128, R: 1, S: 1, STRIDE: 1, PAD: 0, dtype },
      { N, H: 4, W: 4, C: 512, P: 4, Q: 4, O: 512, R: 3, S: 3, STRIDE: 1, PAD: 1, dtype },
      { N, H: 1, W: 1, C: 512, P: 1, Q: 1, O: 10, R: 1, S: 1, STRIDE: 1, PAD: 0, dtype },
    ]),
  )
  const cases = Object.keys(LIMITS).flatMap((level) => Object.keys(SUMS).map((vendor) => [vendor, level] as const))

  test.each(cases)('%s, %s: every kernel fits the device and its registers', (vendor, level) => {
    const limits = LIMITS[level as keyof typeof LIMITS]
    const gpu = { ...usual, vendor, software: false, device: { limits } } as unknown as Gpu
    const used = new Set<string>()
    for (const pass of PASSES) {
      for (const sizes of shapes) {
        const kernel = defaultKernel(gpu, pass, sizes, 'tile')
        const { THREAD_M, THREAD_N } = kernel.constants
        expect(fits(kernel, limits)).toBe(true)
        expect(THREAD_M * THREAD_N).toBeLessThanOrEqual(SUMS[vendor as keyof typeof SUMS])
        // One of those that are compared with others above, and by the tuner.
        expect(
          candidateKernels({ ...gpu, matrices: { ...usual.matrices, emulated: true } } as Gpu, pass, sizes).map(
            kernelName,
          ),
        ).toContain(kernelName(kernel))
        used.add(kernelName(kernel))
      }
    }
    // A tile of 64×64 with 4×4 sums per thread has 256 threads.
    const only = SUMS[vendor as keyof typeof SUMS] === 16 && limits.maxComputeInvocationsPerWorkgroup < 256
    expect(used.size > 1).toBe(!only)
  })
})
