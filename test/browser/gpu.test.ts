import { describe, expect, test } from 'vitest'
import { openGpu } from '../../src/browser.ts'
import { relu } from '../../src/ops/relu.ts'
import { read, tensor } from '../../src/tensor/read-write.ts'

describe('the GPU of a page', () => {
  test('is opened, named and used', async () => {
    const gpu = await openGpu()
    expect(gpu).toMatchObject({ software: true, name: 'google swiftshader' })
    expect([...(await read(relu(tensor([-1, 2], [2]))))]).toEqual([0, 2])
    gpu.close()
  })
})
