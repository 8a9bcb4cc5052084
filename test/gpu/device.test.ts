import { afterEach, describe, expect, test, vi } from 'vitest'
import { DeviceError, OptionError, WgradError } from '../../src/base/errors.ts'
import { BufferPool, sizeClass } from '../../src/gpu/buffers.ts'
import { currentGpu, openGpuOn, useGpu, type Gpu } from '../../src/gpu/device.ts'
import { profileTable } from '../../src/gpu/profile.ts'
import { BUFFER_USAGE } from '../../src/gpu/flags.ts'
import { registerShader } from '../../src/gpu/register-shader.ts'
import { filled } from '../../src/nn/init.ts'
import { Parameter } from '../../src/nn/parameter.ts'
import { add } from '../../src/ops/add.ts'
import { relu } from '../../src/ops/relu.ts'
import { sum } from '../../src/ops/sum.ts'
import { adapterAdvice } from '../../src/platform/node/adapter-advice.ts'
import { nodePlatform } from '../../src/platform/node/index.ts'
import type { Platform } from '../../src/platform/platform.ts'
import { backward } from '../../src/tensor/backward.ts'
import { elementwise, empty, launch } from '../../src/tensor/launch.ts'
import { noGrad } from '../../src/tensor/op.ts'
import { allocateWithin, keep, release, scope } from '../../src/tensor/scope.ts'
import { item, read, tensor, upload, zeros } from '../../src/tensor/read-write.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { openTestGpu } from '../helpers/gpu.ts'

const gpu = await openTestGpu()

describe('buffers', () => {
  test('size classes are four an octave, of whole alignments', () => {
    expect([1, 256, 257, 512, 1000, 1024, 1025, 5000, 100_000].map(sizeClass)).toEqual([
      256, 256, 512, 512, 1024, 1024, 1280, 5120, 114_688,
    ])
    for (let bytes = 257; bytes < 1e9; bytes = Math.ceil(bytes * 1.37)) {
      expect(sizeClass(bytes)).toBeGreaterThanOrEqual(bytes)
      expect(sizeClass(bytes)).toBeLessThan(Math.max(bytes * 1.25, bytes + 256) + 1)
    }
  })

  test('one that cannot be made is not counted', () => {
    const device = {
      limits: gpu.device.limits,
      createBuffer: () => {
        throw new RangeError('no memory')
      },
    } as unknown as GPUDevice
    const pool = new BufferPool(device, () => {}, true)
    expect(() => pool.acquire(1000, 'too much')).toThrow('no memory')
    expect(pool).toMatchObject({ allocatedBytes: 0, usedBytes: 0, peakUsedBytes: 0 })
    expect(pool.inUse?.size).toBe(0)
  })

  test('bind groups of those that are gone are forgotten, those in use are kept', () => {
    const pipelineKernels = gpu.newPipelineCache(() => {})
    const pool = new BufferPool(gpu.device, () => {})
    const view = () => ({ buffer: pool.acquire(256, 'x'), offset: 0, size: 256 })
    const options = { groups: 1, shape: { VECTORS: 16 }, constants: { THREADS: 64, EACH: 1 }, dtype: 'f32' } as const
    const prepare = (x: ReturnType<typeof view>, y: ReturnType<typeof view>) =>
      pipelineKernels.prepare('relu/forward', { x, y }, options).groups[0]
    const [x, y] = [view(), view()]
    const kept = prepare(x, y)
    const others = Array.from({ length: 100 }, view)
    for (const other of others) {
      for (const target of others) {
        if (other !== target) prepare(other, target)
        // Used at each step, as a model is that goes on.
        expect(prepare(x, y)).toBe(kept)
      }
    }
    expect(pipelineKernels.bindGroups).toBeLessThan(5000)
  })

  test('what is given back is used again, and destroyed by trim', () => {
    const destroyed: number[] = []
    const pool = new BufferPool(gpu.device, ({ id }) => destroyed.push(id))
    const first = pool.acquire(1000, 'first')
    const second = pool.acquire(1000, 'second')
    expect(pool).toMatchObject({ allocatedBytes: 2048, usedBytes: 2048, peakUsedBytes: 2048 })
    pool.release(first)
    expect(pool.acquire(900, 'third')).toBe(first)
    expect(pool.acquire(200, 'small')).not.toBe(second)
    pool.release(second)
    expect(pool).toMatchObject({ allocatedBytes: 2304, usedBytes: 1280, peakUsedBytes: 2304 })
    pool.trim()
    expect(destroyed).toEqual([second.id])
    expect(pool.allocatedBytes).toBe(1280)
  })

  test('the memory of models that were dropped is used again before dozens of them hold it', async () => {
    const [models, tensors, bytes] = [60, 8, 4 * 2 ** 20]
    const before = gpu.buffers.usedBytes
    let most = 0
    for (let model = 0; model < models; model++) {
      for (let i = 0; i < tensors; i++) empty({ shape: [bytes / 4], dtype: 'f32' })
      most = Math.max(most, gpu.buffers.usedBytes - before)
      // What the collector has found is told between two tasks.
      await new Promise((resolve) => setTimeout(resolve))
    }
    expect(most).toBeLessThan((models * tensors * bytes) / 2)
  })

  test('a tensor that cannot be bound is refused with the batch that can', () => {
    const limit = gpu.buffers.limitBytes / 2 ** 20
    const images = Math.ceil(limit) + 1
    expect(() => zeros([images, 512, 512])).toThrow(`use a batch of ${Math.floor(limit)} or fewer`)
  })
})

describe('scopes', () => {
  // Compared without a wait in between: what other tests forgot goes back to the pool when the collector runs.
  const used = () => gpu.buffers.usedBytes

  test('give back what was made in them, but for what they return', () => {
    const before = used()
    const kept = scope(() => {
      zeros([100])
      return { list: [tensor([1, 2], [2])] }
    })
    expect(used()).toBe(before + 256)
    release(kept.list[0])
    release(kept.list[0])
    expect(used()).toBe(before)
  })

  test('leave what they return readable', async () => {
    const {
      list: [kept],
    } = scope(() => ({ list: [relu(tensor([1, -2], [2]))] }))
    expect([...(await read(kept))]).toEqual([1, 0])
  })

  test('hand on what they return to the scope around', () => {
    const before = used()
    const outer: { inside?: Tensor } = {}
    scope(() => {
      outer.inside = scope(() => zeros([4]))
      expect(used()).toBe(before + 256)
    })
    expect(used()).toBe(before)
    expect(() => outer.inside?.view).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: tensor: its numbers were released, by backward or at the end of a scope
        tensor  [4] f32
        Fix: call keep(tensor) before that]
    `)
  })

  test('let keep take something out, through every scope', () => {
    const before = used()
    const kept = scope(() =>
      scope(() => {
        const a = keep(zeros([4]))
        return { a }
      }),
    )
    expect(used()).toBe(before + 256)
    release(kept.a)
    expect(used()).toBe(before)
  })

  test('give everything back when the work fails', () => {
    const before = used()
    expect(() =>
      scope(() => {
        zeros([4])
        throw new Error('halfway')
      }),
    ).toThrow('halfway')
    expect(used()).toBe(before)
    scope(() => zeros([4]))
  })

  test('refuse work that waits, and give everything back', async () => {
    const before = used()
    const late = async () => {
      const x = zeros([100])
      await Promise.resolve()
      // Of a scope that has ended by now.
      return relu(x)
    }
    expect(() => scope(late as never)).toThrowErrorMatchingInlineSnapshot(`
      [OptionError: scope: its work is async
        Fix: read results behind it, without await in it]
    `)
    expect(() => noGrad(() => Promise.reject(new Error('late')))).toThrow('noGrad: its work is async')
    expect(used()).toBe(before)
    // Rejections of their own are not unhandled.
    await Promise.resolve()
  })

  test('let many passes share a few buffers', () => {
    const before = gpu.buffers.allocatedBytes
    const x = tensor(new Float32Array(4096), [4096])
    for (let i = 0; i < 50; i++) {
      scope(() =>
        noGrad(() => {
          relu(add(relu(x), x))
        }),
      )
    }
    // x, and the results of the three operations.
    expect(gpu.buffers.allocatedBytes - before).toBeLessThanOrEqual(4 * 16384)
    release(x)
  })
})

describe('backward', () => {
  const leafOf = (data: readonly number[]) => {
    const made = tensor(data, [data.length])
    made.leaf = { trainable: true, gradient: undefined, hasGradient: false }
    return made
  }

  test('adds gradients up, over uses and over passes, and leaves only loss and gradients', async () => {
    const x = leafOf([1, -2])
    for (let pass = 1; pass <= 2; pass++) {
      const before = gpu.buffers.usedBytes
      scope(() => {
        const y = add(relu(x), x)
        const seed = tensor([1, 10], [2])
        backward(y, seed)
        release(seed)
        release(y)
        // The gradient, made in the first pass.
        expect(gpu.buffers.usedBytes - before).toBe(pass === 1 ? 256 : 0)
      })
      expect([...(await read(x.leaf!.gradient!))]).toEqual([2 * pass, 10 * pass])
    }
  })

  test('flows around what is frozen', async () => {
    const [x, frozen] = [leafOf([1, 2]), leafOf([3, 4])]
    frozen.leaf!.trainable = false
    scope(() => backward(add(x, relu(frozen)), tensor([5, 6], [2])))
    expect([...(await read(x.leaf!.gradient!))]).toEqual([5, 6])
    expect(frozen.leaf!.gradient).toBeUndefined()
  })

  test('reaches any depth', async () => {
    const x = leafOf([1])
    scope(() => {
      let y: Tensor = x
      for (let i = 0; i < 3000; i++) y = relu(y)
      backward(y, tensor([7], [1]))
    })
    expect(await item(x.leaf!.gradient!)).toBe(7)
  })

  test('says when there is nothing to learn', () => {
    expect(() =>
      backward(
        noGrad(() => relu(leafOf([1]))),
        zeros([1]),
      ),
    ).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: backward: the loss depends on nothing trainable
        loss  [1] f32
        Fix: compute it from parameters that are not frozen, outside noGrad]
    `)
  })

  test('wants a seed of the shape and type of the loss', () => {
    const y = relu(leafOf([1, 2, 3]))
    expect(() => backward(y, tensor([1], []))).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: backward: the seed is dL/dloss, but has another shape than the loss
        loss  [3] f32
        seed  [] f32
        Fix: make the loss one number first: its mean, or \`sum(loss)\`]
    `)
    expect(() => backward(y, zeros([3], 'f16'))).toThrowErrorMatchingInlineSnapshot(`
      [DtypeError: backward: the seed is dL/dloss, but of another type than the loss
        loss  [3] f32
        seed  [3] f16
        Fix: cast(loss, 'f32')]
    `)
    backward(y, zeros([3]))
  })

  test('says what is no tensor', () => {
    const [loss, seed] = [sum(leafOf([1, 2])), tensor([1], [])]
    const untyped = backward as (...given: unknown[]) => void
    expect(() => untyped(loss)).toThrowErrorMatchingInlineSnapshot(`
      [OptionError: backward: seed is not of the right kind
        seed  undefined
        expected dL/dloss, a tensor of the shape of the loss
        Fix: backward(loss, scaler.scale) with the LossScaler of the step, or backward(loss, tensor([1], []))]
    `)
    expect(() => untyped(loss, 1)).toThrow(OptionError)
    expect(() => untyped(undefined, seed)).toThrow(OptionError)
    backward(loss, seed)
  })

  test('goes through a tape once, and says so', async () => {
    const x = leafOf([1, 2, 3])
    const [h, seed] = [relu(x), tensor([1], [])]
    const [a, b] = [sum(h), sum(h)]
    backward(a, seed)
    for (const passed of [a, h]) {
      expect(() => backward(passed, zeros(passed.shape))).toThrow('an earlier backward has used up the tape')
    }
    // Its gradient would get as far as h and no further.
    expect(() => backward(b, seed)).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: backward: an earlier backward has used up the tape and released tensors that are needed again
        input of sum  [3] f32
        Fix: run the forward pass again; add up several losses of one pass and call backward once]
    `)
    // What was kept is a constant to whoever uses it later.
    const kept = relu(leafOf([1, 2, 3]))
    keep(kept)
    backward(sum(kept), seed)
    backward(sum(add(kept, x)), seed)
    expect([...(await read(x.leaf!.gradient!))]).toEqual([2, 2, 2])
  })

  test('gives activations back, and says so to whoever reads one', () => {
    const { inner } = scope(() => {
      const inner = relu(leafOf([1]))
      const y = relu(inner)
      backward(y, tensor([1], [1]))
      return { inner, y }
    })
    expect(() => inner.view).toThrow('its numbers were released, by backward or at the end of a scope')
  })
})

describe('transfer', () => {
  test.each([[[]], [[1]], [[3, 5]], [[2, 3, 7, 10]], [[4, 4]]])(
    '%o comes back as it went, of every type',
    async (shape) => {
      const data = Array.from({ length: shape.reduce((product, axis) => product * axis, 1) }, (_, i) => i)
      for (const dtype of ['f32', 'f16', 'u32'] as const) {
        expect([...(await read(tensor(data, shape, dtype)))]).toEqual(data)
      }
      expect([...(await read(zeros(shape, 'f16')))]).toEqual(data.map(() => 0))
    },
  )

  test('writes come after the launches recorded before them', async () => {
    const x = tensor([1, 2, 3, 4], [4])
    const y = relu(x)
    upload(x, [5, 6, 7, 8])
    expect([...(await read(y))]).toEqual([1, 2, 3, 4])
    expect([...(await read(x))]).toEqual([5, 6, 7, 8])
  })

  test('parts of a tensor are written and read on their own', async () => {
    const whole = zeros([128])
    const part = allocateWithin(whole, { shape: [3], dtype: 'f32' }, 256)
    upload(part, [1, 2, 3])
    expect([...(await read(relu(part)))]).toEqual([1, 2, 3])
    expect([...(await read(whole)).subarray(63, 68)]).toEqual([0, 1, 2, 3, 0])
  })

  test('counts what it is given', async () => {
    expect(() => tensor([1, 2], [3])).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: upload: the number of values differs from the number of elements
        tensor   [3] f32
        numbers  2]
    `)
    expect(() => zeros([3, 0])).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: tensor: a shape must consist of positive integers
        shape  [3,0]]
    `)
    expect(() => tensor([1, 2], [2], 'f64' as 'f32')).toThrowErrorMatchingInlineSnapshot(`
      [DtypeError: tensor: there is no such storage type
        dtype  f64
        expected f32, f16, u32]
    `)
    expect(() => tensor([0, -1], [2], 'u32')).toThrowErrorMatchingInlineSnapshot(
      `[OptionError: tensor: -1 is not a number of u32]`,
    )
    expect(() => tensor(new Float32Array([0.5]), [1], 'u32')).toThrow(OptionError)
    expect(() => tensor(new BigInt64Array(2) as never, [2])).toThrow('expected a list of numbers')
    await expect(item(zeros([2]))).rejects.toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: item: the tensor must have one element
        tensor  [2] f32]
    `)
  })
})

test('what is no tensor is not read', async () => {
  const parameter = new Parameter('scale', [1], 'weight', filled([1], 1))
  await expect(read(parameter as never)).rejects.toThrowErrorMatchingInlineSnapshot(`
    [OptionError: read: source is not of the right kind
      source  of class Parameter
      expected a tensor, such as tensor(data, shape)]
  `)
  await expect(item(Promise.resolve(parameter.value) as never)).rejects.toThrow('Fix: await it')
})

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
