import { describe, expect, test } from 'vitest'
import { Init } from '../../src/nn/init.ts'
import { xresnet18 } from '../../src/nn/xresnet.ts'
import { read } from '../../src/tensor/read-write.ts'
import { openTestGpu } from '../helpers/gpu.ts'

await openTestGpu()

function moments(data: ArrayLike<number>): { mean: number; deviation: number } {
  const values = Array.from(data)
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length
  return { mean, deviation: Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length) }
}

test('Kaiming normal: mean 0, deviation √(2 / fan in)', () => {
  const { mean, deviation } = moments(new Init(1).kaimingNormal([512, 3, 3, 32])())
  // 147,456 draws: the mean strays by deviation/√n = 1.6e-4, the deviation by deviation/√(2n), 0.2%.
  expect(Math.abs(mean)).toBeLessThan(6e-4)
  expect(Math.abs(deviation / Math.sqrt(2 / 288) - 1)).toBeLessThan(0.01)
})

test('a seed is a model, and its weights differ from each other', () => {
  const draw = (seed: number, skip: number) => {
    const init = new Init(seed)
    for (let i = 0; i < skip; i++) init.kaimingNormal([1, 1])
    return [...(init.kaimingNormal([2, 4])() as Float32Array)]
  }
  expect(draw(1, 3)).toEqual(draw(1, 3))
  expect(draw(1, 3)).not.toEqual(draw(1, 2))
  expect(draw(1, 3)).not.toEqual(draw(2, 3))
})

describe('xresnet18', () => {
  const model = xresnet18({ seed: 3 })
  const parameter = (path: string) => model.parameters().find((each) => each.path === path)!

  test.each([
    ['0.0.weight', 0.2721655],
    ['7.1.convpath.1.0.weight', Math.sqrt(2 / 4608)],
    ['11.weight', 0.0625],
  ])('%s has deviation %f', async (path, expected) => {
    const { deviation } = moments(await read(parameter(path).value))
    // The stem has 864 draws only: a deviation of 2.4%.
    expect(Math.abs(deviation / expected - 1)).toBeLessThan(0.07)
  })

  test('batch norms begin as nothing added, the last one of a block with nothing at all', async () => {
    for (const { path, kind, value } of model.parameters()) {
      if (kind === 'weight') continue
      const expected = path.endsWith('bias') || path.includes('convpath.1.1') ? 0 : 1
      expect(new Set(await read(value)), path).toEqual(new Set([expected]))
    }
    for (const { path, value } of model.buffers()) {
      expect(new Set(await read(value)), path).toEqual(new Set([path.endsWith('var') ? 1 : 0]))
    }
  })
})
