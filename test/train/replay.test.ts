import { describe, expect, test } from 'vitest'
import { augTransforms } from '../../src/data/augment/transforms.ts'
import { imagenetStats, normalize } from '../../src/data/augment/normalize.ts'
import { keep } from '../../src/tensor/scope.ts'
import { tensor, upload } from '../../src/tensor/transfer.ts'
import type { Callback } from '../../src/train/callback.ts'
import { Learner } from '../../src/train/learner.ts'
import { accuracy } from '../../src/train/metrics.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { tinyLoaders, tinyModel } from '../helpers/tiny.ts'

const gpu = await openTestGpu()

/** A loss scale that overflows every gradient, for one step: the optimizer has to leave it out. */
const OVERFLOW_AT = 17
const overflowOnce: Callback = {
  name: 'overflowOnce',
  order: 0,
  runsOn: 'train',
  prepareBatch({ trainIteration, scaler, precision }) {
    if (trainIteration === OVERFLOW_AT && scaler && precision === 'mixed') upload(scaler.scale, [1e38])
  },
}

/** Makes what it keeps in the middle of training, from whatever buffers are free then. */
function keeper(): Callback & { readonly kept: ReturnType<typeof tensor>[] } {
  const kept: ReturnType<typeof tensor>[] = []
  return { name: 'keeper', order: 0, kept, beforeValidate: () => void kept.push(...[1, 2, 3].map(() => keep(tensor(new Float32Array(4096).fill(7), [4096])))) }
}

async function trained(replay: boolean, precision: 'f32' | 'mixed', callbacks: readonly Callback[] = [overflowOnce]) {
  const loaders = await tinyLoaders({
    train: 40, valid: 7, batchSize: 4, size: 24,
    batchTransforms: [...augTransforms({ size: 16, minScale: 0.5 }), normalize(imagenetStats)],
  })
  const learner = new Learner(loaders, tinyModel(), { metrics: [accuracy], replay, callbacks })
  if (precision === 'mixed') learner.toFp16()
  const before = gpu.kernels.prepared
  await learner.fitOneCycle(3, 1e-2)
  return { learner, prepared: gpu.kernels.prepared - before, state: await learner.model.stateDict() }
}

describe.each(['f32', 'mixed'] as const)('%s', (precision) => {
  test('30 replayed steps end bit for bit where 30 recorded ones end: learning rates, augmentation, in mixed precision a skipped step, validation between', async () => {
    const plain = await trained(false, precision)
    const replayed = await trained(true, precision)
    expect(replayed.learner.recorder.rawLosses).toEqual(plain.learner.recorder.rawLosses)
    expect(replayed.learner.recorder.rawLosses.length).toBe(30)
    expect(replayed.learner.recorder.rows.map(({ validLoss }) => validLoss)).toEqual(plain.learner.recorder.rows.map(({ validLoss }) => validLoss))
    for (const [name, { data }] of plain.state) expect([name, ...(replayed.state.get(name)?.data ?? [])]).toEqual([name, ...data])
    // Two of ten steps an epoch are recorded.
    expect(replayed.prepared).toBeLessThan(plain.prepared / 2)
  })
})

test('a kept tensor is not written by a replay', async () => {
  const holder = keeper()
  await trained(true, 'f32', [holder])
  for (const one of holder.kept) expect(new Float32Array(await gpu.queue.read(one.view)).every((value) => value === 7)).toBe(true)
})

test('a callback that does something else in every step is always called', async () => {
  let calls = 0
  const counter: Callback = { name: 'counter', order: 0, runsOn: 'train', beforeBackward: () => void calls++ }
  await trained(true, 'f32', [counter])
  expect(calls).toBe(30)
})

test('the buffers of recordings go back to the pool', async () => {
  await trained(true, 'mixed')
  const { usedBytes } = gpu.buffers
  const loaders = await tinyLoaders({ train: 40, batchSize: 4 })
  const learner = new Learner(loaders, tinyModel())
  await learner.fit(1)
  const after = gpu.buffers.usedBytes
  await learner.fit(2)
  expect(gpu.buffers.usedBytes).toBe(after)
  expect(usedBytes).toBeGreaterThan(0)
})
