import { afterEach, describe, expect, test } from 'vitest'
import { openGpuOn, useGpu, type Gpu } from '../../src/gpu/device.ts'
import { specialise } from '../../src/gpu/prelude.ts'
import { shaderSource } from '../../src/gpu/shader-source.ts'
import { subgroupsOf } from '../../src/gpu/subgroups.ts'
import { defaultKernel, kernelName } from '../../src/ops/convolution/families.ts'
import { runPass } from '../../src/ops/convolution/passes.ts'
import { OPERANDS, operandSpec, PASSES, type ConvolutionSizes } from '../../src/ops/convolution/sizes.ts'
import { nodePlatform } from '../../src/platform/node/index.ts'
import { empty } from '../../src/tensor/launch.ts'
import { read, tensor } from '../../src/tensor/read-write.ts'
import { elementCount } from '../../src/tensor/shape.ts'
import { expectClose } from '../../src/testing/close.ts'
import { emulatedSubgroups, type Lanes } from '../helpers/emulated-subgroups.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import '../../src/gpu/wgsl/conv2d/index.ts'
import '../../src/gpu/wgsl/relu/forward.ts'

const usual = await openTestGpu({ poison: false })
afterEach(() => useGpu(usual))

const info = (least?: number, most?: number) =>
  ({ description: 'GPU', subgroupMinSize: least, subgroupMaxSize: most }) as GPUAdapterInfo

test.each([
  ['NVIDIA and Apple', 32, 32, { size: 32, pinned: false }],
  ['AMD RDNA', 32, 64, { size: 32, pinned: true }],
  ['AMD GCN', 64, 64, { size: 64, pinned: false }],
  ['Intel', 8, 32, { size: 32, pinned: true }],
  ['Intel without the widest', 8, 16, { size: 16, pinned: true }],
  ['Adreno', 64, 128, { size: 128, pinned: true }],
  ['Mali', 16, 16, { size: 16, pinned: false }],
  ['llvmpipe', 4, 4, { size: 4, pinned: false }],
] as const)('of %s are known, or chosen', (_name, least, most, found) => {
  expect(subgroupsOf(info(least, most), new Set(['subgroups', 'subgroup-size-control']))).toEqual(found)
})

test('are not relied on where their width is left to the driver, and the reason is told', async () => {
  const reason = (least: number | undefined, most: number | undefined, ...features: string[]) =>
    subgroupsOf(info(least, most), new Set(features))
  expect(reason(32, 64, 'subgroups')).toEqual({
    size: 0,
    pinned: false,
    refusal: 'has subgroups of 32 to 64 lanes, and no feature subgroup-size-control to choose one',
  })
  expect(reason(32, 32)).toMatchObject({ size: 0, refusal: 'has no subgroups' })
  expect(reason(undefined, undefined, 'subgroups')).toMatchObject({ size: 0, refusal: 'has no subgroups' })
  expect(reason(1, 1, 'subgroups').refusal).toBe('has subgroups of 1 lanes, and kernels need 4 or more')
  const opened = open({ least: 32, most: 64, control: false }, 'broadcast')
  await expect(opened).rejects.toThrowErrorMatchingInlineSnapshot(`
    [DeviceError: subgroups of 32 to 64: has subgroups of 32 to 64 lanes, and no feature subgroup-size-control to choose one
      expected subgroups of a known width, for the broadcast kernels
      Fix: use family 'tile']
  `)
})

async function open(lanes: Lanes, family?: 'broadcast'): Promise<Gpu> {
  const instance = emulatedSubgroups(await nodePlatform.gpu(), lanes)
  return openGpuOn({ ...nodePlatform, gpu: () => instance }, { shapes: 'uniform', ...(family ? { family } : {}) })
}

test('a kernel asks for the width that was chosen, and only one that relies on it', () => {
  const code = (name: 'conv2d/forward-broadcast' | 'relu/forward', pinSubgroups: boolean) => {
    const source = shaderSource(name)
    const constants: Record<string, number> = name === 'relu/forward' ? { THREADS: 64, EACH: 1 } : { STEP: 4 }
    return specialise(name, source, { dtype: 'f32', constants, shape: undefined, subgroupSize: 32, pinSubgroups }).code
  }
  const pinned = code('conv2d/forward-broadcast', true)
  expect(pinned).toContain('enable subgroup_size_control;\n')
  expect(pinned).toContain('@workgroup_size(SUBGROUP) @subgroup_size(SUBGROUP)')
  expect(code('conv2d/forward-broadcast', false)).not.toContain('subgroup_size')
  expect(code('relu/forward', true)).not.toContain('subgroup_size')
})

/** Channels and pixels around the tiles of narrow and wide subgroups. */
const SHAPES = [
  [2, 9, 7, 13, 37, 3, 2],
  [3, 5, 6, 70, 9, 1, 1],
  [1, 6, 5, 5, 140, 3, 1],
] as const

function sizesOf([N, H, W, C, O, R, STRIDE]: (typeof SHAPES)[number], dtype: 'f16' | 'f32'): ConvolutionSizes {
  const PAD = R >> 1
  const out = (side: number) => Math.floor((side + 2 * PAD - R) / STRIDE) + 1
  return { N, H, W, C, P: out(H), Q: out(W), O, R, S: R, STRIDE, PAD, dtype }
}

async function resultOf(
  gpu: Gpu,
  pass: (typeof PASSES)[number],
  sizes: ConvolutionSizes,
  family: 'broadcast' | 'tile',
) {
  useGpu(gpu)
  const [left, right, result] = OPERANDS[pass].map((name, i) => {
    const spec = operandSpec(name, sizes)
    const count = elementCount(spec.shape)
    return i === 2 ? empty(spec) : tensor(hashUniform(count, 100 * i + 1, -1, 1), spec.shape, spec.dtype)
  })
  const kernel = defaultKernel(gpu, pass, sizes, family)
  runPass(pass, sizes, [left, right, result], kernel)
  return [await read(result), kernelName(kernel)] as const
}

async function expectRight(gpu: Gpu): Promise<void> {
  for (const dtype of ['f32', 'f16'] as const) {
    for (const shape of SHAPES) {
      for (const pass of PASSES) {
        const sizes = sizesOf(shape, dtype)
        const [proven] = await resultOf(usual, pass, sizes, 'tile')
        const [values, name] = await resultOf(gpu, pass, sizes, 'broadcast')
        const stored = pass === 'backward-weight' ? 'f32' : dtype
        expectClose(values, proven, stored, { roundings: 2, name: `${name}, ${pass} ${dtype} ${shape.join()}` })
      }
    }
  }
}

describe.each([
  [4, 4, 4],
  [8, 8, 8],
  [16, 16, 16],
  [32, 32, 32],
  [64, 64, 64],
  [8, 32, 32],
  [32, 64, 32],
  [64, 128, 128],
] as const)('emulated, of %i to %i lanes', (least, most, size) => {
  test(`broadcast kernels of ${size} lanes compute the same as tiles`, async () => {
    const gpu = await open({ least, most }, 'broadcast')
    expect(gpu.subgroupSize).toBe(size)
    await expectRight(gpu)
    gpu.close()
  })
})

test("where the driver offers a choice, kernels take the machine's own width by asking for it", async () => {
  const instance = await nodePlatform.gpu()
  const { features, info: real } = (await instance.requestAdapter())!
  const most = real.subgroupMaxSize ?? 0
  // Of those that the tests run on only Mesa's software adapter by Vulkan has it.
  if (!features.has('subgroup-size-control') || most < 4 || process.env.TEST_ADAPTER) return
  const requestAdapter = async () => {
    const adapter = (await instance.requestAdapter())!
    const { vendor, architecture, device, description, isFallbackAdapter, subgroupMaxSize } = adapter.info
    return {
      info: { vendor, architecture, device, description, isFallbackAdapter, subgroupMinSize: 1, subgroupMaxSize },
      features: adapter.features,
      limits: adapter.limits,
      requestDevice: adapter.requestDevice.bind(adapter),
    }
  }
  const gpu = await openGpuOn(
    { ...nodePlatform, gpu: () => ({ requestAdapter, instance }) as unknown as GPU },
    { shapes: 'uniform', family: 'broadcast' },
  )
  await expectRight(gpu)
  gpu.close()
})
