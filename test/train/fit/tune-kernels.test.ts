import { afterAll, describe, expect, test, vi } from 'vitest'
import { exportChoices, forgetChoices } from '../../../src/ops/convolution/choices.ts'
import { registerShader } from '../../../src/gpu/register-shader.ts'
import { candidateKernels, defaultKernel, kernelName, ownKernels } from '../../../src/ops/convolution/families.ts'
import { registerConvolutionKernel } from '../../../src/ops/convolution/own-kernels.ts'
import { passKey, type ConvolutionSizes } from '../../../src/ops/convolution/sizes.ts'
import { gpuStopwatch, type Stopwatch } from '../../../src/ops/convolution/trial.ts'
import type { TuneOptions } from '../../../src/ops/convolution/tuner.ts'
import { launch } from '../../../src/tensor/launch.ts'
import { scope } from '../../../src/tensor/scope.ts'
import type { Callback } from '../../../src/train/fit/callback.ts'
import { Learner } from '../../../src/train/learner.ts'
import type { LearnerOptions } from '../../../src/train/learner-options.ts'
import type { FakePlatform } from '../../helpers/fake-platform.ts'
import { openTestGpu } from '../../helpers/gpu.ts'
import { tinyLoaders, tinyModel } from '../../helpers/tiny.ts'

afterAll(() => vi.unstubAllEnvs())

const gpu = await openTestGpu()
// No adapter for which a table is shipped, wherever the tests run.
Object.assign(gpu, { identity: { device: 'test', driver: 'test 1.0' } })

test('a fit lets the tuner choose for every convolution of the model first, and is otherwise the same', async () => {
  const log = vi.spyOn(gpu.platform, 'log').mockImplementation(() => {})
  const fitted = async (setting: '0' | undefined) => {
    vi.stubEnv('TUNE', setting)
    const learner = new Learner(await tinyLoaders({ train: 12, batchSize: 4 }), tinyModel(), {
      // Nothing to choose from but the kernel by rule, so that the numbers stay the same.
      tune: { force: true, candidates: () => [] },
    })
    await learner.fit(1)
    return { losses: learner.recorder.rawLosses, state: await learner.model.stateDict() }
  }
  const plain = await fitted('0')
  expect(exportChoices()).toEqual({})
  const tuned = await fitted(undefined)
  // Two convolutions and a linear layer, each forward and with two gradients.
  expect(Object.keys(exportChoices()).length).toBe(9)
  expect(log).toHaveBeenCalledWith(expect.stringMatching(/^tuning 9 kernels/))
  expect(tuned.losses).toEqual(plain.losses)
  expect(tuned.state).toEqual(plain.state)
  forgetChoices()
  log.mockRestore()
})

test('steps that are compared leave weights, statistics and losses of the fit as they are', async () => {
  const log = vi.spyOn(gpu.platform, 'log').mockImplementation(() => {})
  const rules: Record<string, string> = {}
  const others = new Set<string>()
  const fitted = async (setting: '0' | undefined) => {
    vi.stubEnv('TUNE', setting)
    const real = gpuStopwatch(gpu)
    const tune: TuneOptions = {
      force: true,
      candidates(_gpu, pass, sizes) {
        const rule = kernelName(defaultKernel(gpu, pass, sizes))
        rules[passKey(pass, sizes)] = rule
        const found = candidateKernels(gpu, pass, sizes).filter((kernel) => kernelName(kernel) !== rule)
        for (const kernel of found) others.add(kernelName(kernel))
        return found
      },
      // Alone, another kernel than the default one takes half its time.
      stopwatch: {
        compile: (launches) => real.compile(launches),
        async time(name, work) {
          await real.time(name, work)
          return others.has(name) ? 1 : 2
        },
      },
    }
    const learner = new Learner(await tinyLoaders({ train: 12, batchSize: 4 }), tinyModel(), { tune })
    learner.toFp16()
    await learner.fit(1)
    return { losses: learner.recorder.rawLosses, state: await learner.model.stateDict() }
  }
  const plain = await fitted('0')
  // A whole step takes twice as long with any of them.
  let nowMs = 0
  const now = vi.spyOn(gpu.platform, 'now').mockImplementation(() => {
    return (nowMs += Object.entries(exportChoices()).some(([pass, kernel]) => kernel !== rules[pass]) ? 20 : 10)
  })
  const tuned = await fitted(undefined)
  expect(log).toHaveBeenCalledWith(expect.stringMatching(/^tune: a step takes .* with \d+ kernels, .*; taken back$/))
  expect(exportChoices()).toMatchObject(rules)
  expect(tuned.losses).toEqual(plain.losses)
  expect(tuned.state).toEqual(plain.state)
  forgetChoices()
  now.mockRestore()
  log.mockRestore()
})

describe('two fits at once', () => {
  /** A search whose measurements favor other kernels than the default ones, and the most that went on at once. */
  const searching = () => {
    const real = gpuStopwatch(gpu)
    const others = new Set<string>()
    const inside = { now: 0, most: 0 }
    const tune: TuneOptions = {
      force: true,
      candidates(_gpu, pass, sizes) {
        const rule = kernelName(defaultKernel(gpu, pass, sizes))
        const found = candidateKernels(gpu, pass, sizes).filter((kernel) => kernelName(kernel) !== rule)
        for (const kernel of found) others.add(kernelName(kernel))
        return found.slice(0, 1)
      },
      stopwatch: {
        compile: (launches) => real.compile(launches),
        async time(name, work) {
          inside.most = Math.max(inside.most, ++inside.now)
          await real.time(name, work).finally(() => inside.now--)
          return others.has(name) ? 1 : 2
        },
      },
    }
    return { tune, inside }
  }
  // Sizes that no other test has tuned.
  const make = async (batchSize: number, options: LearnerOptions) =>
    new Learner(await tinyLoaders({ train: 80, batchSize }), tinyModel(), options)

  test('search one after the other', async () => {
    const log = vi.spyOn(gpu.platform, 'log').mockImplementation(() => {})
    const { tune, inside } = searching()
    const [a, b] = [await make(5, { tune }), await make(5, { tune })]
    await Promise.all([a.fit(1), b.fit(1)])
    expect(inside.most).toBe(1)
    expect(log.mock.calls.filter(([line]) => line.startsWith('tuning '))).toHaveLength(1)
    expect(b.recorder.losses).toEqual(a.recorder.losses)
    forgetChoices()
    log.mockRestore()
  })

  test('take no kernels from each other', async () => {
    const log = vi.spyOn(gpu.platform, 'log').mockImplementation(() => {})
    const { tune } = searching()
    const late = await make(8, { tune })
    let other: Promise<void> | undefined
    const start: Callback = {
      name: 'start',
      order: 0,
      beforeTrain() {
        other ??= late.fit(1)
      },
    }
    const learner = await make(8, { callbacks: [start] })
    await learner.fit(40)
    await other
    expect(late.recorder.rows).toHaveLength(1)
    expect((late.platform as FakePlatform).lines[0]).toBe(
      'another fit on this GPU is going on: no kernels are searched for before this one',
    )
    forgetChoices()
    log.mockRestore()
  })
})

test('a kernel that is registered between two fits is tried at the second', async () => {
  const log = vi.spyOn(gpu.platform, 'log').mockImplementation(() => {})
  const asked: string[] = []
  const stopwatch: Stopwatch = {
    compile: async () => {},
    async time(name, work) {
      asked.push(name)
      scope(() => work(launch))
      return 1
    },
  }
  const tune: TuneOptions = {
    force: true,
    stopwatch,
    candidates: (...of) => candidateKernels(...of).filter((one) => one.own),
  }
  const learner = new Learner(await tinyLoaders({ train: 12, batchSize: 4 }), tinyModel(), { tune })
  await learner.fit(1)
  log.mockClear()
  const shader = registerShader(
    'test/between',
    /* wgsl */ `
// @shape N H W C P Q O R S STRIDE PAD
@group(0) @binding(0) var<storage, read> dy: array<T4>;
@group(0) @binding(1) var<storage, read> weight: array<T4>;
@group(0) @binding(2) var<storage, read_write> dx: array<T4>;
@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) thread: u32) {
  if (thread < shape.N * 0u) { dx[0] = store4(load4(dy[0]) + load4(weight[0])); }
}`,
  )
  const takes = ({ R }: ConvolutionSizes) => R === 3
  registerConvolutionKernel({ name: 'between', pass: 'backward-input', shader, rows: 64, columns: 64, takes })
  asked.length = 0
  await learner.fit(1)
  expect(log).toHaveBeenCalledWith(expect.stringMatching(/^tuning 2 kernels/))
  expect(asked).toContain('between 64×64')
  ownKernels.pop()
  forgetChoices()
  log.mockRestore()
})

test('a fit of a few steps begins at once', async () => {
  const log = vi.spyOn(gpu.platform, 'log').mockImplementation(() => {})
  const { software } = gpu
  // As on hardware, which alone is tuned without being forced.
  Object.assign(gpu, { software: false })
  const stopwatch: Stopwatch = {
    compile: () => Promise.reject(new Error('compiled for a search')),
    time: () => Promise.reject(new Error('measured')),
  }
  // Every look at the clock is 10 ms after the last, so a step takes about as long. Sizes that no other test has tuned.
  let nowMs = 0
  const now = vi.spyOn(gpu.platform, 'now').mockImplementation(() => (nowMs += 10))
  const learner = new Learner(await tinyLoaders({ train: 12, batchSize: 6 }), tinyModel(), { tune: { stopwatch } })
  await learner.fit(1)
  expect(log).not.toHaveBeenCalled()
  await expect(learner.fit(2000)).rejects.toThrow('compiled for a search')
  now.mockRestore()
  Object.assign(gpu, { software })
  forgetChoices()
  log.mockRestore()
})

test('a model that does not fit the targets is refused as by a step, before anything is timed', async () => {
  const log = vi.spyOn(gpu.platform, 'log').mockImplementation(() => {})
  const learner = new Learner(await tinyLoaders({ train: 12, batchSize: 4 }), tinyModel({ outputs: 2 }), {
    tune: { force: true },
  })
  await expect(learner.fit(1)).rejects.toThrow('the model has fewer outputs than the data have labels')
  expect(log).not.toHaveBeenCalled()
  log.mockRestore()
})
