import { expect, test } from 'vitest'
import { matricesOf } from '../../src/gpu/matrices.ts'

const features = new Set(['chromium-experimental-subgroup-matrix', 'shader-f16', 'subgroups', 'subgroup-size-control'])
const square = (side: number) => ({ M: side, N: side, K: side, componentType: 'f16', resultComponentType: 'f32' })
const emulated = { sizes: [{ M: 16, N: 16, K: 16 }], lanes: 32, emulated: true }

function adapter(
  description: string,
  [subgroupMinSize, subgroupMaxSize]: readonly [number, number],
  subgroupMatrixConfigs?: readonly object[],
) {
  return {
    description,
    subgroupMinSize,
    subgroupMaxSize,
    ...(subgroupMatrixConfigs ? { subgroupMatrixConfigs } : {}),
  } as unknown as GPUAdapterInfo
}

test('f16 operands and f32 sums, the largest first, by subgroups of 32 where the adapter has them', () => {
  const configs = [
    square(8),
    { ...square(16), resultComponentType: 'f16' },
    { ...square(32), componentType: 'u8', resultComponentType: 'u32' },
    square(16),
  ]
  expect(matricesOf(adapter('GPU', [32, 32], configs), features)).toEqual({
    sizes: [
      { M: 16, N: 16, K: 16 },
      { M: 8, N: 8, K: 8 },
    ],
    lanes: 32,
    emulated: false,
  })
  expect(matricesOf(adapter('GPU', [8, 64], configs), features).lanes).toBe(32)
  expect(matricesOf(adapter('GPU', [8, 16], configs), features).lanes).toBe(16)
})

test('f32 operands after f16, and no sums in f16', () => {
  const single = { ...square(8), componentType: 'f32' }
  const apple = [{ ...square(8), resultComponentType: 'f16' }, single]
  expect(matricesOf(adapter('Apple', [32, 32], apple), features)).toEqual({
    sizes: [{ M: 8, N: 8, K: 8, component: 'f32' }],
    lanes: 32,
    emulated: false,
  })
  expect(matricesOf(adapter('GPU', [32, 32], [{ ...single, M: 16 }, square(8)]), features).sizes).toEqual([
    { M: 8, N: 8, K: 8 },
    { M: 16, N: 8, K: 8, component: 'f32' },
  ])
})

test('once for every width of subgroups that an adapter lets them have, or for the one that a configuration names', () => {
  const intel = { ...square(16), M: 8 }
  expect(matricesOf(adapter('Intel', [16, 32], [intel]), features)).toEqual({
    sizes: [
      { M: 8, N: 16, K: 16 },
      { M: 8, N: 16, K: 16, lanes: 16 },
    ],
    lanes: 32,
    emulated: false,
  })
  const own = [{ ...intel, subgroupSize: 16 }]
  expect(matricesOf(adapter('Intel', [8, 32], own), features).sizes).toEqual([{ M: 8, N: 16, K: 16, lanes: 16 }])
  expect(matricesOf(adapter('AMD', [32, 64], [square(16)]), features).sizes).toEqual([
    { M: 16, N: 16, K: 16 },
    { M: 16, N: 16, K: 16, lanes: 64 },
  ])
})

test.each([...features])('emulated without the feature %s', (missing) => {
  const others = new Set([...features].filter((feature) => feature !== missing))
  expect(matricesOf(adapter('GPU', [32, 32], [square(16)]), others)).toEqual(emulated)
})

test('emulated where none fit', () => {
  expect(matricesOf(adapter('GPU', [32, 32]), features)).toEqual(emulated)
  expect(matricesOf(adapter('GPU', [32, 32], [{ ...square(16), resultComponentType: 'f16' }]), features)).toEqual(
    emulated,
  )
})

test("those of Mesa's software adapter with 8 lanes, not with the 16 that crash it", () => {
  const description = 'llvmpipe: Mesa 26.1.6 (LLVM 19.1.7)'
  expect(matricesOf(adapter(description, [8, 8], [square(8)]), features)).toEqual({
    sizes: [{ M: 8, N: 8, K: 8 }],
    lanes: 8,
    emulated: false,
  })
  expect(matricesOf(adapter(description, [16, 16], [square(8)]), features)).toEqual(emulated)
})
