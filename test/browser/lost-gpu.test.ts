import { expect, test } from 'vitest'
import { commands } from 'vitest/browser'
import { accuracy, DeviceError, Learner, memoryFiles, openGpu, type Callback } from '../../src/browser.ts'
import { relu } from '../../src/ops/relu.ts'
import { read, tensor } from '../../src/tensor/read-write.ts'
import { fakePlatform } from '../helpers/fake-platform.ts'
import { stripes, tinyLoaders, tinyModel } from '../helpers/tiny.ts'

// The browser gives a page no adapter for a while once its GPU process has ended twice, so there is one test.

function expectLost(error: unknown): void {
  expect(error).toBeInstanceOf(DeviceError)
  expect(String(error)).toMatch(/^DeviceError: google swiftshader: the device was lost/)
  expect(String(error)).toContain('await openGpu()')
}

test('what waits for a GPU that ends says so, and a run goes on from its checkpoint on the one opened next', async () => {
  const options = { metrics: [accuracy] }
  // The files of a page outlive its GPU.
  const platform = fakePlatform({ picture: (path) => stripes(path, 16), files: memoryFiles() })
  const data = { train: 16, valid: 6, batchSize: 4, platform }
  const checkpoint = 'run.safetensors'

  const first = await openGpu()
  const straight = new Learner(await tinyLoaders(data), tinyModel(), options)
  await straight.fitOneCycle(4, 1e-2)

  const x = tensor([1, 2, 3], [3])
  const image = { width: 16, height: 16, data: new Uint8Array(16 * 16 * 4).fill(255) }
  const other = new Learner(await tinyLoaders(data), tinyModel(), options)
  await other.predict(image)
  const untilItFails = async (work: () => Promise<unknown>): Promise<unknown> => {
    try {
      for (;;) await work()
    } catch (error) {
      return error
    }
  }
  let others: Promise<unknown[]> = Promise.resolve([])
  const crash: Callback = {
    name: 'crash',
    order: 70,
    beforeTrain: async ({ epoch }) => {
      if (epoch !== 2) return
      others = Promise.all([
        untilItFails(() => read(x)),
        untilItFails(() => other.predict(image)),
        untilItFails(() => first.queue.finished()),
      ])
      await commands.crashGpuProcess()
    },
  }
  const lost = new Learner(await tinyLoaders(data), tinyModel(), options)
  expectLost(await lost.fitOneCycle(4, 1e-2, { checkpoint, callbacks: [crash] }).catch((error: unknown) => error))
  const errors = await others
  expect(errors).toHaveLength(3)
  errors.forEach(expectLost)
  // Whatever is asked of it later says the same.
  expectLost(await lost.fit(1).catch((error: unknown) => error))
  first.close()

  const second = await openGpu()
  expect([...(await read(relu(tensor([-1, 2], [2]))))]).toEqual([0, 2])
  const again = new Learner(await tinyLoaders(data), tinyModel(), options)
  const callbacks = [{ ...crash, beforeTrain: () => undefined }]
  await again.fitOneCycle(4, 1e-2, { checkpoint, resume: true, callbacks })
  expect(again.recorder.rows.map(({ epoch }) => epoch)).toEqual([0, 1, 2, 3])
  expect(again.recorder.rows.at(-1)?.validLoss).toBe(straight.recorder.rows.at(-1)?.validLoss)
  second.close()
})
