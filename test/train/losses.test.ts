import { describe, expect, test } from 'vitest'
import { OptionError } from '../../src/base/errors.ts'
import { noGrad } from '../../src/tensor/op.ts'
import { scope } from '../../src/tensor/scope.ts'
import { read, tensor } from '../../src/tensor/transfer.ts'
import { crossEntropy, labelSmoothing, type Loss } from '../../src/train/losses.ts'
import { LossReader } from '../../src/train/loss-reader.ts'
import { expectClose } from '../helpers/close.ts'
import { openTestGpu } from '../helpers/gpu.ts'

await openTestGpu()

/** What a loss says of logits by hand. */
async function values(loss: Loss) {
  const { each, mean } = scope(() => noGrad(() => {
    const outputs = tensor([2, 1, 0, -1, 0, 0, 0, 0], [2, 4])
    const targets = { a: tensor([0, 3], [2], 'u32') }
    return { each: loss.each(outputs, targets), mean: loss.mean(outputs, targets) }
  }))
  return { each: await read(each), mean: await read(mean) }
}

describe('losses of [2,1,0,-1] and [0,0,0,0] with labels 0 and 3', () => {
  test('cross-entropy', async () => {
    const { each, mean } = await values(crossEntropy())
    expectClose(each, [0.44018969, 1.38629436], 'f32')
    expectClose(mean, [(0.44018969 + 1.38629436) / 2], 'f32')
  })

  test('with smoothed labels', async () => {
    const { each, mean } = await values(labelSmoothing(0.1))
    expectClose(each, [0.5901897, 1.38629436], 'f32')
    expectClose(mean, [0.98824203], 'f32')
  })

  test('eps is a part of the target', () => {
    expect(() => labelSmoothing(1)).toThrow(OptionError)
    expect(() => labelSmoothing(-0.1)).toThrow('eps is out of range')
    expect([crossEntropy().name, labelSmoothing().name]).toEqual(['crossEntropy', 'labelSmoothing'])
  })
})

describe('reading losses late', () => {
  const record = (reader: LossReader, from: number, to: number) => {
    for (let i = from; i < to; i++) scope(() => reader.record(i, tensor([i / 2], [])))
  }

  test('all of them come, in order, however many are recorded between two looks', async () => {
    const reader = new LossReader()
    const known = []
    let clock = 0
    for (let step = 0; step < 100; step++) {
      record(reader, step, step + 1)
      known.push(...await reader.collect((clock += 1)))
    }
    known.push(...await reader.flush())
    expect(known).toEqual(Array.from({ length: 100 }, (_, i) => ({ iteration: i, loss: i / 2 })))
    expect(await reader.flush()).toEqual([])
    reader.close()
  })

  test('where steps take long each is read soon', async () => {
    const reader = new LossReader()
    let known = 0
    for (let step = 0; step < 10; step++) {
      record(reader, step, step + 1)
      known += (await reader.collect(step * 1000)).length
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    expect(known).toBeGreaterThan(5)
    reader.close()
  })
})
