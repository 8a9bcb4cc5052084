import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test, vi } from 'vitest'
import { exportChoices, forgetChoices } from '../../../src/ops/convolution/choices.ts'
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
