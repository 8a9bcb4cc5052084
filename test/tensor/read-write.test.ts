import { describe, expect, test } from 'vitest'
import { OptionError } from '../../src/base/errors.ts'
import { filled } from '../../src/nn/init.ts'
import { Parameter } from '../../src/nn/parameter.ts'
import { relu } from '../../src/ops/relu.ts'
import { allocateWithin } from '../../src/tensor/scope.ts'
import { item, read, tensor, upload, zeros } from '../../src/tensor/read-write.ts'
import { openTestGpu } from '../helpers/gpu.ts'

await openTestGpu()

describe('transfer', () => {
  test.each([[[]], [[1]], [[3, 5]], [[2, 3, 7, 10]], [[4, 4]]])(
    '%o comes back as it went, of every type',
    async (shape) => {
      const data = Array.from({ length: shape.reduce((product, axis) => product * axis, 1) }, (_, i) => i)
      for (const dtype of ['f32', 'f16', 'u32'] as const) {
        expect([...(await read(tensor(data, shape, dtype)))]).toEqual(data)
      }
      expect([...(await read(zeros(shape, 'f16')))]).toEqual(data.map(() => 0))
    },
  )

  test('writes come after the launches recorded before them', async () => {
    const x = tensor([1, 2, 3, 4], [4])
    const y = relu(x)
    upload(x, [5, 6, 7, 8])
    expect([...(await read(y))]).toEqual([1, 2, 3, 4])
    expect([...(await read(x))]).toEqual([5, 6, 7, 8])
  })

  test('parts of a tensor are written and read on their own', async () => {
    const whole = zeros([128])
    const part = allocateWithin(whole, { shape: [3], dtype: 'f32' }, 256)
    upload(part, [1, 2, 3])
    expect([...(await read(relu(part)))]).toEqual([1, 2, 3])
    expect([...(await read(whole)).subarray(63, 68)]).toEqual([0, 1, 2, 3, 0])
  })

  test('counts what it is given', async () => {
    expect(() => tensor([1, 2], [3])).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: upload: the number of values differs from the number of elements
        tensor   [3] f32
        numbers  2]
    `)
    expect(() => zeros([3, 0])).toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: tensor: a shape must consist of positive integers
        shape  [3,0]]
    `)
    expect(() => tensor([1, 2], [2], 'f64' as 'f32')).toThrowErrorMatchingInlineSnapshot(`
      [DtypeError: tensor: there is no such storage type
        dtype  f64
        expected f32, f16, u32]
    `)
    expect(() => tensor([0, -1], [2], 'u32')).toThrowErrorMatchingInlineSnapshot(
      `
      [OptionError: tensor: -1 is not a number of u32
        expected whole numbers from 0 to 2^32 − 1]
    `,
    )
    expect(() => tensor(new Float32Array([0.5]), [1], 'u32')).toThrow(OptionError)
    expect(() => tensor(new BigInt64Array(2) as never, [2])).toThrow('expected a list of numbers')
    await expect(item(zeros([2]))).rejects.toThrowErrorMatchingInlineSnapshot(`
      [ShapeError: item: the tensor must have one element
        tensor  [2] f32
        Fix: read(tensor) returns all of them]
    `)
  })
})

test('what is no tensor is not read', async () => {
  const parameter = new Parameter('scale', [1], 'weight', filled([1], 1))
  await expect(read(parameter as never)).rejects.toThrowErrorMatchingInlineSnapshot(`
    [OptionError: read: source is not of the right kind
      source  of class Parameter
      expected a tensor, such as tensor(data, shape)]
  `)
  await expect(item(Promise.resolve(parameter.value) as never)).rejects.toThrow('Fix: await it')
})
