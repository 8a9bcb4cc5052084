import { expect, test } from 'vitest'
import { rng } from '../../src/base/rng.ts'

test('a stream is that of its seed, name and indices, in every version', () => {
  // These are bits of xoshiro128**: with others, a seed would make another model and other batches than in earlier versions.
  const bits = (...stream: Parameters<typeof rng>) => {
    const random = rng(...stream)
    return [random.bits(), random.bits(), random.bits()]
  }
  expect(bits(0, 'init')).toEqual([4003051771, 3944753550, 20892480])
  expect(bits(1, 'init', 7)).toEqual([963428607, 409138805, 2863315001])
  expect([...rng(3, 'x').permutation(5)]).toEqual([4, 1, 2, 3, 0])
})

test('many numbers at once are those of single draws, rounded to f32', () => {
  for (const [count, before] of [
    [0, 0],
    [7, 0],
    [8, 1],
  ]) {
    const [one, other] = [rng(5, 'many'), rng(5, 'many')]
    for (const random of [one, other]) {
      // A normal number that is spared for the next draw.
      for (let i = 0; i < before; i++) random.normal()
    }
    expect([...one.normals(count, 2, 0.5)]).toEqual(
      Array.from({ length: count }, () => Math.fround(other.normal(2, 0.5))),
    )
    expect([...one.uniforms(count, -3, 1)]).toEqual(
      Array.from({ length: count }, () => Math.fround(other.uniform(-3, 1))),
    )
    expect(one.bits()).toBe(other.bits())
  }
})

test('Beta of small parameters is a coin with the odds of both, never NaN', () => {
  const random = rng(0, 'coin')
  const draws = Array.from({ length: 2000 }, () => random.beta(1e-5, 3e-5))
  expect(draws.every((draw) => draw >= 0 && draw <= 1)).toBe(true)
  // A quarter of them, whose deviation is 0.01.
  expect(draws.reduce((sum, draw) => sum + draw, 0) / 2000).toBeCloseTo(0.25, 1)
})
