import { describe, expect, test } from 'vitest'
import { BufferPool, sizeClass } from '../../src/gpu/buffers.ts'
import '../../src/ops/relu.ts'
import { zeros } from '../../src/tensor/read-write.ts'
import { openTestGpu } from '../helpers/gpu.ts'

const gpu = await openTestGpu()

describe('buffers', () => {
  test('size classes are four an octave, of whole alignments', () => {
    expect([1, 256, 257, 512, 1000, 1024, 1025, 5000, 100_000].map(sizeClass)).toEqual([
      256, 256, 512, 512, 1024, 1024, 1280, 5120, 114_688,
    ])
    for (let bytes = 257; bytes < 1e9; bytes = Math.ceil(bytes * 1.37)) {
      expect(sizeClass(bytes)).toBeGreaterThanOrEqual(bytes)
      expect(sizeClass(bytes)).toBeLessThan(Math.max(bytes * 1.25, bytes + 256) + 1)
    }
  })

  test('one that cannot be made is not counted', () => {
    const device = {
      limits: gpu.device.limits,
      createBuffer: () => {
        throw new RangeError('no memory')
      },
    } as unknown as GPUDevice
    const pool = new BufferPool(device, () => {}, true)
    expect(() => pool.acquire(1000, 'too much')).toThrow('no memory')
    expect(pool).toMatchObject({ allocatedBytes: 0, usedBytes: 0, peakUsedBytes: 0 })
    expect(pool.inUse?.size).toBe(0)
  })

  test('bind groups of those that are gone are forgotten, those in use are kept', () => {
    const pipelineKernels = gpu.newPipelineCache(() => {})
    const pool = new BufferPool(gpu.device, () => {})
    const view = () => ({ buffer: pool.acquire(256, 'x'), offset: 0, size: 256 })
    const options = { groups: 1, shape: { VECTORS: 16 }, constants: { THREADS: 64, EACH: 1 }, dtype: 'f32' } as const
    const prepare = (x: ReturnType<typeof view>, y: ReturnType<typeof view>) =>
      pipelineKernels.prepare('relu/forward', { x, y }, options).groups[0]
    const [x, y] = [view(), view()]
    const kept = prepare(x, y)
    const others = Array.from({ length: 100 }, view)
    for (const other of others) {
      for (const target of others) {
        if (other !== target) prepare(other, target)
        // Used at each step, as a model is that goes on.
        expect(prepare(x, y)).toBe(kept)
      }
    }
    expect(pipelineKernels.bindGroups).toBeLessThan(5000)
  })

  test('what is given back is used again, and destroyed by trim', () => {
    const destroyed: number[] = []
    const pool = new BufferPool(gpu.device, ({ id }) => destroyed.push(id))
    const first = pool.acquire(1000, 'first')
    const second = pool.acquire(1000, 'second')
    expect(pool).toMatchObject({ allocatedBytes: 2048, usedBytes: 2048, peakUsedBytes: 2048 })
    pool.release(first)
    expect(pool.acquire(900, 'third')).toBe(first)
    expect(pool.acquire(200, 'small')).not.toBe(second)
    pool.release(second)
    expect(pool).toMatchObject({ allocatedBytes: 2304, usedBytes: 1280, peakUsedBytes: 2304 })
    pool.trim()
    expect(destroyed).toEqual([second.id])
    expect(pool.allocatedBytes).toBe(1280)
  })

  test('a tensor that cannot be bound is refused with the batch that can', () => {
    const limit = gpu.buffers.limitBytes / 2 ** 20
    const images = Math.ceil(limit) + 1
    expect(() => zeros([images, 512, 512])).toThrow(`use a batch of ${Math.floor(limit)} or fewer`)
  })
})
