import { expect, test } from 'vitest'
import { ReadBack } from '../../src/gpu/read-back.ts'
import type { Platform } from '../../src/platform/platform.ts'

test('the same reads need no more memory however often and in whichever order they come', async () => {
  const made: number[] = []
  let destroyed = 0
  const device = {
    createBuffer({ size }: GPUBufferDescriptor) {
      made.push(size)
      return {
        size,
        mapAsync: () => Promise.resolve(),
        getMappedRange: (_offset: number, bytes: number) => new ArrayBuffer(bytes),
        unmap() {},
        destroy: () => void destroyed++,
      }
    },
  } as unknown as GPUDevice
  const encoder = { copyBufferToBuffer() {} } as unknown as GPUCommandEncoder
  const platform = { waitFor: (work: Promise<unknown>) => work } as unknown as Platform
  const readBack = new ReadBack(device, 'test')
  const read = (sizes: readonly number[]) =>
    Promise.all(sizes.map((size) => readBack.stage(encoder, {} as GPUBuffer, 0, size)).map((wait) => wait(platform)))
  // The parameters of a network at each checkpoint, and losses between them.
  const parameters = [4000, 100_000, 2000, 400_000, 8000, 200_000]
  for (let epoch = 0; epoch < 20; epoch++) {
    await read(parameters)
    await read([24_000])
    await read([90_000])
  }
  expect(made).toEqual(parameters)
  readBack.trim()
  expect(destroyed).toBe(made.length)
  await read([4000])
  expect(made.length).toBe(parameters.length + 1)
})
