import { afterEach, describe, expect, test, vi } from 'vitest'
import { DeviceError, WgradError } from '../../src/base/errors.ts'
import { currentGpu, openGpuOn, useGpu, type Gpu } from '../../src/gpu/device.ts'
import { profileTable } from '../../src/gpu/profile.ts'
import { BUFFER_USAGE } from '../../src/gpu/flags.ts'
import { registerShader } from '../../src/gpu/register-shader.ts'
import { add } from '../../src/ops/add.ts'
import { relu } from '../../src/ops/relu.ts'
import { adapterAdvice } from '../../src/platform/node/adapter-advice.ts'
import { nodePlatform } from '../../src/platform/node/index.ts'
import type { Platform } from '../../src/platform/platform.ts'
import { elementwise, empty, launch } from '../../src/tensor/launch.ts'
import { noGrad } from '../../src/tensor/op.ts'
import { release, scope } from '../../src/tensor/scope.ts'
import { read, tensor, upload, zeros } from '../../src/tensor/read-write.ts'
import { openTestGpu } from '../helpers/gpu.ts'

const gpu = await openTestGpu()

describe('launches', () => {
  const x = zeros([8])
  const y = zeros([8])

  test('match buffers to bindings by name, and refuse what does not match', () => {
    expect(() => launch('relu/forward', { x }, elementwise(x))).toThrowErrorMatchingInlineSnapshot(`
      [ShaderError: relu/forward: no buffer for 'y'
        buffers  x]
    `)
    expect(() => launch('relu/forward', { x, y, z: y }, elementwise(x))).toThrowErrorMatchingInlineSnapshot(`
      [ShaderError: relu/forward: there is no binding 'z'
        declared  x y]
    `)
    expect(() => launch('relu/forward', { x, y }, { groups: 1 })).toThrowErrorMatchingInlineSnapshot(
      `[ShaderError: relu/forward: the launch gives no value for shape.VECTORS]`,
    )
    expect(() => launch('relu/forward', { x, y }, { ...elementwise(x), constants: { SPEED: 9 } }))
      .toThrowErrorMatchingInlineSnapshot(`
      [ShaderError: shaders/relu/forward.wgsl: does not declare the constant SPEED
        declared  THREADS EACH]
    `)
    expect(() => launch('relu/forward', { x, y }, { ...elementwise(x), groups: [70000, 1, 1] }))
      .toThrowErrorMatchingInlineSnapshot(`
        [ShaderError: relu/forward: the grid does not fit a dispatch
          groups  70000,1,1
          expected a number of workgroups or [x, y, z], 1 to 65535 workgroups per dimension]
      `)
    expect(() => elementwise(zeros([3], 'u32'))).toThrowErrorMatchingInlineSnapshot(`
      [DtypeError: launch: the tensor must hold floats
        tensor  [3] u32]
    `)
  })

  test('with one count go beyond what a dimension of a grid holds', async () => {
    // 64 threads of 4 numbers a workgroup: 65,535 workgroups are passed by a few.
    const count = 65535 * 256 + 777
    const result = scope(() => relu(tensor(new Float32Array(count).fill(1), [count], 'f16')))
    const numbers = await read(result)
    expect(numbers.every((value) => value === 1)).toBe(true)
    release(result)
  })

  test('share pipelines and bind groups', () => {
    const before = gpu.pipelines.count
    const makeGroup = vi.spyOn(gpu.device, 'createBindGroup')
    for (let i = 0; i < 3; i++) launch('relu/forward', { x, y }, elementwise(x))
    launch('relu/forward', { x: y, y: x }, { ...elementwise(x), dtype: 'f32' })
    expect(gpu.pipelines.count - before).toBeLessThanOrEqual(1)
    expect(makeGroup.mock.calls.length).toBeLessThanOrEqual(3)
    makeGroup.mockRestore()
  })
})

describe('errors of the GPU', () => {
  const others: Gpu[] = []
  const open = async (options = {}) => {
    others.push(await openGpuOn(nodePlatform, options))
    return others[others.length - 1]
  }
  afterEach(() => {
    for (const other of others.splice(0)) other.close()
    useGpu(gpu)
  })

  let registrations = 0
  /** Runs a shader that is none of the library's. @returns the error that a read meets */
  async function failing(text: string, constant = 'SLOPE'): Promise<Error> {
    const other = await open()
    const shader = registerShader(`test/broken-${++registrations}`, `// @const ${constant}:f32\n${text}`)
    const constants = { [constant]: 2 }
    try {
      launch(shader, { x: zeros([4]), y: empty({ shape: [4], dtype: 'f32' }) }, { groups: 1, constants })
      await other.queue.finished()
    } catch (error) {
      return error as Error
    }
    throw new Error('nothing failed')
  }

  test('of a shader name its file and line', async () => {
    const text = [
      '@group(0) @binding(0) var<storage, read> x: array<vec4f>;',
      '@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;',
      '@compute @workgroup_size(1) fn main() {',
      '  y[0] = x[0] * SLOPE + 1u;',
      '}',
    ].join('\n')
    const error = await failing(text)
    expect(error).toBeInstanceOf(WgradError)
    expect(error.message.split('\n')[0]).toMatch(/^shader test\/broken-\d+:5:\d+: no matching overload for/)
    expect(error.message).toContain('  y[0] = x[0] * SLOPE + 1u;')
    expect(error.message).toMatch(/Fix: This GPU .* cannot be used any more: gpu.close\(\), await openGpu\(\)/)
  })

  test('of what stands before a shader quote its line, counted from the first of all', async () => {
    const text = [
      '@group(0) @binding(0) var<storage, read> x: array<vec4f>;',
      '@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;',
      '@compute @workgroup_size(1) fn main() { y[0] = x[0] * T4; }',
    ].join('\n')
    const { message } = await failing(text, 'T4')
    expect(message).toMatch(/^shader test\/broken-\d+, prelude: /)
    expect(message).toMatch(/^ +[1-9]\d*  const T4: f32 = 2/m)
  })

  test('of a pipeline name its shader', async () => {
    const text = [
      '@group(0) @binding(0) var<storage, read> x: array<vec4f>;',
      '@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;',
      '@compute @workgroup_size(4096) fn main() { y[0] = x[0] * SLOPE; }',
    ].join('\n')
    expect((await failing(text)).message).toContain('test/broken')
  })

  test('say how to go on, and out of memory what to change', async () => {
    const report = async (error: object) => {
      const other = await open()
      other.device.onuncapturederror?.({ error } as GPUUncapturedErrorEvent)
      try {
        other.check()
      } catch (error) {
        return String(error).replace(other.name, 'GPU')
      }
      return 'nothing'
    }
    class GPUOutOfMemoryError {
      message = 'Failed to allocate'
    }
    expect(await report(new GPUOutOfMemoryError())).toMatchInlineSnapshot(`
      "DeviceError: GPU: memory ran out: Failed to allocate
        Fix: use a smaller batch, smaller images or mixed precision. This GPU may have computed with stale numbers and cannot be used any more: gpu.close(), await openGpu(), and make loaders, model and learner again"
    `)
    expect(await report({ message: 'Invalid' })).toMatchInlineSnapshot(`
      "DeviceError: GPU: Invalid
        Fix: This GPU may have computed with stale numbers and cannot be used any more: gpu.close(), await openGpu(), and make loaders, model and learner again"
    `)
  })

  test('are seen after a launch that was refused before the driver saw it', async () => {
    const other = await open()
    const x = zeros([8])
    const launchWith = () =>
      launch('relu/forward', { x, y: zeros([8]) }, { ...elementwise(x), constants: { SPEED: 9 } })
    expect(launchWith).toThrow('does not declare the constant SPEED')
    other.device.createBuffer({ size: 16, usage: BUFFER_USAGE.MAP_READ | BUFFER_USAGE.STORAGE })
    await expect(read(x)).rejects.toThrow(WgradError)
  })

  test('stay: nothing is read after one', async () => {
    const other = await open()
    const x = zeros([4])
    other.device.createBuffer({ size: 16, usage: BUFFER_USAGE.MAP_READ | BUFFER_USAGE.STORAGE })
    await expect(read(x)).rejects.toThrow(WgradError)
    await expect(read(x)).rejects.toThrow(WgradError)
    expect(() => other.check()).toThrow(WgradError)
  })
})

describe('of several GPUs', () => {
  test('each has tensors of its own', async () => {
    const x = tensor([-1, 2], [2])
    const other = await openGpuOn(nodePlatform)
    // The first buffer of each: without a look at the GPU they would be taken for the same one.
    const [y, z] = [tensor([-3, 4], [2]), empty({ shape: [2], dtype: 'f32' })]
    launch('relu/forward', { x: y, y: z }, elementwise(y))
    expect(() => launch('relu/forward', { x, y: z }, elementwise(x))).toThrowErrorMatchingInlineSnapshot(`
      [DeviceError: tensor: it is on another GPU than the one that operations run on
        tensor  [2] f32
        Fix: call useGpu(gpu) with the GPU of the tensor, or read it there and upload it here]
    `)
    const refused = 'it is on another GPU than the one that operations run on'
    expect(() => relu(x)).toThrow(refused)
    expect(() => upload(x, [1, 2])).toThrow(refused)
    await expect(read(x)).rejects.toThrow(refused)
    expect([...(await read(z))]).toEqual([0, 4])
    useGpu(gpu)
    expect([...(await read(relu(x)))]).toEqual([0, 2])
    expect(() => relu(y)).toThrow(refused)
    other.close()
    expect(() => relu(y)).toThrowErrorMatchingInlineSnapshot(`
      [DeviceError: tensor: it is on a GPU that is closed
        tensor  [2] f32
        Fix: make it again, or load the model again]
    `)
  })

  test('one that is closed is not used again, and a read that was under way says why it has failed', async () => {
    const other = await openGpuOn(nodePlatform)
    const reading = read(tensor([1], [1]))
    other.close()
    await expect(reading).rejects.toThrow('this GPU is closed, and its tensors are gone')
    expect(() => useGpu(other)).toThrow(DeviceError)
    expect(() => useGpu(other)).toThrow('this GPU is closed, and its tensors are gone')
    useGpu(gpu)
    expect(currentGpu()).toBe(gpu)
  })
})

describe('opening', () => {
  test('makes the GPU the current one, until it is closed', async () => {
    const other = await openGpuOn(nodePlatform)
    expect(currentGpu()).toBe(other)
    other.close()
    expect(() => currentGpu()).toThrowErrorMatchingInlineSnapshot(`
      [DeviceError: wgrad: the GPU that operations ran on is closed
        Fix: call \`await openGpu()\` first]
    `)
    useGpu(gpu)
  })

  test('says what was looked for and how to get it', async () => {
    const on = (requestAdapter: () => Promise<unknown>, system = 'linux'): Platform => ({
      ...nodePlatform,
      gpu: () => ({ requestAdapter }) as unknown as GPU,
      adapterAdvice: (kind) => adapterAdvice(kind, system),
    })
    const none = on(async () => null)
    await expect(openGpuOn(none)).rejects.toThrowErrorMatchingInlineSnapshot(`
      [DeviceError: openGpu: no WebGPU adapter was found
        asked  the fastest there is
        Fix: install a Vulkan driver: that of your graphics card, or without one Mesa 24 or later (\`mesa-vulkan-drivers\`; on Debian 12 from bookworm-backports): \`sudo apt-get install mesa-vulkan-drivers libvulkan1\` on Debian 13 or Ubuntu 24.04. In a clone of wgrad \`npm test\` does this on Debian and Ubuntu]
    `)
    const software = {
      description: '',
      device: 'llvmpipe (LLVM 15.0.6, 256 bits)',
      architecture: '',
      vendor: '',
      isFallbackAdapter: false,
    }
    await expect(
      openGpuOn(
        on(async () => ({ info: software })),
        { adapter: 'discrete' },
      ),
    ).rejects.toThrowErrorMatchingInlineSnapshot(`
      [DeviceError: openGpu: only a software adapter was found
        asked  discrete
        found  llvmpipe (LLVM 15.0.6, 256 bits)
        Fix: install the Vulkan driver of your graphics card: NVIDIA's own, or for AMD and Intel Mesa 24 or later (\`mesa-vulkan-drivers\`; on Debian 12 from bookworm-backports); or leave GPU and the option \`adapter\` unset to compute on the processor]
    `)
    // As Dawn's binding does for an adapter that is asked for by name.
    const named = async () => {
      throw new Error("no suitable backends found\nAvailable adapters:\n * backend: 'd3d12', name: 'A GPU'")
    }
    await expect(openGpuOn(on(named, 'win32'), { adapter: 'software' })).rejects.toThrowErrorMatchingInlineSnapshot(`
      [DeviceError: openGpu: no software adapter was found
        asked   software
        reason  no suitable backends found
        Fix: use Windows 10 or later, of which the Microsoft Basic Render Driver is a part, or leave GPU and the option \`adapter\` unset]
    `)
  })

  test('asks again, in compatibility mode, where no adapter has all of WebGPU', async () => {
    const asked: (string | undefined)[] = []
    const instance = await nodePlatform.gpu()
    const requestAdapter = async (options: GPURequestAdapterOptions) => {
      asked.push(options.featureLevel)
      return options.featureLevel === 'compatibility' ? instance.requestAdapter() : null
    }
    const other = await openGpuOn({ ...nodePlatform, gpu: () => ({ requestAdapter, instance }) as unknown as GPU })
    expect(asked).toEqual(['core', 'compatibility'])
    other.close()
    useGpu(gpu)
  })

  test('takes less where an implementation refuses what its adapter offers, and says why where it gives nothing', async () => {
    const adapter = await (await nodePlatform.gpu()).requestAdapter()
    const opening = (refuses: (wanted: GPUDeviceDescriptor) => boolean) => {
      const { info, features, limits } = adapter!
      const requestDevice = async (wanted: GPUDeviceDescriptor = {}) => {
        if (refuses(wanted)) throw new TypeError('maxBufferSize is above the limit of this browser\nand more')
        return (await (await nodePlatform.gpu()).requestAdapter())!.requestDevice(wanted)
      }
      const requestAdapter = async () => ({ info, features, limits, requestDevice })
      return openGpuOn({ ...nodePlatform, gpu: () => ({ requestAdapter }) as unknown as GPU })
    }
    for (const refuses of [
      ({ requiredLimits }: GPUDeviceDescriptor) => requiredLimits !== undefined,
      ({ requiredFeatures }: GPUDeviceDescriptor) => requiredFeatures !== undefined,
      ({ requiredLimits, requiredFeatures }: GPUDeviceDescriptor) => (requiredLimits ?? requiredFeatures) !== undefined,
    ]) {
      const other = await opening(refuses)
      expect([...(await read(relu(tensor([-1, 2], [2]))))]).toEqual([0, 2])
      other.close()
    }
    useGpu(gpu)
    const nothing = opening(() => true)
    await expect(nothing).rejects.toThrow(DeviceError)
    await expect(nothing).rejects.toThrow(
      /no device, not even one.*reason +maxBufferSize is above the limit of this browser\n/s,
    )
  })

  test('destroys the device of a GPU that is refused after it was made', async () => {
    const adapter = await (await nodePlatform.gpu()).requestAdapter()
    const destroy = vi.fn<() => void>()
    const requestDevice = async () => {
      const device = await (await (await nodePlatform.gpu()).requestAdapter())!.requestDevice()
      const destroyed = device.destroy.bind(device)
      destroy.mockImplementation(() => destroyed())
      return Object.assign(device, { destroy })
    }
    const { info, limits } = adapter!
    const requestAdapter = async () => ({ info, limits, features: new Set(), requestDevice })
    const platform: Platform = { ...nodePlatform, gpu: () => ({ requestAdapter }) as unknown as GPU }
    await expect(openGpuOn(platform, { profile: true })).rejects.toThrow('no timestamp queries')
    await expect(openGpuOn(platform, { family: 'broadcast' })).rejects.toThrow('subgroups')
    const log = () => {
      throw new Error('nothing can be printed')
    }
    const env = (name: string) => (name === 'DEBUG' ? '1' : undefined)
    await expect(openGpuOn({ ...platform, env, log })).rejects.toThrow('nothing can be printed')
    expect(destroy).toHaveBeenCalledTimes(3)
    expect(currentGpu()).toBe(gpu)
  })

  test('gives advice that fits system and adapter', () => {
    const advice = (['software', 'discrete', undefined] as const).map((kind) =>
      ['linux', 'darwin', 'win32', 'freebsd'].map((system) => adapterAdvice(kind, system)),
    )
    for (const [linux, mac, windows, other] of advice) {
      expect(linux).toContain('mesa-vulkan-drivers')
      expect(mac).toContain('macOS')
      expect(windows).toMatch(/Microsoft Basic Render Driver|Direct3D 12/)
      expect(`${mac} ${windows}`).not.toMatch(/Vulkan|Mesa/)
      expect(other).toBe(linux)
    }
    expect(new Set(advice.flat()).size).toBe(9)
  })

  test('refuses settings and options that are none of their values', async () => {
    const asked = { ...nodePlatform, env: (name: string) => (name === 'GPU' ? 'fast' : undefined) }
    await expect(openGpuOn(asked)).rejects.toThrowErrorMatchingInlineSnapshot(`
      [OptionError: openGpu: GPU is not one of its values
        GPU  fast
        expected software or discrete]
    `)
    // Which TypeScript would see.
    for (const option of ['adapter', 'family', 'shapes']) {
      await expect(openGpuOn(nodePlatform, { [option]: 'fast' })).rejects.toThrow(
        `openGpu: ${option} is not one of its values\n  ${option}  fast`,
      )
    }
  })

  test('sizes as constants compute the same', async () => {
    const data = Array.from({ length: 105 }, (_, i) => i - 50)
    for (const shapes of ['uniform', 'constant'] as const) {
      const other = await openGpuOn(nodePlatform, { shapes })
      expect([...(await read(relu(tensor(data, [3, 35]))))]).toEqual(data.map((value) => Math.max(value, 0)))
      other.close()
    }
    useGpu(gpu)
  })
})

test('a profile has a row for every launch, with its own time, or is refused where there is no clock', async () => {
  const opened = openGpuOn(nodePlatform, { profile: true })
  if (!gpu.features.has('timestamp-query')) {
    return expect(opened).rejects.toThrow('this adapter has no timestamp queries, so nothing can be profiled')
  }
  const other = await opened
  const x = tensor(new Float32Array(1024).fill(1), [1024])
  noGrad(() => scope(() => add(relu(x), x)))
  await other.queue.finished()
  const rows = await other.profiler!.rows(nodePlatform)
  expect(rows.map(({ label }) => label)).toEqual(['relu/forward', 'add/forward'])
  for (const row of rows) {
    expect(row.timeMs).toBeGreaterThanOrEqual(0)
    expect(row.bytes).toBeGreaterThanOrEqual(2 * 4096)
  }
  expect(profileTable(rows).split('\n')).toHaveLength(3)
  noGrad(() => scope(() => relu(x)))
  other.queue.submit()
  other.profiler!.reset()
  noGrad(() => scope(() => add(x, x)))
  await other.queue.finished()
  expect((await other.profiler!.rows(nodePlatform)).map(({ label }) => label)).toEqual(['add/forward'])
  other.close()
  useGpu(gpu)
})
