import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test, vi } from 'vitest'
import { exportChoices, forgetChoices } from '../../../src/ops/convolution/choices.ts'
import { candidateKernels, defaultKernel, kernelName } from '../../../src/ops/convolution/families.ts'
import { passKey } from '../../../src/ops/convolution/sizes.ts'
import { gpuStopwatch } from '../../../src/ops/convolution/trial.ts'
import type { TuneOptions } from '../../../src/ops/convolution/tuner.ts'
import { Learner } from '../../../src/train/learner.ts'
import { openTestGpu } from '../../helpers/gpu.ts'
import { tinyLoaders, tinyModel } from '../../helpers/tiny.ts'

// Choices are remembered on disk: in a folder of our own.
const folder = mkdtempSync(join(tmpdir(), 'wgrad-tuning-'))
vi.stubEnv('WGRAD_CACHE', folder)
afterAll(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true })
})

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

test('a model that does not fit the targets is refused as by a step, before anything is timed', async () => {
  const log = vi.spyOn(gpu.platform, 'log').mockImplementation(() => {})
  const learner = new Learner(await tinyLoaders({ train: 12, batchSize: 4 }), tinyModel({ outputs: 2 }), {
    tune: { force: true },
  })
  await expect(learner.fit(1)).rejects.toThrow('the model has fewer outputs than the data have labels')
  expect(log).not.toHaveBeenCalled()
  log.mockRestore()
})
