import { expect, test } from 'vitest'
import { commands } from 'vitest/browser'
import { accuracy, DeviceError, Learner, openGpu } from '../../src/browser.ts'
import { relu } from '../../src/ops/relu.ts'
import { read, tensor } from '../../src/tensor/read-write.ts'
import { tinyLoaders, tinyModel } from '../helpers/tiny.ts'

test('a GPU process that ends makes a clear error of a fit, and a GPU is opened again', async () => {
  const gpu = await openGpu()
  const learner = new Learner(await tinyLoaders({ train: 40 }), tinyModel(), { metrics: [accuracy] })
  await learner.fit(1)
  let crashed = false
  const fitting = learner.fit(10_000).catch((error: unknown) => error)
  setTimeout(() => {
    crashed = true
    void commands.crashGpuProcess()
  }, 200)
  const error = await fitting
  expect(crashed).toBe(true)
  expect(error).toBeInstanceOf(DeviceError)
  expect(String(error)).toMatch(/^DeviceError: google swiftshader: the device was lost/)
  expect(String(error)).toContain('await openGpu()')
  // Whatever is asked of it later says the same.
  await expect(learner.fit(1)).rejects.toThrow('the device was lost')
  gpu.close()

  const again = await openGpu()
  expect([...(await read(relu(tensor([-1, 2], [2]))))]).toEqual([0, 2])
  const anew = new Learner(await tinyLoaders(), tinyModel(), { metrics: [accuracy] })
  await anew.fit(1)
  expect(anew.recorder.rows.length).toBe(1)
  again.close()
})
