import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openGpuOn, useGpu, type Gpu } from '../../src/gpu/device.ts'
import { registerShader } from '../../src/gpu/register-shader.ts'
import { LossScaler } from '../../src/optim/loss-scaler.ts'
import { adam } from '../../src/optim/adam.ts'
import { add } from '../../src/ops/add.ts'
import { relu } from '../../src/ops/relu.ts'
import { backward } from '../../src/tensor/backward.ts'
import { capture } from '../../src/tensor/capture.ts'
import { copy, elementwise, empty, launch } from '../../src/tensor/launch.ts'
import { noGrad } from '../../src/tensor/op.ts'
import { keep, release, scope } from '../../src/tensor/scope.ts'
import { read, tensor, upload, zeros } from '../../src/tensor/read-write.ts'
import { crossEntropy } from '../../src/train/fit/losses.ts'
import { testPlatform } from '../helpers/gpu.ts'
import { tinyModel } from '../helpers/tiny.ts'

/** A GPU whose compiler finishes nothing until the gate is opened. */
let gpu: Gpu
let asked: string[]
let open: () => void
/** Number of times that kernels were to be compiled beside the launches. */
let beside: number

beforeEach(async () => {
  gpu = await openGpuOn({ ...testPlatform(), compileBeside: () => async () => ++beside })
  useGpu(gpu)
  asked = []
  beside = 0
  const gate = new Promise<void>((resolve) => (open = resolve))
  const compile = gpu.device.createComputePipelineAsync.bind(gpu.device)
  gpu.device.createComputePipelineAsync = async (descriptor) => {
    asked.push(descriptor.label ?? '')
    await gate
    return compile(descriptor)
  }
})
afterEach(() => {
  open()
  gpu.close()
})

/** Returns true if a promise is settled after some turns of the event loop. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  void promise.catch(() => undefined).then(() => (settled = true))
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setTimeout(resolve, 1))
  return settled
}

describe('work that follows a kernel which is being compiled', () => {
  test('waits for it in order, while the thread goes on', async () => {
    const results = noGrad(() => {
      const numbers = Float32Array.of(-1, 2, -3, 4)
      const x = keep(tensor(numbers, [4]))
      const before = keep(relu(x))
      const again = Float32Array.of(5, -6, 7, -8)
      upload(x, again)
      // An upload copies its numbers, so that the caller may change them as soon as it returns.
      again.fill(0)
      const after = keep(relu(x))
      const sum = keep(add(before, after))
      const copied = keep(zeros([4]))
      copy(sum, copied)
      upload(sum, Float32Array.of(9, 9, 9, 9))
      return [before, after, copied, sum]
    })
    const numbers = Promise.all(results.map((result) => read(result)))
    expect(asked).toEqual(['relu/forward', 'add/forward'])
    expect(await isSettled(numbers)).toBe(false)
    open()
    expect((await numbers).map((each) => [...each])).toEqual([
      [0, 2, 0, 4],
      [5, 0, 7, 0],
      [5, 2, 7, 4],
      [9, 9, 9, 9],
    ])
  })

  test('fences and `finished` wait too', async () => {
    noGrad(() => scope(() => void relu(tensor([1, -1], [2]))))
    const [fence, finished] = [gpu.queue.fence()(), gpu.queue.finished()]
    expect(await isSettled(fence)).toBe(false)
    expect(await isSettled(finished)).toBe(false)
    open()
    await Promise.all([fence, finished])
    // Later work is encoded at once.
    noGrad(() => scope(() => void relu(tensor([1, -1], [2]))))
    const { submits } = gpu.queue.counts
    gpu.queue.submit()
    expect(gpu.queue.counts.submits).toBe(submits + 1)
  })

  test('buffers that it uses are given up after it', async () => {
    const y = noGrad(() => {
      const x = keep(tensor(new Float32Array(1000).fill(3), [1000]))
      const y = keep(relu(x))
      release(x)
      return y
    })
    const held = gpu.buffers.allocatedBytes
    gpu.trim()
    expect(gpu.buffers.allocatedBytes).toBeLessThan(held)
    const result = read(y)
    open()
    expect(new Set(await result)).toEqual(new Set([3]))
  })

  test('is captured and replayed', async () => {
    const x = keep(tensor([1, -1], [2]))
    const total = keep(zeros([2]))
    const { captured } = capture(() => noGrad(() => scope(() => copy(add(total, relu(x)), total))))
    for (let i = 0; i < 3; i++) captured?.replay()
    const result = read(total)
    open()
    expect([...(await result)]).toEqual([4, 0])
  })

  test('fails with the place in the shader if the kernel does not compile', async () => {
    const shader = registerShader(
      'mine/broken-while-compiling',
      `// @shape VECTORS
@group(0) @binding(0) var<storage, read> x: array<T4>;
@group(0) @binding(1) var<storage, read_write> y: array<T4>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) { y[id.x] = missing(x[id.x]); }
`,
    )
    // An event that nothing prevents is printed by Dawn, and by the console of a page.
    const prevented: boolean[] = []
    gpu.device.addEventListener('uncapturederror', (event) => prevented.push(event.defaultPrevented))
    const x = tensor([1, -1], [2])
    const y = empty(x)
    launch(shader, { x, y }, elementwise(x))
    const result = read(y)
    open()
    await expect(result).rejects.toThrow(/mine\/broken-while-compiling[^\n]*:5:.*missing/s)
    // The invalid pipeline, and the commands with it.
    expect(prevented).toEqual([true, true])
  })

  test('is dropped when the GPU is closed, and whoever waits is told', async () => {
    const result = read(noGrad(() => keep(relu(tensor([1, -1], [2])))))
    gpu.close()
    await expect(result).rejects.toThrow('this GPU is closed')
    open()
    await gpu.pipelines.compiled
    await new Promise((resolve) => setTimeout(resolve, 20))
    // Nothing was launched.
    expect(beside).toBe(0)
  })
})

describe('a kernel of which there is no pipeline at all, as on a lost device that throws', () => {
  const rejected: unknown[] = []
  const hear = (reason: unknown) => void rejected.push(reason)

  test('is an error of the device for whoever waits, and of nobody where none does', async () => {
    const lost = () => {
      throw new Error('the device is gone')
    }
    Object.assign(gpu.device, { createComputePipelineAsync: async () => lost(), createComputePipeline: lost })
    process.on('unhandledRejection', hear)
    try {
      const x = tensor([1, -1], [2])
      const y = noGrad(() => keep(relu(x)))
      // Longer than an unhandled rejection takes to be told.
      await new Promise((resolve) => setTimeout(resolve, 20))
      expect(rejected).toEqual([])
      await expect(read(y)).rejects.toThrow('the device was lost: ')
    } finally {
      process.off('unhandledRejection', hear)
    }
  })
})

test('kernels that are launched for the first time are told to who compiles beside, until they have been launched', async () => {
  const told: { readonly code: string[]; readonly layouts: number[]; readonly isOver: () => boolean }[] = []
  const beside = await openGpuOn({
    ...testPlatform(),
    compileBeside: () => (kernels, isOver) => {
      const layouts = kernels.map((kernel) => kernel.layouts.reduce((sum, { entries }) => sum + entries.length, 0))
      told.push({ code: kernels.map(({ code }) => code), layouts, isOver })
      expect(isOver()).toBe(false)
      // A failure there is none of the launches.
      return Promise.reject(new Error('no second device'))
    },
  })
  const step = () =>
    noGrad(() =>
      scope(() => {
        const x = tensor([1, -1], [2])
        return keep(add(relu(x), x))
      }),
    )
  expect([...(await read(step()))]).toEqual([2, -1])
  await beside.queue.finished()
  expect([...(await read(step()))]).toEqual([2, -1])
  // Once: the second step finds them compiled.
  expect(told.map(({ layouts }) => layouts)).toEqual([beside.software ? [3, 4] : [2, 3]])
  expect(told[0].code.every((code) => code.includes('fn main'))).toBe(true)
  expect(told[0].isOver()).toBe(true)
  beside.close()
})

test('a step asks for all its kernels before it waits for the first', async () => {
  const network = tinyModel({ seed: 1 })
  const optimizer = adam()([network.parameters()])
  const scaler = new LossScaler({ mixed: false })
  const loss = scope(() => {
    const x = tensor(new Float32Array(4 * 8 * 8 * 3).fill(0.5), [4, 8, 8, 3])
    const labels = tensor(Uint32Array.of(0, 1, 2, 0), [4], 'u32')
    const loss = crossEntropy().mean(network.forward(x), { a: labels })
    backward(loss, scaler.scale)
    return keep(loss)
  })
  optimizer.step(scaler)
  const result = read(loss)
  expect(await isSettled(result)).toBe(false)
  expect(asked.length).toBeGreaterThan(15)
  expect(new Set(asked)).toContain('optim/adam')
  open()
  expect((await result)[0]).toBeGreaterThan(0)
})
