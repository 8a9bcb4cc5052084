import { describe, expect, test } from 'vitest'
import { lanesOf, rowsOf, slicesOf, turnsOf, type Block } from '../../../src/ops/convolution/block.ts'
import {
  blockBackwardInput,
  blockBackwardWeight,
  blockForward,
  depthwiseBlock,
} from '../../../src/ops/convolution/depthwise-block.ts'
import { blocksToWeight, groupedBlock, slideBlocks, type GroupedSizes } from '../../../src/ops/convolution/grouped.ts'
import type { ConvolutionPass } from '../../../src/ops/convolution/sizes.ts'
import { empty } from '../../../src/tensor/launch.ts'
import { read, tensor } from '../../../src/tensor/read-write.ts'
import { windowOutput } from '../../../src/tensor/shape.ts'
import type { Tensor } from '../../../src/tensor/tensor.ts'
import { expectClose } from '../../../src/testing/close.ts'
import { uniform } from '../../../src/testing/gradcheck.ts'
import { openTestGpu } from '../../helpers/gpu.ts'

const gpu = await openTestGpu()
gpu.family = 'tile'

const sizesOf = (H: number, C: number, R: number, STRIDE: number, GROUPS: number): GroupedSizes => {
  const PAD = R >> 1
  const [P, Q] = [windowOutput(H, R, STRIDE, PAD), windowOutput(H + 2, R, STRIDE, PAD)]
  return { N: 2, H, W: H + 2, C, P, Q, O: C, R, S: R, STRIDE, PAD, DILATION: 1, GROUPS, dtype: 'f16' }
}

/** Constants that a block may have in place of the default's of a small image, the first those of a large one. */
const CHANGES: Readonly<Record<ConvolutionPass, readonly Partial<Block>[]>> = {
  forward: [
    { DOWN: 4, ACROSS: 2 },
    { EACH: 1, LANES: 3, DOWN: 2, ACROSS: 3, TURNS: 1 },
  ],
  'backward-input': [
    { DOWN: 2, ACROSS: 2 },
    { EACH: 1, LANES: 3, ACROSS: 3, TURNS: 1 },
  ],
  'backward-weight': [{ EACH: 1, LANES: 3, DOWN: 3, ACROSS: 3, TAPS: 1, THREADS: 16 }],
}

const cases = [
  [9, 16, 3, 1, 16],
  [9, 16, 3, 2, 16],
  [9, 16, 3, 1, 4],
] as const

describe.each(cases)('%i px, %i channels, filters of %i px, stride %i', (...given) => {
  const sizes = sizesOf(...given)
  const { N, H, W, P, Q, C, R, S, STRIDE, GROUPS, PAD } = sizes
  const shapes = { x: [N, H, W, C], dy: [N, P, Q, C], weight: [C, R, S, C / GROUPS] } as const
  const of = (name: keyof typeof shapes, seed: number) => tensor(uniform(shapes[name], seed).data, shapes[name], 'f16')

  test.each(['forward', 'backward-input', 'backward-weight'] as const)('%s with other constants', async (pass) => {
    const depthwise = GROUPS === C
    if (!depthwise && pass === 'backward-input' && STRIDE > 1) return
    const [x, weight, dy] = [of('x', 1), of('weight', 2), of('dy', 3)]
    const usual = (depthwise ? depthwiseBlock : groupedBlock)(pass, sizes)
    const run = (block: Block): Tensor => {
      if (pass === 'backward-weight') {
        const dw = empty({ shape: shapes.weight, dtype: 'f32' })
        return depthwise ? blockBackwardWeight(sizes, x, dy, block) : blocksToWeight(sizes, x, dy, dw, block)
      }
      const made = empty({ shape: pass === 'forward' ? shapes.dy : shapes.x, dtype: 'f16' })
      if (!depthwise && pass === 'forward') slideBlocks(sizes, sizes, x, weight, made, block)
      else if (!depthwise) {
        const own = { H: P, W: Q, C, P: H, Q: W, O: C, PAD: R - 1 - PAD, BACKWARD: 1 }
        slideBlocks(sizes, own, dy, weight, made, block)
      } else if (pass === 'forward') blockForward(sizes, { x, weight, bias: undefined, y: made }, block)
      else blockBackwardInput(sizes, dy, weight, made, block)
      return made
    }
    const numbers = async (made: Tensor) => {
      const values = await read(made)
      if (pass !== 'backward-weight') return values
      const [slices] = made.shape
      const each = values.length / slices
      return Float64Array.from({ length: each }, (_, i) => {
        let sum = 0
        for (let k = 0; k < slices; k++) sum += values[k * each + i]
        return sum
      })
    }
    const want = await numbers(run(usual))
    for (const change of CHANGES[pass]) {
      const block = { ...usual, ...change }
      const TURNS = block.TURNS === 1 ? 1 : turnsOf(pass, sizes, block)
      const got = await numbers(run({ ...block, TURNS }))
      expectClose(got, want, pass === 'backward-weight' ? 'f32' : 'f16', {
        name: JSON.stringify(change),
        shape: [got.length],
      })
    }
  })
})

test('lanes leave none idle where they can', () => {
  expect([3, 8, 9, 12, 18, 11, 17].map((columns) => lanesOf(columns))).toEqual([3, 8, 5, 6, 6, 6, 6])
})

test('more blocks per thread rather than more slices', () => {
  const sizes = { ...sizesOf(32, 32, 3, 1, 32), N: 256 }
  const block = { ...depthwiseBlock('backward-weight', sizes), DOWN: 8, ACROSS: 2, LANES: 8, THREADS: 32 }
  expect(rowsOf(block)).toBe(4)
  const { RUN, SLICES } = slicesOf(sizes, block, 100)
  expect(SLICES).toBeLessThanOrEqual(100)
  expect(RUN * SLICES * 4).toBeGreaterThanOrEqual((256 * 32 * 34) / 16)
})
