import { afterEach, describe, expect, test } from 'vitest'
import { computesBlocks, depthwiseBlock, numbersOf } from '../../../src/ops/convolution/depthwise-block.ts'
import { groupedBlock, type GroupedSizes } from '../../../src/ops/convolution/grouped.ts'
import { conv2d } from '../../../src/ops/conv2d.ts'
import { backward } from '../../../src/tensor/backward.ts'
import { read, tensor } from '../../../src/tensor/read-write.ts'
import { scope } from '../../../src/tensor/scope.ts'
import { windowOutput, type Shape } from '../../../src/tensor/shape.ts'
import type { Tensor } from '../../../src/tensor/tensor.ts'
import { expectClose } from '../../../src/testing/close.ts'
import { uniform } from '../../../src/testing/gradcheck.ts'
import { openTestGpu } from '../../helpers/gpu.ts'

const gpu = await openTestGpu()
const own = { vendor: gpu.vendor, architecture: gpu.architecture, family: gpu.family }

/** Makes kernels take the GPU for one of a vendor, and maybe architecture, whose threads have few registers (Intel) or many. */
function pretend(name: string): void {
  const [vendor, architecture = ''] = name.split(' ')
  Object.assign(gpu, { vendor, architecture, family: 'tile' })
}

afterEach(() => Object.assign(gpu, own))

/** Pixels, channels, side of the filters, stride, dilation, groups. */
const CONVOLUTIONS = [
  [9, 16, 3, 1, 1, 16],
  [9, 12, 3, 2, 1, 12],
  [18, 8, 7, 1, 1, 8],
  [12, 8, 3, 2, 4, 8],
  [9, 16, 3, 1, 1, 4],
] as const

describe('a thread with few registers computes what others do', () => {
  test.each(CONVOLUTIONS)(
    '%i px, %i channels, filters of %i px, stride %i, dilation %i, %i groups',
    async (...sizes) => {
      const [H, C, R, stride, dilation, groups] = sizes
      const padding = (R >> 1) * dilation
      const P = windowOutput(H, dilation * (R - 1) + 1, stride, padding)
      const f = ([x, weight]: readonly Tensor[]) => conv2d(x, weight, { stride, padding, dilation, groups })
      await expectSame(f, [
        [2, H, H, C],
        [C, R, R, C / groups],
        [2, P, P, C],
      ])
    },
  )
})

/** Expects the same result and gradients on a GPU of Intel, by kernels of its own. The last shape is that of the result. */
async function expectSame(f: (inputs: readonly Tensor[]) => Tensor, shapes: readonly Shape[]): Promise<void> {
  const run = async () => {
    const inputs = shapes.map((shape, i) => tensor(uniform(shape, i + 1).data, shape))
    const dy = inputs.pop()!
    for (const one of inputs) one.leaf = { trainable: true, gradient: undefined, hasGradient: false }
    const y = scope(() => {
      const made = f(inputs)
      backward(made, dy)
      return made
    })
    return Promise.all([y, ...inputs.map(({ leaf }) => leaf!.gradient!)].map((one) => read(one)))
  }
  const want = await run()
  const compiled = gpu.pipelines.count
  pretend('intel')
  const got = await run()
  expect(gpu.pipelines.count).toBeGreaterThan(compiled)
  got.forEach((numbers, i) => expectClose(numbers, want[i], 'f32', { name: `result ${i}` }))
}

describe('what a thread keeps of a block', () => {
  /** Numbers at most beside addresses, by vendor and architecture. Of 52 to 72 Intel's compiler writes up to 16 to memory: there is no smaller block. */
  const MOST = { intel: 72, arm: 72, apple: 108, 'qualcomm adreno-6xx': 108, 'qualcomm adreno-7xx': 235, nvidia: 235 }

  test.each([3, 5, 7].flatMap((R) => [1, 2].map((STRIDE) => [R, STRIDE] as const)))(
    'depthwise, filters of %i px, stride %i',
    (R, STRIDE) => {
      const sizes = depthwiseSizes(R, STRIDE)
      const kept = Object.keys(MOST).map((vendor) => {
        pretend(vendor)
        const passes = ['forward', 'backward-input', 'backward-weight'] as const
        return Math.max(...passes.map((pass) => numbersOf(pass, sizes, depthwiseBlock(pass, sizes))))
      })
      Object.values(MOST).forEach((most, i) => expect(kept[i]).toBeLessThanOrEqual(most))
      // Where there is room it is used.
      expect(kept.at(-1)).toBeGreaterThan(MOST.intel)
      expect(kept.at(-2)).toBe(kept.at(-1))
    },
  )

  test.each([
    ['intel', true, true],
    ['apple', false, false],
    ['qualcomm adreno-6xx', false, false],
    ['nvidia', true, false],
  ] as const)('the gradient of 7×7 filters on %s, of small and large images, by blocks: %s, %s', (name, ...blocks) => {
    pretend(name)
    const sizes = depthwiseSizes(7, 1)
    expect([{ ...sizes, P: 8, Q: 8 }, sizes].map((one) => computesBlocks(one, 'backward-weight'))).toEqual(blocks)
  })

  test('grouped', () => {
    const sizes = { ...depthwiseSizes(3, 1), GROUPS: 24 }
    const shapes = (vendor: string) => {
      pretend(vendor)
      const [y, dw] = (['forward', 'backward-weight'] as const).map((pass) => groupedBlock(pass, sizes))
      return { pixels: y.DOWN * y.ACROSS, filters: dw.TAPS, across: dw.ACROSS }
    }
    for (const vendor of ['intel', 'apple', 'qualcomm adreno-6xx']) {
      expect(shapes(vendor)).toEqual({ pixels: 2, filters: 1, across: 1 })
    }
    for (const vendor of ['nvidia', 'qualcomm adreno-7xx']) {
      expect(shapes(vendor)).toEqual({ pixels: 8, filters: 3, across: 2 })
    }
  })

  function depthwiseSizes(R: number, STRIDE: number): GroupedSizes {
    const [H, PAD] = [32, R >> 1]
    const P = windowOutput(H, R, STRIDE, PAD)
    return { N: 64, H, W: H, C: 96, P, Q: P, O: 96, R, S: R, STRIDE, PAD, DILATION: 1, GROUPS: 96, dtype: 'f16' }
  }
})
