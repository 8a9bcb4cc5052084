import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openGpuOn, type Gpu } from '../../src/gpu/device.ts'
import type { MatrixSize } from '../../src/gpu/matrices.ts'
import { specialise } from '../../src/gpu/prelude.ts'
import { shaderSource } from '../../src/gpu/shader-source.ts'
import { exportChoices, forgetChoices } from '../../src/ops/convolution/choices.ts'
import {
  candidateKernels,
  kernelName,
  matrixKernel,
  shaderOf,
  takesMatrices,
  type KernelVariant,
} from '../../src/ops/convolution/families.ts'
import { tune } from '../../src/ops/convolution/tuner.ts'
import { flopsOf, passKey, type ConvolutionSizes, type ConvolutionPass } from '../../src/ops/convolution/sizes.ts'
import type { Module } from '../../src/nn/module.ts'
import { conv2d } from '../../src/ops/conv2d.ts'
import { xresnet18, xresnet50 } from '../../src/nn/xresnet.ts'
import { sgd } from '../../src/optim/sgd.ts'
import { createGpu } from '../../src/platform/node/gpu.ts'
import { nodePlatform } from '../../src/platform/node/index.ts'
import type { Platform } from '../../src/platform/platform.ts'
import { backward } from '../../src/tensor/backward.ts'
import { scope } from '../../src/tensor/scope.ts'
import { zeros } from '../../src/tensor/read-write.ts'
import { unknownPasses } from '../helpers/unknown-passes.ts'

/**
 * Dawn's null backend checks everything and runs nothing. It offers subgroup matrices, so the kernels for matrix units,
 * which few machines have, are compiled here at every shape that the networks use, in the sizes that adapters report.
 */
const MATRIX_SIZES: readonly MatrixSize[] = [
  { M: 16, N: 16, K: 16 },
  { M: 16, N: 8, K: 16 },
  { M: 16, N: 16, K: 8 },
  { M: 16, N: 8, K: 8 },
  { M: 8, N: 16, K: 16 },
  { M: 8, N: 8, K: 8 },
  { M: 8, N: 8, K: 8, component: 'f32' },
]
/** Tiles within the null backend's 16 KiB of workgroup memory, and the largest, which it compiles but cannot launch. */
const MATRIX_TILES = [
  [32, 32, 32, 1, 2],
  [64, 64, 16, 2, 2],
  [32, 64, 32, 1, 2],
  [128, 128, 32, 2, 2],
] as const

describe.each([
  ['xresnet18', xresnet18],
  ['xresnet50', xresnet50],
] as const)('%s', (_name, build) => {
  let gpu: Gpu
  let model: Module
  beforeAll(async () => {
    gpu = await openNull()
    model = build({ outputs: 10 })
    sgd()([model.parameters()]).keepF16Copies()
  })
  afterAll(() => gpu.close())

  describe.each([64, 128, 224])('at %i px', (size) => {
    test.each(['tile', 'matrix'] as const)(
      'a step in mixed precision is recorded without an error, family %s',
      async (family) => {
        gpu.family = family
        const passes = await passesOf(gpu, model, size)
        // Every convolution and the linear layer forward and backward, the first with no gradient of its input.
        expect(passes.length % 3).toBe(2)
        expect(passes.some(({ sizes }) => sizes.H === size && sizes.C === 3)).toBe(true)
      },
    )

    test('every kernel compiles at every shape', async () => {
      const wrong: string[] = []
      const compiled: Promise<void>[] = []
      const passes = await passesOf(gpu, model, size)
      // The first convolution with its 3 in-channels, and what goes back from the 10 outputs: two passes of each.
      expect(passes.filter(({ pass, sizes }) => !takesMatrices(pass, sizes)).length).toBe(4)
      for (const { pass, sizes } of passes) {
        const batch = { ...sizes, N: 64 }
        for (const kernel of kernelsFor(gpu, pass, batch)) {
          compiled.push(
            compile(gpu, pass, batch, kernel).then((message) => {
              if (message !== undefined) wrong.push(`${passKey(pass, batch)}, ${kernelName(kernel)}: ${message}`)
            }),
          )
        }
      }
      await Promise.all(compiled)
      expect(compiled.length).toBeGreaterThan(100)
      expect(wrong).toEqual([])
    })
  })
})

/** Convolutions in groups of MobileNetV2, ConvNeXt-Tiny and ResNeXt-50 at 128 px: side, channels, filter, stride, groups. */
const IN_GROUPS = [
  [64, 32, 3, 1, 32],
  [64, 96, 3, 2, 96],
  [32, 144, 3, 1, 144],
  [8, 384, 3, 1, 384],
  [7, 960, 3, 2, 960],
  [32, 96, 7, 1, 96],
  [8, 384, 7, 1, 384],
  [32, 36, 5, 2, 36],
  [32, 128, 3, 1, 32],
  [32, 256, 3, 2, 32],
  [8, 1024, 3, 1, 32],
] as const

test.each(['f16', 'f32'] as const)(
  'kernels of convolutions in groups compile at the shapes of networks, %s',
  async (dtype) => {
    const gpu = await openNull()
    gpu.family = 'tile'
    for (const [side, C, R, stride, groups] of IN_GROUPS) {
      for (const N of [4, 64]) {
        scope(() => {
          const [x, weight] = [zeros([N, side, side, C], dtype), zeros([C, R, R, C / groups], dtype)]
          for (const one of [x, weight]) one.leaf = { trainable: true, gradient: undefined, hasGradient: false }
          const y = conv2d(x, weight, { stride, padding: R >> 1, groups })
          backward(y, zeros(y.shape, dtype))
        })
        await gpu.queue.finished()
        gpu.trim()
      }
    }
    const compiled = gpu.pipelines.count
    gpu.close()
    expect(compiled).toBeGreaterThan(3 * IN_GROUPS.length)
  },
)

test('a kernel that is wrong is seen', async () => {
  const sizes: ConvolutionSizes = {
    N: 1,
    H: 4,
    W: 4,
    C: 4,
    P: 4,
    Q: 4,
    O: 4,
    R: 1,
    S: 1,
    STRIDE: 1,
    PAD: 0,
    dtype: 'f16',
  }
  const gpu = await openNull()
  const message = await compile(gpu, 'forward', sizes, matrixKernel(gpu, [32, 32, 24, 1, 2], MATRIX_SIZES[0]))
  gpu.close()
  expect(message).toContain('const assertion failed')
})

function kernelsFor(gpu: Gpu, pass: ConvolutionPass, sizes: ConvolutionSizes): KernelVariant[] {
  const tiles = candidateKernels(gpu, pass, sizes).filter(
    ({ family, slices }) => family === 'tile' && slices === 'many',
  )
  if (!takesMatrices(pass, sizes)) return tiles
  return [...tiles, ...MATRIX_SIZES.map((size, i) => matrixKernel(gpu, MATRIX_TILES[i % MATRIX_TILES.length], size))]
}

/** Messages of the compiler, by text: convolutions of several images, and of both networks, are the same kernel. */
const messages = new Map<string, Promise<string | undefined>>()

/** Returns the compiler's messages about a kernel. */
function compile(
  gpu: Gpu,
  pass: ConvolutionPass,
  sizes: ConvolutionSizes,
  kernel: KernelVariant,
): Promise<string | undefined> {
  const { dtype, ...shape } = sizes
  const name = shaderOf(kernel, pass)
  const { code } = specialise(name, shaderSource(name), {
    dtype,
    constants: kernel.constants,
    shape: { ...shape, SLICES: 2 },
    subgroupSize: gpu.subgroupSize,
  })
  const message = messages.get(code) ?? compileText(gpu, code, kernel)
  messages.set(code, message)
  return message
}

async function compileText(
  { device }: Gpu,
  code: string,
  { rows, columns }: KernelVariant,
): Promise<string | undefined> {
  device.pushErrorScope('validation')
  const module = device.createShaderModule({ code })
  const fits = rows * columns < 128 * 128
  if (fits) device.createComputePipeline({ layout: 'auto', compute: { module, entryPoint: 'main' } })
  return (await device.popErrorScope())?.message
}

/** Records forward and backward of a picture; returns the passes of the convolutions. */
async function passesOf(gpu: Gpu, model: Module, size: number) {
  forgetChoices(gpu)
  scope(() => {
    const logits = model.forward(zeros([1, size, size, 3], 'f16'))
    backward(logits, zeros(logits.shape, 'f16'))
  })
  await gpu.queue.finished()
  // The null backend has 512 MiB.
  gpu.trim()
  return unknownPasses(gpu)
}

describe('the tuner before a first fit of xresnet18 at 128 px', () => {
  /** Runs the tuner by a clock on which compiling takes 20 ms per kernel, and a measurement 5 ms. */
  async function tuned(seconds: number) {
    const clock = { ms: 0 }
    const lines: string[] = []
    const gpu = await openNull({ now: () => clock.ms, log: (line) => void lines.push(line), env: () => undefined })
    const model = xresnet18({ outputs: 10 })
    sgd()([model.parameters()]).keepF16Copies()
    const passes = await passesOf(gpu, model, 128)
    const measured: string[] = []
    const found = await tune({
      seconds,
      stopwatch: {
        async compile(launches) {
          clock.ms += 20 * launches.length
        },
        async time(name) {
          measured.push(name)
          clock.ms += 5
          return 1
        },
      },
    })
    const left = passes.filter(({ pass, sizes }) => !found.some((row) => row.pass === passKey(pass, sizes)))
    const choices = exportChoices(gpu)
    gpu.close()
    return { passes, found, left, measured, choices, seconds: clock.ms / 1000, lines }
  }
  const flops = ({ sizes }: { readonly sizes: ConvolutionSizes }) => flopsOf(sizes)

  test('measures the most expensive passes, within its budget, and settles the rest by rule', async () => {
    const { passes, found, left, choices, seconds, lines } = await tuned(10)
    expect(seconds).toBeLessThanOrEqual(10.5)
    expect(found.length).toBeGreaterThan(5)
    expect(left.length).toBeGreaterThan(5)
    const done = passes.filter((subject) => !left.includes(subject))
    // A shape that several layers have counts as often as they do, so a few cheaper ones come before dearer ones.
    const mean = (subjects: typeof passes) => subjects.reduce((sum, one) => sum + flops(one), 0) / subjects.length
    expect(mean(done)).toBeGreaterThan(2 * mean(left))
    expect(Object.keys(choices).length).toBe(passes.length)
    expect(lines[0]).toMatch(/^tuning \d+ kernels for null, once, for 10\.0 s at most \(TUNE=0: not at all\)$/)
    expect(lines.at(-1)).toContain(`; ${left.length} with less arithmetic use default kernels until a later search`)
  })

  test('has enough time for all by default, and less for a shorter wait', async () => {
    const [short, usual] = [await tuned(2), await tuned(60)]
    expect(short.seconds).toBeLessThanOrEqual(2.5)
    expect(short.found.length).toBeGreaterThan(0)
    expect(usual.left).toEqual([])
    expect(usual.seconds).toBeLessThan(60)
  })
})

async function openNull(platform: Partial<Platform> = {}): Promise<Gpu> {
  const instance = await createGpu(['backend=null', 'enable-dawn-features=allow_unsafe_apis'])
  const requestAdapter = async (options?: GPURequestAdapterOptions) => {
    const adapter = await instance.requestAdapter(options)
    if (!adapter) return adapter
    const subgroupMatrixConfigs = MATRIX_SIZES.map(({ component, ...size }) => ({
      ...size,
      componentType: component ?? 'f16',
      resultComponentType: 'f32',
    }))
    const info = {
      description: 'null',
      vendor: 'null',
      isFallbackAdapter: false,
      subgroupMinSize: 32,
      subgroupMaxSize: 32,
      subgroupMatrixConfigs,
    }
    return {
      features: adapter.features,
      limits: adapter.limits,
      info,
      requestDevice: adapter.requestDevice.bind(adapter),
    }
  }
  return openGpuOn({ ...nodePlatform, ...platform, gpu: () => ({ requestAdapter }) as unknown as GPU })
}
