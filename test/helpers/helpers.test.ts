import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { elementwise, empty, launch } from '../../src/tensor/launch.ts'
import { defineOp } from '../../src/tensor/op.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { expectClose } from './close.ts'
import { channelsFirst, channelsLast, expectGolden, hashUniform } from './golden.ts'
import { openTestGpu } from './gpu.ts'
import { gradcheck, uniform } from './gradcheck.ts'

const gpu = await openTestGpu()

/** The tests of the tests: each must be able to fail. */
describe('gradcheck', () => {
  const wrong = defineOp<readonly [Tensor], undefined, undefined>({
    name: 'wrong',
    plan: () => undefined,
    forward(_plan, [x]) {
      const y = empty(x)
      launch('relu/forward', { x, y }, elementwise(y))
      return y
    },
    backward: (_plan, dy) => [dy],
  })

  test('names the element whose gradient is wrong', async () => {
    const x = { shape: [2, 3], data: [1, 1, 1, 1, -1, 1] }
    await expect(
      gradcheck('wrong', ({ x }) => wrong([x], undefined), { x }),
    ).rejects.toThrowErrorMatchingInlineSnapshot(`[Error: wrong: dL/dx[1,1] is 0.708984375, finite difference says 0]`)
  })

  test('sees that nothing arrives', async () => {
    const { x, y } = { x: uniform([3], 1), y: uniform([3], 2) }
    await expect(
      gradcheck('half', ({ x }) => wrong([x], undefined), { x, y }),
    ).rejects.toThrowErrorMatchingInlineSnapshot(`[Error: no gradient reached y]`)
  })
})

describe('expectClose', () => {
  const expected = Array.from(hashUniform(1000, 1, -1, 1))

  test('takes what rounding explains', () => {
    expectClose(
      expected.map((value) => value * (1 + 2 ** -23)),
      expected,
      'f32',
    )
    expectClose(
      expected.map((value) => value * (1 + 2 ** -11)),
      expected,
      'f16',
    )
  })

  test('names the worst element and by how much the whole is wrong', () => {
    const close = (change: (value: number, i: number) => number, dtype: 'f32' | 'f16' = 'f32') =>
      expect(() => expectClose(expected.map(change), expected, dtype, { name: 'y', shape: [10, 100] }))
    close((value, i) => (i === 123 ? value + 0.01 : value)).toThrowErrorMatchingInlineSnapshot(
      `[Error: y: 5.6e-4 of the norm is wrong, 1.0e-5 allowed; worst is [1,23]: -0.20984432637691497, expected -0.21984432637691498]`,
    )
    close((value, i) => (i === 123 ? NaN : value)).toThrowErrorMatchingInlineSnapshot(
      `[Error: y: Infinity of the norm is wrong, 1.0e-5 allowed; worst is [1,23]: NaN, expected -0.21984432637691498]`,
    )
    close((value) => value * 1.0006, 'f16').toThrowErrorMatchingInlineSnapshot(
      `[Error: y: 6.0e-4 of the norm is wrong, 5.0e-4 allowed; worst is [7,8]: -0.6169110122799873, expected -0.6165410876274109]`,
    )
    // One element alone, too little for the norm to show it.
    close((value, i) => (i === 123 ? value + 0.008 : value), 'f16').toThrowErrorMatchingInlineSnapshot(
      `[Error: y: 4.5e-4 of the norm is wrong, 5.0e-4 allowed; worst is [1,23]: -0.21184432637691497, expected -0.21984432637691498]`,
    )
  })

  test('compares with nothing exactly', () => {
    expectClose([0, 0], [0, 0], 'f32')
    expect(() => expectClose([0, 1e-9], [0, 0], 'f32')).toThrow()
    expect(() => expectClose([0], [0, 0], 'f32')).toThrow()
  })
})

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
