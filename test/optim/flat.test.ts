import { afterEach, expect, test } from 'vitest'
import { DeviceError, OptionError } from '../../src/base/errors.ts'
import { Parameter } from '../../src/nn/parameter.ts'
import { adam } from '../../src/optim/adam.ts'
import { BLOCK, ParameterBuffers } from '../../src/optim/flat.ts'
import { LossScaler } from '../../src/optim/loss-scaler.ts'
import { elementCount, type Shape } from '../../src/tensor/shape.ts'
import { read, tensor, upload } from '../../src/tensor/read-write.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { reportLimits } from '../helpers/limited.ts'
import { ReferenceAdam } from './reference.ts'
import { expectClose } from '../../src/testing/close.ts'

const gpu = await openTestGpu()
afterEach(() => reportLimits(gpu.device))

function parameters(...shapes: Shape[]): Parameter[] {
  return shapes.map(
    (shape, i) => new Parameter(String(i), shape, 'weight', () => hashUniform(elementCount(shape), i, -1, 1)),
  )
}

test('every parameter begins where a binding may, and keeps its numbers and gradient', async () => {
  const all = parameters([4, 130], [1], [3, 3, 3, 3], [128])
  // One has numbers on the GPU already, one a gradient, one a gradient of an earlier step.
  const before = await read(all[0].value)
  Object.assign(all[1].leaf, { gradient: tensor([42], [1]), hasGradient: true })
  all[3].leaf.gradient = tensor(hashUniform(128, 9), [128])
  const flat = new ParameterBuffers(all)
  expect(flat.chunks.map(({ slots, blocks }) => ({ offsets: slots.map(({ offset }) => offset), blocks }))).toEqual([
    { offsets: [0, 3 * BLOCK, 4 * BLOCK, 5 * BLOCK], blocks: 6 },
  ])
  expect([...(await read(flat.chunks[0].owners))]).toEqual([0, 0, 0, 1, 2, 3])
  expect(await read(all[0].value)).toEqual(before)
  for (const [i, { value, count }] of all.entries()) expect(await read(value)).toEqual(hashUniform(count, i, -1, 1))
  expect([...(await read(all[1].leaf.gradient!))]).toEqual([42])
  expect(await read(all[3].leaf.gradient)).toEqual(new Float32Array(128))
  flat.keepF16Copies()
  expect(all[3].f16Copy?.view.offset).toBe(5 * BLOCK * 2)
  expect(all[3].f16Copy?.leaf).toBe(all[3].leaf)
})

test.each(['binding', 'buffer'] as const)('more than one %s holds', async (what) => {
  const limit = what === 'binding' ? 'maxStorageBufferBindingSize' : 'maxBufferSize'
  reportLimits(gpu.device, { [limit]: 5 * BLOCK * 4 + 100 })
  const all = parameters([3, BLOCK], [BLOCK + 72], [BLOCK], [4, BLOCK], [1])
  const optimizer = adam()([all.slice(0, 2), all.slice(2)])
  const flat = all.map(({ value }) => value.storage.buffer.id)
  expect(new Set(flat).size).toBe(3)
  expect(flat[1]).toBe(flat[0])
  const hyperparameters = [
    { lr: 0.1, momentum: 0.8, weightDecay: 0.1 },
    { lr: 0.2, momentum: 0.7, weightDecay: 0.2 },
  ]
  optimizer.setHyperparameters(hyperparameters)
  for (const { leaf, count } of all) {
    upload(leaf.gradient!, hashUniform(count, 77, -1, 1))
    leaf.hasGradient = true
  }
  optimizer.step(new LossScaler({ mixed: false }))
  for (const [i, { value, count, path }] of all.entries()) {
    const reference = new ReferenceAdam(hashUniform(count, i, -1, 1))
    reference.step(hashUniform(count, 77, -1, 1), hyperparameters[i < 2 ? 0 : 1])
    expectClose(await read(value), reference.p, 'f32', { name: path })
  }
  expect(() => new ParameterBuffers(parameters([6, BLOCK]))).toThrow(DeviceError)
})

test('places are given back when all have moved to another optimizer', () => {
  const all = parameters([100, 128], [50, 128])
  adam()([all]).close()
  const used = gpu.buffers.usedBytes
  for (let i = 0; i < 3; i++) {
    const optimizer = adam()([all])
    optimizer.keepF16Copies()
    optimizer.close()
  }
  expect(gpu.buffers.usedBytes - used).toBe(all[0].f16Copy?.storage.buffer.byteLength)
  const copy = all[0].f16Copy
  new ParameterBuffers(all)
  expect(gpu.buffers.usedBytes).toBe(used)
  // Their copies are gone with the buffers: layers in f16 round the numbers themselves.
  expect(all[0].f16Copy).toBeUndefined()
  expect(() => copy?.view).toThrow('its numbers were released')
})

test('no parameter at all, or one twice, is refused', () => {
  const [a, b] = parameters([1], [2])
  expect(() => new ParameterBuffers([])).toThrow(OptionError)
  expect(() => new ParameterBuffers([a, b, a])).toThrow(OptionError)
})
