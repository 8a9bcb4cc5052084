import { describe, expect, test } from 'vitest'
import { DataError, OptionError } from '../../src/base/errors.ts'
import { adam } from '../../src/optim/adam.ts'
import { lookahead, ranger } from '../../src/optim/lookahead.ts'
import { LossScaler } from '../../src/optim/loss-scaler.ts'
import type { Optimizer } from '../../src/optim/optimizer.ts'
import { sgd } from '../../src/optim/sgd.ts'
import { read } from '../../src/tensor/read-write.ts'
import { expectClose } from '../../src/testing/close.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { bits, hypersFor, ones, parameter, parameterGroups, roundedBits, setGradient, valuesOf } from './parameters.ts'
import { ReferenceRAdam } from './reference-radam.ts'

const gpu = await openTestGpu()
const f32 = new LossScaler({ mixed: false })

test.each([false, true])('ranger against the reference, bad steps left out, mixed precision %s', async (mixed) => {
  const groups = parameterGroups()
  const all = groups.flat()
  const scaler = new LossScaler({ mixed })
  const optimizer = ranger()(groups)
  if (mixed) optimizer.keepF16Copies()
  expect(optimizer.hyperparameters[1]).toEqual({ lr: 1e-3, momentum: 0.95, weightDecay: 0.01 })
  const references = all.map(({ count }, i) => new ReferenceRAdam(hashUniform(count, i + 1, -1, 1), { eps: 1e-6 }))
  const slow = references.map(({ p }) => p.slice())
  const hyperparameters = [
    { lr: 0.02, momentum: 0.95, weightDecay: 0.1 },
    { lr: 0.03, momentum: 0.9, weightDecay: 0.5 },
  ]
  optimizer.setHyperparameters(hyperparameters)
  let scale = mixed ? 65536 : 1
  let good = 0
  for (let step = 0; step < 16; step++) {
    // The first step is bad, and one in the middle, and the sixth good one is seen to count.
    const bad = mixed && (step === 0 || step === 5 || step === 7)
    for (const [i, each] of all.entries()) {
      const gradient = hashUniform(each.count, 100 * step + i, -1, 1)
      setGradient(
        each,
        gradient.map((g) => g * scale),
      )
      if (bad && i === 3) setGradient(each, gradient.fill(Infinity))
      if (!bad) references[i].step(gradient, hypersFor(each, hyperparameters[i < 2 ? 0 : 1]))
    }
    optimizer.step(scaler)
    optimizer.zeroGradients()
    if (bad) scale /= 2
    else if (++good % 6 === 0) {
      for (const [i, { p }] of references.entries()) {
        for (let k = 0; k < p.length; k++) {
          slow[i][k] += 0.5 * (p[k] - slow[i][k])
          p[k] = slow[i][k]
        }
      }
    }
    if (good === 6 || step === 15) {
      for (const [i, each] of all.entries()) {
        const values = await read(each.value)
        expectClose(values, references[i].p, 'f32', { name: `${each.path} after ${good} steps`, shape: each.shape })
        if (mixed) expect(bits(await read(each.f16Copy!))).toEqual(roundedBits(values))
      }
    }
  }
  const state = await optimizer.state()
  expect([...state.get('lookahead.count')!.data]).toEqual([mixed ? 13 : 16])
  expectClose(state.get('c.slow_weights')!.data, slow[2], 'f32')
})

test('meets every k steps, alpha of the way', async () => {
  const p = parameter('p', [5])
  const optimizer = lookahead(sgd(), { k: 3, alpha: 0.25 })([[p]])
  optimizer.setHyperparameters([{ lr: 1 }])
  const [start] = await valuesOf([p])
  const moved: number[] = []
  for (let step = 0; step < 6; step++) {
    setGradient(p, ones(5))
    optimizer.step(f32)
    moved.push((await valuesOf([p]))[0][2] - start[2])
  }
  expectClose(moved, [-1, -2, -0.75, -1.75, -2.75, -1.5], 'f32')
})

test('a bad step moves nothing, also where the weights have just met and others were loaded', async () => {
  const p = parameter('p', [3])
  const scaler = new LossScaler({ mixed: true })
  const optimizer = lookahead(sgd(), { k: 2 })([[p]])
  for (const bad of [false, false, true]) {
    if (bad) p.write([7, 8, 9])
    setGradient(p, ones(3).fill(bad ? NaN : 65536))
    optimizer.step(scaler)
  }
  expect([...(await read(p.value))]).toEqual([7, 8, 9])
})

describe('around any optimizer', () => {
  const factory = lookahead(adam(), { k: 2 })

  const run = async (disturb: (optimizer: Optimizer) => Optimizer | Promise<Optimizer>, at = 3) => {
    const all = [parameter('a', [3, 3, 3, 5]), parameter('b', [7], 'bias')]
    let optimizer = factory([all])
    for (let step = 0; step < 6; step++) {
      if (step === at) optimizer = await disturb(optimizer)
      for (const each of all) setGradient(each, hashUniform(each.count, step, -1, 1))
      optimizer.step(f32)
    }
    return (await valuesOf(all)).map(bits)
  }

  // After three steps the slow weights are those of the second, before the first there are none.
  test.each([0, 3])('state after %i steps is restored, also in a new optimizer', async (at) => {
    const undisturbed = await run((optimizer) => optimizer)
    const restored = await run(async (optimizer) => {
      const state = await optimizer.state()
      const again = factory(optimizer.groups)
      again.loadState(state)
      optimizer.close()
      return again
    }, at)
    expect(restored).toEqual(undisturbed)
  })

  test('clearState begins again, from the weights of that time', async () => {
    const cleared = await run((optimizer) => {
      optimizer.clearState()
      return optimizer
    })
    const renewed = await run((optimizer) => factory(optimizer.groups))
    expect(cleared).toEqual(renewed)
    expect(cleared).not.toEqual(await run((optimizer) => optimizer))
  })

  test('where others are loaded, one around another begins anew with them as well', async () => {
    const p = parameter('p', [3])
    const optimizer = lookahead(lookahead(sgd(), { k: 2, alpha: 0 }), { k: 5 })([[p]])
    const step = () => {
      setGradient(p, ones(3))
      optimizer.step(f32)
    }
    step()
    p.write([7, 8, 9])
    optimizer.forgetWeights!()
    step()
    step()
    // Two steps from there, after which the inner one is back where it began.
    expect([...(await read(p.value))]).toEqual([7, 8, 9])
  })

  test("passes on what is the other one's", async () => {
    const [a, b] = [parameter('a', [6]), parameter('b', [6])]
    const optimizer = factory([[a], [b]])
    optimizer.setHyperparameters([{ lr: 0.5 }, { momentum: 0.1 }])
    expect(optimizer.hyperparameters).toEqual([
      { lr: 0.5, momentum: 0.9, weightDecay: 0.01 },
      { lr: 1e-3, momentum: 0.1, weightDecay: 0.01 },
    ])
    expect(optimizer.groups).toEqual([[a], [b]])
    optimizer.freezeTo(1)
    expect([a, b].map(({ leaf }) => leaf.trainable)).toEqual([false, true])
    setGradient(b, ones(6))
    optimizer.zeroGradients()
    expect(b.leaf.hasGradient).toBe(false)
  })

  test('gives back what it holds', () => {
    const all = [parameter('a', [100, 128])]
    factory([all]).close()
    const used = gpu.buffers.usedBytes
    factory([all]).close()
    expect(gpu.buffers.usedBytes).toBe(used)
  })

  test('what is wrong is refused', async () => {
    expect(() => lookahead(adam(), { k: 0 })).toThrowErrorMatchingInlineSnapshot(`
      [OptionError: lookahead: k is out of range
        k  0
        expected a whole number from 1 on]
    `)
    expect(() => lookahead(adam(), { alpha: 2 })).toThrow(OptionError)
    const p = parameter('p', [6])
    const optimizer = factory([[p]])
    setGradient(p, ones(6))
    optimizer.step(f32)
    const state = new Map(await optimizer.state())
    for (const name of state.keys()) {
      const without = new Map(state)
      without.delete(name)
      expect(() => optimizer.loadState(without), name).toThrow(DataError)
    }
  })
})
