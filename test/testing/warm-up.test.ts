import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { timeStream } from '../../bench/steps/step.ts'
import { openGpuOn, useGpu, type Gpu } from '../../src/gpu/device.ts'
import { HELD_MS, IDLE_MS, WARM_MS, warmUpOf } from '../../src/gpu/warm-up.ts'
import { gpuStopwatch } from '../../src/ops/convolution/trial.ts'
import { relu } from '../../src/ops/relu.ts'
import { nodePlatform } from '../../src/platform/node/index.ts'
import { noGrad } from '../../src/tensor/op.ts'
import { measureKernel, rounding, type KernelCase } from '../../src/testing/measure-kernel.ts'
import { measurePeaks } from '../../src/testing/peaks.ts'

/** Duration of every piece of work by the clock of these tests, which only work moves. */
const WORK_MS = 10

const clock = { ms: 0 }
const platform = { ...nodePlatform, now: () => clock.ms, log: () => {} }
const opened: Gpu[] = []
afterAll(() => opened.forEach((gpu) => gpu.close()))

/** Opens a GPU that passes for hardware or for software, with a profiler of which only the rounds are counted. */
async function openAs({ software }: { readonly software: boolean }) {
  const gpu = await openGpuOn(platform)
  opened.push(gpu)
  const counted = { rounds: 0 }
  const profiler = {
    reset() {},
    async rows() {
      counted.rounds++
      clock.ms += WORK_MS
      return [{ timeMs: WORK_MS }]
    },
  }
  Object.assign(gpu, { software, profiler })
  useGpu(gpu)
  return { gpu, counted }
}

/** Kernel whose proof, with all that is compiled for it, takes a time by the clock of these tests. */
function kernelProvenIn(proofMs: number): KernelCase {
  return {
    name: 'relu f32',
    prepare(operands) {
      const x = operands.random('x', [4, 4], 'f32')
      clock.ms += proofMs
      return {
        flops: 0,
        bytes: 128,
        run: () => ({ y: noGrad(() => relu(x.tensor)) }),
        checks: { y: { at: (i) => Math.max(0, x.at(i)), allowed: rounding('f32') } },
      }
    },
  }
}

const timing = { rounds: 3 }
/** Two rounds that do not count, and three that do. */
const ROUNDS = 5
/** Rounds of a warm-up. */
const WARM = WARM_MS / WORK_MS

describe('measureKernel', () => {
  test('keeps a GPU busy before the rounds that count', async () => {
    const { gpu, counted } = await openAs({ software: false })
    await measureKernel(gpu, kernelProvenIn(0), timing)
    expect(counted.rounds).toBe(WARM + ROUNDS)
  })

  test('does so again once the clock may have fallen, and not before', async () => {
    const { gpu, counted } = await openAs({ software: false })
    const roundsAfter = async (proofMs: number) => {
      counted.rounds = 0
      await measureKernel(gpu, kernelProvenIn(proofMs), timing)
      return counted.rounds
    }
    await roundsAfter(0)
    expect(await roundsAfter(HELD_MS / 2)).toBe(ROUNDS)
    expect(await roundsAfter(HELD_MS)).toBe(WARM + ROUNDS)
  })

  test('does nothing more on a software adapter', async () => {
    const { gpu, counted } = await openAs({ software: true })
    const begin = clock.ms
    await measureKernel(gpu, kernelProvenIn(0), timing)
    expect([counted.rounds, clock.ms - begin]).toEqual([ROUNDS, ROUNDS * WORK_MS])
  })
})

test.each([
  [true, 0],
  [false, WARM],
])('measurePeaks warms up before its first probe, software adapter: %s', async (software, warm) => {
  const { gpu, counted } = await openAs({ software })
  gpu.queue.read = () => Promise.reject(new Error('the first probe is done'))
  await expect(measurePeaks(gpu, 1)).rejects.toThrow('the first probe is done')
  // One round compiles and two are tried, then one more, with as many turns as are right, does not count, and one does.
  expect(counted.rounds).toBe(warm + 5)
})

describe('on a GPU that only counts', () => {
  let gpu: Gpu
  let steps = 0
  const step = () => {
    steps++
    clock.ms += WORK_MS
  }
  const work = async () => step()
  const fake = (software: boolean) => {
    const none = async () => {}
    return { software, platform, queue: { finished: none, fence: () => none } } as unknown as Gpu
  }
  beforeEach(() => {
    gpu = fake(false)
    steps = 0
  })

  test('a warm-up follows idle time only', async () => {
    const warmUp = warmUpOf(gpu)
    expect(warmUpOf(gpu)).toBe(warmUp)
    await warmUp.before(work)
    expect(steps).toBe(WARM)
    clock.ms += IDLE_MS - 1
    await warmUp.before(work)
    expect(steps).toBe(WARM)
    warmUp.worked()
    clock.ms += IDLE_MS - 1
    await warmUp.before(work)
    expect(steps).toBe(WARM)
    clock.ms++
    await warmUp.before(work)
    expect(steps).toBe(2 * WARM)
  })

  test('pieces of work with pauses do not hold the clock for ever', async () => {
    const warmUp = warmUpOf(gpu)
    await warmUp.before(work, HELD_MS)
    for (let i = 0; i < 4; i++) {
      clock.ms += HELD_MS / 4
      warmUp.worked()
    }
    clock.ms += IDLE_MS
    await warmUp.before(work, HELD_MS)
    expect(steps).toBe(2 * WARM)
  })

  test('steps in a row are preceded by a warm-up', async () => {
    await timeStream(gpu, step, 3)
    expect(steps).toBe(WARM + 3)
    await timeStream(gpu, step, 3)
    expect(steps).toBe(WARM + 6)
    steps = 0
    await timeStream(fake(true), step, 3)
    expect(steps).toBe(3)
  })
})

test('the stopwatch of the tuner warms up a GPU and no software adapter', async () => {
  for (const software of [false, true]) {
    const { gpu } = await openAs({ software })
    let count = 0
    await gpuStopwatch(gpu).warmUp?.(async () => {
      count++
      clock.ms += WORK_MS
    })
    expect(count).toBe(software ? 0 : WARM)
  }
})
