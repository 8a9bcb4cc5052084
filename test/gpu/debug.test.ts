import { afterEach, describe, expect, test } from 'vitest'
import { BufferPool } from '../../src/gpu/buffers.ts'
import { inUseText, kernelWatch } from '../../src/gpu/debug.ts'
import { debugLevel } from '../../src/gpu/debug-level.ts'
import { openGpuOn, useGpu, type Gpu, type GpuOptions } from '../../src/gpu/device.ts'
import { Profiler, profileShares, profileTrace } from '../../src/gpu/profile.ts'
import type { ShaderName } from '../../src/gpu/shader-source.ts'
import { add } from '../../src/ops/add.ts'
import { cast } from '../../src/ops/cast.ts'
import { relu } from '../../src/ops/relu.ts'
import { sgd } from '../../src/optim/sgd.ts'
import { LossScaler } from '../../src/optim/loss-scaler.ts'
import { nodePlatform } from '../../src/platform/node/index.ts'
import { backward } from '../../src/tensor/backward.ts'
import { launch } from '../../src/tensor/launch.ts'
import { capture } from '../../src/tensor/capture.ts'
import { keep, release, scope } from '../../src/tensor/scope.ts'
import { TRACKS } from '../../src/tensor/track.ts'
import { item, read, tensor, zeros } from '../../src/tensor/read-write.ts'
import { normOf } from '../../src/testing/close.ts'
import { fakePlatform } from '../helpers/fake-platform.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { memoryFiles } from '../helpers/memory-files.ts'
import { tinyModel } from '../helpers/tiny.ts'
import '../../src/gpu/wgsl/all.ts'

const gpu = await openTestGpu()
const others: Gpu[] = []
afterEach(() => {
  for (const other of others.splice(0)) other.close()
  useGpu(gpu)
})

/** A GPU whose settings are these, and what it logs. */
async function open(env: Record<string, string>, options: GpuOptions = {}, platform = nodePlatform) {
  const { lines, log } = fakePlatform()
  const files = memoryFiles()
  const other = await openGpuOn({ ...platform, env: (name) => env[name], log, files }, options)
  others.push(other)
  // Of the launches only; what is told of the adapter comes first.
  const launches = () => lines.filter((line) => /^(#| {8})/.test(line))
  return { other, lines, launches, files }
}

const hasClock = gpu.features.has('timestamp-query')

/** The whole test where the adapter has no timestamps: nothing can be profiled, which is said. */
const refusesProfile = () =>
  expect(open({}, { profile: true })).rejects.toThrow(
    'this adapter has no timestamp queries, so nothing can be profiled',
  )

/** Node's platform, with an adapter that has no timestamps. */
const clockless = {
  ...nodePlatform,
  gpu: () =>
    ({
      async requestAdapter() {
        const adapter = await (await nodePlatform.gpu()).requestAdapter()
        if (!adapter) return null
        const features = new Set([...adapter.features].filter((feature) => feature !== 'timestamp-query'))
        return {
          info: adapter.info,
          limits: adapter.limits,
          features,
          requestDevice: adapter.requestDevice.bind(adapter),
        }
      },
    }) as unknown as GPU,
}

describe('the setting', () => {
  test("is a level, or somebody else's", () => {
    const levels = [undefined, '', '1', '2', '3', ' 4 ', 'express:*', 'yes'].map(debugLevel)
    expect(levels).toEqual([0, 0, 1, 2, 3, 4, 0, 0])
  })

  test('of another number is refused', async () => {
    await expect(open({ DEBUG: '5' })).rejects.toThrowErrorMatchingInlineSnapshot(`
      [OptionError: openGpu: DEBUG asks for an unknown level
        DEBUG  5
        expected 1 (adapter), 2 (and launches), 3 (and their numbers) or 4 (and their WGSL)
        Fix: unset DEBUG for silence]
    `)
    for (const wrong of ['0', '-1', '1.5', '1e0', '10']) {
      expect(() => debugLevel(wrong)).toThrow('DEBUG asks for an unknown level')
    }
  })
})

describe('DEBUG=1', () => {
  test('tells of the adapter, and of what is in use in the end', async () => {
    const { other, lines } = await open({ DEBUG: '1' })
    expect(lines.slice(0, 3)).toEqual([
      expect.stringContaining('subgroups of'),
      expect.stringMatching(/^matrix units: /),
      expect.stringMatching(/^features: /),
    ])
    const made = [keep(zeros([100])), keep(zeros([100])), keep(tensor([1], [1], 'u32'))]
    scope(() => {
      relu(made[0])
    })
    await other.queue.finished()
    const before = lines.length
    others.splice(0)
    other.close()
    expect(lines.slice(before)).toEqual([
      'closed: 3 buffers in use, 1.25 KiB, kept or not collected yet: 2 × tensor [100] f32 (1.00 KiB), 1 × tensor [1] u32 (256 B)',
    ])
    expect(made).toHaveLength(3)
  })

  test('without it nothing is told, and nothing counted', async () => {
    const { other, lines } = await open({})
    scope(() => relu(zeros([4])))
    await other.queue.finished()
    others.splice(0)
    other.close()
    expect(lines).toEqual([])
    expect(other.buffers.inUse).toBeUndefined()
  })

  test('names the kinds of buffers that hold most, and forgets what is given back', () => {
    const pool = new BufferPool(gpu.device, () => {}, true)
    const held = Array.from({ length: 10 }, (_, i) => pool.acquire(1024 * 2 ** i, `kind ${i}`))
    const text = inUseText(pool.inUse ?? new Map())
    expect(text).toMatch(
      /^closed: 10 buffers in use, 1023 KiB, .*: 1 × kind 9 \(512 KiB\), 1 × kind 8 .*, 1 × kind 2 \([^)]*\), and 2 other kinds$/,
    )
    for (const buffer of held) pool.release(buffer)
    expect(inUseText(pool.inUse ?? new Map())).toBe('closed: no buffer in use')
    pool.acquire(1000, 'kind 10')
    expect(inUseText(pool.inUse ?? new Map())).toContain('1 × kind 10')
    pool.trim()
  })

  test('warns of kernels without end, and again when they have doubled', () => {
    const { lines, log } = fakePlatform()
    const watch = kernelWatch({ ...nodePlatform, log }, 1, 'uniform')
    const compile = (count: number, name: ShaderName) =>
      Array.from({ length: count }, (_, i) => watch(name, { groups: 1, constants: { RELU: i } }, 'code'))
    compile(27, 'relu/forward')
    compile(100, 'add/forward')
    expect(lines).toEqual([])
    compile(1, 'sum/total')
    expect(lines).toEqual([
      expect.stringMatching(/^128 kernels compiled, .*: 100 × add\/forward, 27 × relu\/forward, 1 × sum\/total, …;/),
    ])
    compile(127, 'add/forward')
    expect(lines).toHaveLength(1)
    compile(1, 'add/forward')
    expect(lines[1]).toMatch(/^256 kernels compiled/)
  })
})

describe('DEBUG=2', () => {
  test('prints each launch with shapes, names, time, rates and memory, before a read ends', async () => {
    const { launches } = await open({ DEBUG: '2' })
    const x = tensor([1, -2, 3, 4, 5, 6], [2, 3])
    x.name = 'stem.weight'
    const y = scope(() => add(relu(x), cast(cast(x, 'f16'), 'f32')))
    expect(launches()).toEqual([])
    await read(y)
    const rates = hasClock ? String.raw`[\d.]+ (µs|ms|s)  [\d.]+ [kMGT]?B/s  ` : ''
    const time = String.raw`${rates}pool [\d.]+ [KM]?i?B`
    expect(launches()).toEqual([
      expect.stringMatching(
        new RegExp(String.raw`^#     1  relu/forward stem\.weight \[2,3\] f32 → \[2,3\] f32  ${time}$`),
      ),
      expect.stringMatching(
        new RegExp(String.raw`^#     2  cast/to-f16 stem\.weight \[2,3\] f32 → \[2,3\] f16  ${time}$`),
      ),
      expect.stringMatching(new RegExp(String.raw`^#     3  cast/to-f32 \[2,3\] f16 → \[2,3\] f32  ${time}$`)),
      expect.stringMatching(
        new RegExp(String.raw`^#     4  add/forward \[2,3\] f32, \[2,3\] f32 → \[2,3\] f32  ${time}$`),
      ),
    ])
  })

  test('says no times where the adapter has none', async () => {
    const { other, launches } = await open({ DEBUG: '2' }, {}, clockless)
    scope(() => relu(zeros([8])))
    await other.queue.finished()
    expect(launches()).toEqual(['#     1  relu/forward [8] f32 → [8] f32  pool 512 B'])
  })

  test('prints a replayed launch as any other', async () => {
    const { other, launches } = await open({ DEBUG: '2' })
    const x = tensor([1, -2], [2])
    const { result, captured } = capture(() => scope(() => relu(relu(x))))
    captured?.replay()
    captured?.replay()
    expect([...(await read(result))]).toEqual([1, 0])
    expect(launches().map((line) => line.split('  pool')[0].replace(/ {2}[\d.]+ [µm]?s .*/, ''))).toEqual(
      [1, 2, 3, 4, 5, 6].map((i) => `#     ${i}  relu/forward [2] f32 → [2] f32`),
    )
    captured?.close()
    expect(other.queue.counts.launches).toBe(6)
  })

  test('times more launches than a set of queries holds', async () => {
    const { other, launches } = await open({ DEBUG: '2' })
    const x = zeros([4])
    for (let i = 0; i < 2100; i++) scope(() => relu(x))
    await other.queue.finished()
    expect(launches().filter((line) => / s  |ms  |µs  /.test(line))).toHaveLength(hasClock ? 2100 : 0)
    expect(launches()[2099]).toMatch(/^#  2100  /)
  })

  test('leaves a profile whole', async () => {
    if (!hasClock) return refusesProfile()
    const { other, launches } = await open({ DEBUG: '2' }, { profile: true })
    scope(() => relu(relu(zeros([4]))))
    await other.queue.finished()
    scope(() => relu(zeros([4])))
    await other.queue.finished()
    expect((await other.profiler?.rows(nodePlatform))?.map(({ label }) => label)).toEqual([
      'relu/forward',
      'relu/forward',
      'relu/forward',
    ])
    expect(launches()).toHaveLength(3)
  })
})

describe('DEBUG=3', () => {
  /** The figures of a line of numbers. */
  const figures = (line: string) =>
    Object.fromEntries(
      [...line.matchAll(/(mean|std|min|max|not finite) (\S+)/g)].map(([, name, value]) => [name, Number(value)]),
    )

  test.each(['f32', 'f16'] as const)('tells mean, std, min and max of %s, without the padding', async (dtype) => {
    const { other, launches } = await open({ DEBUG: '3' })
    // More than the threads that look, far from zero, and three channels of four.
    const numbers = Array.from({ length: 700 * 3 }, (_, i) => 100 + ((i * 37) % 101) / 4)
    scope(() => relu(tensor(numbers, [7, 100, 3], dtype)))
    await other.queue.finished()
    const mean = numbers.reduce((sum, value) => sum + value, 0) / numbers.length
    const std = normOf(numbers.map((value) => value - mean)) / Math.sqrt(numbers.length)
    const [line, seen] = launches()
    expect(line).toMatch(/^#     1  relu\/forward/)
    expect(seen).toMatch(
      new RegExp(String.raw`^ {8}y \[7,100,3\] ${dtype}  mean \S+  std \S+  min 100  max 125  not finite 0$`),
    )
    expect(figures(seen).mean).toBeCloseTo(mean, 2)
    expect(figures(seen).std).toBeCloseTo(std, 3)
  })

  test('of many like numbers', async () => {
    const { other, launches } = await open({ DEBUG: '3' })
    const count = 2 ** 24
    // Every thread measures distances from its first number, 0.
    scope(() =>
      relu(
        tensor(
          Float32Array.from({ length: count }, (_, i) => (i < 1024 ? 0 : 0.1)),
          [count],
        ),
      ),
    )
    await other.queue.finished()
    expect(figures(launches()[1]).mean).toBe(0.099994)
  })

  test('of a tensor of one number, and of less than a vector', async () => {
    const { other, launches } = await open({ DEBUG: '3' })
    scope(() => {
      relu(tensor([7], []))
      relu(tensor([5, 9], [2, 1], 'f16'))
    })
    await other.queue.finished()
    expect(launches().filter((line) => line.startsWith(' '))).toEqual([
      '        y [] f32  mean 7  std 0  min 7  max 7  not finite 0',
      '        y [2,1] f16  mean 7  std 2  min 5  max 9  not finite 0',
    ])
  })

  test('does not count what stands in the padding', async () => {
    const { other, launches } = await open({ DEBUG: '3' })
    const x = zeros([2, 3])
    other.queue.write(x.view.buffer, 12, Uint32Array.of(0x7fc00000))
    scope(() => add(x, x))
    await other.queue.finished()
    expect(launches()[1]).toContain('min 0  max 0  not finite 0')
    expect(launches()).toHaveLength(2)
  })

  test('leaves whole numbers out', async () => {
    const { other, launches } = await open({ DEBUG: '3' })
    launch(
      'optim/lookahead-count',
      { skipped: zeros([], 'u32'), count: zeros([], 'u32'), due: zeros([], 'u32') },
      { groups: 1, shape: { K: 6 } },
    )
    await other.queue.finished()
    expect(launches()).toHaveLength(1)
  })

  test.each([
    ['clock', nodePlatform],
    ['no clock', clockless],
  ] as const)('points at the launch where numbers cease to be finite, with %s', async (_name, platform) => {
    const { other, launches } = await open({ DEBUG: '3' }, {}, platform)
    scope(() => {
      const x = relu(tensor([1, 40000, 3], [3], 'f16'))
      const infinite = add(x, x)
      add(infinite, x)
      add(x, add(x, x))
    })
    await other.queue.finished()
    expect(
      launches().map((line) =>
        line.replace(/ {2}([\d.]+ [µm]?s {2}.* {2})?pool.*/, '').replace(/ {2}mean.* {2}not/, '  not'),
      ),
    ).toEqual([
      '#     1  relu/forward [3] f16 → [3] f16',
      '        y [3] f16  not finite 0',
      '#     2  add/forward [3] f16, [3] f16 → [3] f16',
      '        y [3] f16  not finite 1',
      '        ^ first: not finite, computed from finite numbers',
      '#     3  add/forward [3] f16, [3] f16 → [3] f16',
      '        y [3] f16  not finite 1',
      '#     4  add/forward [3] f16, [3] f16 → [3] f16',
      '        y [3] f16  not finite 1',
      '        ^ not finite, computed from finite numbers',
      '#     5  add/forward [3] f16, [3] f16 → [3] f16',
      '        y [3] f16  not finite 1',
    ])
    expect(launches()[3]).toMatch(/mean 4 {2}std 2 {2}min 2 {2}max 6 {2}not finite 1$/)
  })

  test('says when the data were not finite, and when what is added to was not', async () => {
    const { other, launches } = await open({ DEBUG: '3' })
    const [x, total] = [tensor([1, 2, 3], [3]), tensor([1, NaN, -Infinity], [3])]
    launch('add/accumulate', { x, total }, { groups: 1, shape: { VECTORS: 1 } })
    await other.queue.finished()
    expect(launches().slice(1)).toEqual([
      '        total [3] f32  mean 2  std 0  min 2  max 2  not finite 2',
      '        ^ first: not finite, computed from finite numbers, unless it adds to total, which was not finite before',
    ])
    const again = await open({ DEBUG: '3' })
    scope(() => add(tensor([NaN], [1]), tensor([1], [1])))
    await again.other.queue.finished()
    expect(again.launches().slice(1)).toEqual([
      '        y [1] f32  mean –  std –  min –  max –  not finite 1',
      '        ^ first: not finite, as a was before, by an upload or a copy and not by a launch',
    ])
  })

  test('finds room for any number of launches, and changes nothing', async () => {
    const { other, launches } = await open({ DEBUG: '3' })
    const x = tensor([1], [1])
    const result = scope(() => {
      let y = x
      for (let i = 0; i < 300; i++) y = add(y, x)
      return y
    })
    expect(await item(result)).toBe(301)
    const means = launches()
      .filter((line) => line.startsWith(' '))
      .map((line) => figures(line).mean)
    expect(means).toEqual(Array.from({ length: 300 }, (_, i) => i + 2))
    expect(other.pipelines.count).toBe(1)
    expect(other.buffers.usedBytes).toBe(512)
  })
})

test('DEBUG=4 prints each kernel once, as the driver gets it', async () => {
  const { other, lines } = await open({ DEBUG: '4' }, { shapes: 'uniform' })
  scope(() => relu(relu(zeros([4], 'f16'))))
  await other.queue.finished()
  const kernels = lines.filter((line) => line.startsWith('// kernel'))
  expect(kernels).toHaveLength(1)
  expect(kernels[0]).toMatch(/^\/\/ kernel 1: relu\/forward f16 THREADS=\d+ EACH=1\n/)
  for (const part of ['unpack2x16float', 'const SUBGROUP', 'struct Shape', '@compute']) {
    expect(kernels[0]).toContain(part)
  }
  expect(lines.filter((line) => line.startsWith('        y'))).toHaveLength(2)
})

describe('a profile', () => {
  test('keeps as many rows as its budget, and goes on timing where it is asked to', async () => {
    if (!hasClock) return refusesProfile()
    const rowsWith = async (options: { budget: number; always?: boolean }) => {
      const profiler = new Profiler(gpu.device, options)
      const encoder = gpu.device.createCommandEncoder()
      const timed = [1, 2, 3].map((i) => {
        const descriptor = profiler.passFor({ label: `${i}`, flops: 0, bytes: 0, track: 'forward' } as Parameters<
          typeof profiler.passFor
        >[0])
        encoder.beginComputePass(descriptor).end()
        return descriptor.timestampWrites !== undefined
      })
      const readRows = profiler.resolve(encoder)
      gpu.device.queue.submit([encoder.finish()])
      const read = (await readRows?.(nodePlatform))?.map(({ label }) => label)
      return { timed, read, kept: (await profiler.rows(nodePlatform)).map(({ label }) => label) }
    }
    expect(await rowsWith({ budget: 2 })).toEqual({ timed: [true, true, false], read: ['1', '2'], kept: ['1', '2'] })
    expect(await rowsWith({ budget: 2, always: true })).toEqual({
      timed: [true, true, true],
      read: ['1', '2', '3'],
      kept: ['1', '2'],
    })
    expect(await rowsWith({ budget: 0, always: true })).toEqual({
      timed: [true, true, true],
      read: ['1', '2', '3'],
      kept: [],
    })
  })

  test('shows a step on its tracks, replayed or not, and shares it out', async () => {
    if (!hasClock) return refusesProfile()
    const { other, lines, files } = await open({ PROFILE: 'out.json' })
    const model = tinyModel()
    const optimizer = sgd()([model.parameters()])
    const scaler = new LossScaler({ mixed: false })
    const x = zeros([2, 16, 16, 3])
    const step = () =>
      scope(() => {
        const outputs = model.forward(x)
        backward(outputs, outputs)
        optimizer.step(scaler)
        optimizer.zeroGradients()
      })
    step()
    const { captured } = capture(step)
    captured?.replay()
    scope(() => model.forward(x))
    await other.writeProfile(TRACKS)
    const { traceEvents } = JSON.parse(await files.readText('out.json')) as {
      traceEvents: { name: string; ph: string; tid: number; args: { name: string } }[]
    }
    const tracks = new Map(traceEvents.filter(({ ph }) => ph === 'M').map(({ tid, args }) => [tid, args.name]))
    expect([...tracks.values()]).toEqual(['data', 'forward', 'backward', 'optimizer'])
    const on = (track: string) =>
      traceEvents.filter(({ ph, tid }) => ph === 'X' && tracks.get(tid) === track).map(({ name }) => name.split(' ')[0])
    expect(on('data')).toEqual([])
    expect(on('optimizer').filter((name) => name === 'optim/sgd-momentum' || name === 'optim/sgd')).toHaveLength(3)
    expect(on('optimizer').every((name) => name.startsWith('optim/'))).toBe(true)
    // Forward four times, and only what is not backward: three convolutions each (the linear layer is one).
    expect(on('forward').filter((name) => name.startsWith('conv2d/forward'))).toHaveLength(4 * 3)
    expect(on('forward').filter((name) => /backward/.test(name))).toEqual([])
    expect(on('backward').filter((name) => name.startsWith('conv2d/backward-weight'))).toHaveLength(3 * 3)
    expect(on('backward').filter((name) => /forward/.test(name))).toEqual([])
    const report = lines.at(-1)?.split('\n') ?? []
    expect(report[0]).toMatch(/^launch +calls +time +share +arithmetic +memory$/)
    const shares = [...(report.at(-2) ?? '').matchAll(/([\d.]+)%/g)].map(([, share]) => Number(share))
    expect(report.at(-2)).toMatch(/^data 0\.0% {2}forward [\d.]+% {2}backward [\d.]+% {2}optimizer [\d.]+%$/)
    expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(100, 0)
    // As the README has it: the tracks as they occur.
    await other.writeProfile()
    expect(lines.at(-1)).toMatch(/\nforward [\d.]+% {2}backward [\d.]+% {2}optimizer [\d.]+%\n/)
    captured?.close()
    release(x)
  })

  test('has the tracks asked for in their order, and any others after them', () => {
    const rows = ['data', 'other', 'forward'].map((track) => ({
      label: 'relu/forward',
      flops: 0,
      bytes: 0,
      track,
      startMs: 0,
      timeMs: 1,
    }))
    const { traceEvents } = JSON.parse(profileTrace(rows, TRACKS)) as { traceEvents: { ph: string; tid: number }[] }
    expect(traceEvents.filter(({ ph }) => ph === 'X').map(({ tid }) => tid)).toEqual([1, 5, 2])
    expect(profileShares(rows, ['data', 'forward'])).toBe('data 33.3%  forward 33.3%  other 33.3%')
  })
})
