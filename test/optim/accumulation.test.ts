import { describe, expect, test } from 'vitest'
import { filled } from '../../src/nn/init.ts'
import { Parameter } from '../../src/nn/parameter.ts'
import { linear } from '../../src/ops/linear.ts'
import { LossScaler } from '../../src/optim/loss-scaler.ts'
import { sgd } from '../../src/optim/sgd.ts'
import { backward } from '../../src/tensor/backward.ts'
import { scope } from '../../src/tensor/scope.ts'
import { read, tensor } from '../../src/tensor/read-write.ts'
import { expectClose } from '../../src/testing/close.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { uniform } from '../../src/testing/gradcheck.ts'
import { parameter, valuesOf } from './parameters.ts'

const gpu = await openTestGpu()
const f32 = new LossScaler({ mixed: false })

const [ROWS, COLUMNS, OUTPUTS] = [5, 7, 3]
const inputs = (seed: number) => uniform([ROWS, COLUMNS], seed).data
const cotangents = (seed: number) => uniform([ROWS, OUTPUTS], 50 + seed).data

/** Σ dy·y's gradients for the batches of those seeds, one pass each. */
function pass(weight: Parameter, bias: Parameter, seeds: readonly number[], dtype: 'f32' | 'f16'): void {
  for (const seed of seeds) {
    scope(() => {
      const x = tensor(inputs(seed), [ROWS, COLUMNS], dtype)
      const y = linear(x, weight.as(x.dtype), bias.value)
      backward(y, tensor(cotangents(seed), [ROWS, OUTPUTS], dtype))
    })
  }
}

/** dw[o,c] = Σ dy[n,o]·x[n,c] and db[o] = Σ dy[n,o], over all batches of those seeds, in f64. */
function expected(seeds: readonly number[]): { dw: Float64Array; db: Float64Array } {
  const [dw, db] = [new Float64Array(OUTPUTS * COLUMNS), new Float64Array(OUTPUTS)]
  for (const seed of seeds) {
    const [x, dy] = [inputs(seed), cotangents(seed)]
    for (let n = 0; n < ROWS; n++) {
      for (let o = 0; o < OUTPUTS; o++) {
        db[o] += dy[n * OUTPUTS + o]
        for (let c = 0; c < COLUMNS; c++) dw[o * COLUMNS + c] += dy[n * OUTPUTS + o] * x[n * COLUMNS + c]
      }
    }
  }
  return { dw, db }
}

async function expectGradients(weight: Parameter, bias: Parameter, seeds: readonly number[]): Promise<void> {
  const { dw, db } = expected(seeds)
  expectClose(await read(weight.leaf.gradient!), dw, 'f32', { name: `dw of ${seeds}` })
  expectClose(await read(bias.leaf.gradient!), db, 'f32', { name: `db of ${seeds}` })
}

const layer = () => [parameter('w', [OUTPUTS, COLUMNS]), parameter('b', [OUTPUTS], 'bias')] as const

describe.each(['f32', 'f16'] as const)('%s', (dtype) => {
  test.each([
    ['alone', false],
    ["in an optimizer's buffers", true],
  ])('gradients add up until they are zeroed, %s', async (_where, placed) => {
    const [weight, bias] = layer()
    const optimizer = placed ? sgd()([[weight, bias]]) : undefined
    if (dtype === 'f16') optimizer?.keepF16Copies()
    pass(weight, bias, [1], dtype)
    await expectGradients(weight, bias, [1])
    pass(weight, bias, [2, 3], dtype)
    await expectGradients(weight, bias, [1, 2, 3])
    if (optimizer) optimizer.zeroGradients()
    else weight.leaf.hasGradient = bias.leaf.hasGradient = false
    pass(weight, bias, [4], dtype)
    await expectGradients(weight, bias, [4])
  })
})

test('a step after several passes is that of their sum, and the next begins anew', async () => {
  const [weight, bias] = layer()
  const optimizer = sgd()([[weight, bias]])
  optimizer.setHyperparameters([{ lr: 0.5 }])
  for (const seeds of [
    [1, 2, 3],
    [4, 5],
  ]) {
    const before = await valuesOf([weight, bias])
    pass(weight, bias, seeds, 'f32')
    optimizer.step(f32)
    optimizer.zeroGradients()
    const { dw, db } = expected(seeds)
    const [w, b] = await valuesOf([weight, bias])
    expectClose(
      w,
      before[0].map((value, i) => value - 0.5 * dw[i]),
      'f32',
    )
    expectClose(
      b,
      before[1].map((value, i) => value - 0.5 * db[i]),
      'f32',
    )
  }
})

test('a parameter used twice in a pass, over two passes', async () => {
  // y = w·w·x: dy/dw = 2·w·x.
  const w = new Parameter('w', [1, 1], 'weight', filled([1, 1], 3))
  sgd()([[w]])
  for (const x of [5, 7]) {
    scope(() => backward(linear(linear(tensor([x], [1, 1]), w.value), w.value), tensor([1], [1, 1])))
  }
  expect([...(await read(w.leaf.gradient!))]).toEqual([2 * 3 * 5 + 2 * 3 * 7])
})

test('one overflow among several passes makes the whole step a bad one', async () => {
  const [weight, bias] = layer()
  const optimizer = sgd()([[weight, bias]])
  const scaler = new LossScaler({ mixed: true })
  const before = await valuesOf([weight, bias])
  const overflow = () =>
    scope(() => {
      const x = tensor(inputs(1), [ROWS, COLUMNS], 'f16')
      backward(
        linear(x, weight.as(x.dtype), bias.value),
        tensor(new Float32Array(ROWS * OUTPUTS).fill(Infinity), [ROWS, OUTPUTS], 'f16'),
      )
    })
  overflow()
  pass(weight, bias, [1, 2], 'f16')
  optimizer.step(scaler)
  optimizer.zeroGradients()
  expect(await scaler.state()).toEqual({ scale: 32768, goodSteps: 0 })
  expect(await valuesOf([weight, bias])).toEqual(before)
  pass(weight, bias, [3], 'f16')
  await expectGradients(weight, bias, [3])
})

test('passes that add up leave nothing behind', () => {
  const [weight, bias] = layer()
  sgd()([[weight, bias]])
  pass(weight, bias, [1, 2], 'f32')
  const { usedBytes } = gpu.buffers
  pass(weight, bias, [3, 4, 5], 'f32')
  expect(gpu.buffers.usedBytes).toBe(usedBytes)
})
