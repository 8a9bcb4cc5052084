import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { channelsFirst, channelsLast, expectGolden } from './golden.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { openGpuOn, useGpu } from '../../src/gpu/device.ts'
import { candidateKernels } from '../../src/ops/convolution/families.ts'
import { tune } from '../../src/ops/convolution/tuner.ts'
import { openTestGpu, testPlatform } from './gpu.ts'

const gpu = await openTestGpu()

describe('the suite', () => {
  test('runs on the adapter that TEST_ADAPTER names', () => {
    const name = process.env.TEST_ADAPTER ?? ''
    if (name === 'amd') expect(gpu).toMatchObject({ vendor: 'amd', software: false, subgroupSize: 0, family: 'tile' })
    else if (name === 'opengles') {
      expect(gpu).toMatchObject({ name: expect.stringContaining('OpenGL ES'), subgroupSize: 0, family: 'tile' })
    } else expect(gpu.name).not.toMatch(/AMD-like|OpenGL ES/)
  })

  test('keeps away from the folders and settings of the user', () => {
    for (const folder of ['WGRAD_CACHE', 'FASTAI_HOME']) {
      expect(process.env[folder]).toContain(join(tmpdir(), 'wgrad-test-'))
    }
    expect(['DEBUG', 'PROFILE', 'SEED', 'TUNE'].map((setting) => process.env[setting])).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ])
  })

  test('lets a fit on a GPU choose by no clock of the machine', async () => {
    const sizes = { N: 2, H: 6, W: 6, C: 8, P: 6, Q: 6, O: 8, R: 3, S: 3, STRIDE: 1, PAD: 1, dtype: 'f32' } as const
    const chosen = async () => {
      const own = await openGpuOn(testPlatform())
      // Timestamps are those of the machine; the adapter that is taken for a GPU has none.
      Object.assign(own, { features: new Set() })
      const candidates = (...of: Parameters<typeof candidateKernels>) => candidateKernels(...of).slice(0, 2)
      const found = await tune({ force: true, convolutions: [sizes], candidates })
      own.close()
      return found
    }
    const first = await chosen()
    expect(first.length).toBeGreaterThan(0)
    expect(await chosen()).toEqual(first)
    if (process.env.TEST_ADAPTER === 'amd') expect(gpu.features.has('timestamp-query')).toBe(false)
    useGpu(gpu)
  })

  test('takes what the engine logs for no stray output', () => {
    const print = vi.spyOn(console, 'log').mockImplementation(() => {})
    gpu.platform.log('tuning 9 kernels')
    expect(print).not.toHaveBeenCalled()
    print.mockRestore()
  })
})

describe('golden', () => {
  test('hash numbers are those of the golden files', () => {
    // As Python computes them in whole numbers.
    expect([...hashUniform(4, 0)]).toEqual([0, 0.40834909677505493, 0.8166981935501099, 0.32791006565093994])
    expect([...hashUniform(3, 500, -1, 3)]).toEqual([1.504056692123413, 1.7935993671417236, -0.18228420615196228])
  })

  test("layouts are each other's inverse", () => {
    const data = hashUniform(2 * 3 * 4 * 5, 1)
    const last = channelsLast(data, [2, 3, 4, 5])
    expect(last[1]).toBe(data[20])
    expect(channelsFirst(last, [2, 4, 5, 3])).toEqual(data)
  })

  test('a summary recognises its tensor only', () => {
    const data = [1, 2, 3, 4]
    const summary = { shape: [2, 2], norm: Math.sqrt(30), sum: 10, first: data }
    expectGolden(data, summary)
    expect(() => expectGolden([1, 3, 2, 4], summary)).toThrow('first of tensor')
    expect(() => expectGolden([1, 2, 3, -4], summary)).toThrow('sum of tensor')
    expect(() => expectGolden([1, 2, 3, 5], summary)).toThrow('norm of tensor')
  })
})
