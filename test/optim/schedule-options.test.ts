import { expect, test } from 'vitest'
import { OptionError } from '../../src/base/errors.ts'
import { flatCos, oneCycle, sgdr, type OneCycleOptions } from '../../src/optim/schedule.ts'

test.each<[string, OneCycleOptions]>([
  ['div', { div: 0 }],
  ['div', { div: -25 }],
  ['div', { div: NaN }],
  ['divFinal', { divFinal: 0 }],
  ['divFinal', { divFinal: NaN }],
  ['pctStart', { pctStart: 0 }],
  ['pctStart', { pctStart: 1 }],
  ['pctStart', { pctStart: NaN }],
  ['moms', { moms: [0.95, 0.85, 1] }],
  ['moms', { moms: [0.95, -0.1, 0.95] }],
  ['moms', { moms: [NaN, 0.85, 0.95] }],
  // Which TypeScript would see.
  ['moms', { moms: [0.95, 0.85] as unknown as [number, number, number] }],
])('oneCycle refuses %s in %o where it is made', (name, options) => {
  expect(() => oneCycle(1e-3, options)).toThrow(`oneCycle: ${name} is out of range`)
})

test('flatCos refuses its own, and all a learning rate that is none', () => {
  for (const divFinal of [0, -1, NaN]) {
    expect(() => flatCos(1e-3, { divFinal })).toThrow('flatCos: divFinal is out of range')
  }
  for (const pctStart of [0, 1, NaN]) {
    expect(() => flatCos(1e-3, { pctStart })).toThrow('flatCos: pctStart is out of range')
  }
  for (const lr of [NaN, -1, Infinity]) {
    expect(() => oneCycle(lr)).toThrow('oneCycle: lrMax is out of range')
    expect(() => flatCos(lr)).toThrow('flatCos: lr is out of range')
    expect(() => sgdr(1, 1).at(lr)).toThrow('sgdr: lrMax is out of range')
  }
})

test('the message says what is right', () => {
  expect(() => oneCycle(1e-3, { moms: [0.95, 0.85, 1.2] })).toThrow(OptionError)
  expect(() => oneCycle(1e-3, { moms: [0.95, 0.85, 1.2] })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: oneCycle: moms is out of range
      moms  [0.95,0.85,1.2]
      expected three numbers, each at least 0 and below 1 (by default the learner's \`momentums\`)]
  `)
  expect(() => flatCos(1e-3, { pctStart: 1.5 })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: flatCos: pctStart is out of range
      pctStart  1.5
      expected above 0 and below 1]
  `)
})

test('the ends of the ranges are taken', () => {
  expect(oneCycle(0, { moms: [0, 0, 0] }).lr(0.5)).toBe(0)
  expect(flatCos(1, { divFinal: Infinity })(1)).toBe(0)
})
