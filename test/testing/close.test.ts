import { describe, expect, test } from 'vitest'
import { expectClose } from '../../src/testing/close.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'

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
      `[WgradError: y: 5.6e-4 of the norm is wrong, 1.0e-5 allowed; worst is [1,23]: -0.20984432637691497, expected -0.21984432637691498]`,
    )
    close((value, i) => (i === 123 ? NaN : value)).toThrowErrorMatchingInlineSnapshot(
      `[WgradError: y: Infinity of the norm is wrong, 1.0e-5 allowed; worst is [1,23]: NaN, expected -0.21984432637691498]`,
    )
    close((value) => value * 1.0006, 'f16').toThrowErrorMatchingInlineSnapshot(
      `[WgradError: y: 6.0e-4 of the norm is wrong, 5.0e-4 allowed; worst is [7,8]: -0.6169110122799873, expected -0.6165410876274109]`,
    )
    // One element alone, too little for the norm to show it.
    close((value, i) => (i === 123 ? value + 0.008 : value), 'f16').toThrowErrorMatchingInlineSnapshot(
      `[WgradError: y: 4.5e-4 of the norm is wrong, 5.0e-4 allowed; worst is [1,23]: -0.21184432637691497, expected -0.21984432637691498]`,
    )
  })

  test('compares with nothing exactly', () => {
    expectClose([0, 0], [0, 0], 'f32')
    expect(() => expectClose([0, 1e-9], [0, 0], 'f32')).toThrow()
    expect(() => expectClose([0], [0, 0], 'f32')).toThrow()
  })
})
