import { afterEach, describe, expect, test } from 'vitest'
import { OptionError } from '../../src/base/errors.ts'
import { adam } from '../../src/optim/adam.ts'
import { BLOCK } from '../../src/optim/flat.ts'
import { ranger } from '../../src/optim/lookahead.ts'
import { LossScaler } from '../../src/optim/loss-scaler.ts'
import type { Optimizer, OptimizerFactory } from '../../src/optim/optimizer.ts'
import { radam } from '../../src/optim/radam.ts'
import { sgd } from '../../src/optim/sgd.ts'
import { item, read, upload } from '../../src/tensor/read-write.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { reportLimits } from '../helpers/limited.ts'
import { bits, ones, parameter, setGradient, valuesOf } from './parameters.ts'

const gpu = await openTestGpu()
const f32 = new LossScaler({ mixed: false })

afterEach(() => reportLimits(gpu.device))

test('the defaults are fastai’s', () => {
  const options = (factory: OptimizerFactory) => factory([[parameter('a', [1])]]).options
  const radams = { squareMomentum: 0.99, beta: 0, decoupleWeightDecay: true, decayNormAndBias: false }
  expect(options(adam())).toEqual({ squareMomentum: 0.99, epsilon: 1e-5, weightDecay: 0.01, decayNormAndBias: false })
  expect(options(sgd())).toEqual({ momentum: 0, weightDecay: 0, decoupleWeightDecay: true, decayNormAndBias: false })
  expect(options(radam())).toEqual({ ...radams, momentum: 0.9, epsilon: 1e-5, weightDecay: 0 })
  expect(options(ranger())).toEqual({
    k: 6,
    alpha: 0.5,
    around: { name: 'radam', options: { ...radams, momentum: 0.95, epsilon: 1e-6, weightDecay: 0.01 } },
  })
})

/** Tests of properties that do not depend on the formula of the optimizer. */
describe.each([
  ['sgd', sgd({ weightDecay: 0.1 })],
  ['sgd with momentum', sgd({ momentum: 0.9, weightDecay: 0.1 })],
  ['radam', radam({ weightDecay: 0.1 })],
])('%s', (_name, factory) => {
  /** Tensors that a step changes. */
  async function everything(optimizer: Optimizer): Promise<number[][]> {
    const parameters = optimizer.groups.flat()
    const tensors = parameters.flatMap(({ value, f16Copy }) => (f16Copy ? [value, f16Copy] : [value]))
    const data = await Promise.all(tensors.map((each) => read(each)))
    return [...data, ...[...(await optimizer.state()).values()].map((entry) => entry.data)].map(bits)
  }

  test.each([
    [Infinity, 0],
    [-Infinity, 100],
    [NaN, 389],
  ])('%s anywhere (at %i) changes nothing but the scale', async (bad, at) => {
    const [a, b] = [parameter('a', [3, 130]), parameter('b', [4], 'bias')]
    const optimizer = factory([[a, b]])
    const scaler = new LossScaler({ mixed: true })
    optimizer.keepF16Copies()
    optimizer.setHyperparameters([{ lr: 0.1 }])
    // Of the loss times 65536.
    const good = (seed: number) => [a, b].forEach((each) => setGradient(each, hashUniform(each.count, seed, -1e5, 1e5)))
    good(1)
    optimizer.step(scaler)
    const before = await everything(optimizer)
    const gradient = hashUniform(a.count, 2, -1e5, 1e5)
    gradient[at] = bad
    setGradient(a, gradient)
    optimizer.step(scaler)
    expect(await item(scaler.scale)).toBe(32768)
    expect(await everything(optimizer)).toEqual(before)
    good(3)
    optimizer.step(scaler)
    const after = await everything(optimizer)
    for (const [i, data] of after.entries()) expect(data, `number ${i}`).not.toEqual(before[i])
  })

  test('a parameter stands still until it has a gradient, then goes on with zeros', async () => {
    const [a, b] = [parameter('a', [6]), parameter('b', [6], 'weight', 2)]
    const optimizer = factory([[a, b]])
    const start = (await valuesOf([a]))[0]
    upload(a.leaf.gradient!, ones(6))
    setGradient(b, ones(6))
    optimizer.step(f32)
    optimizer.zeroGradients()
    expect((await valuesOf([a]))[0]).toEqual(start)
    setGradient(a, ones(6))
    optimizer.step(f32)
    optimizer.zeroGradients()
    // Two optimizers with the same history go on alike: one has no gradient, one has zeros.
    const c = parameter('c', [6])
    const other = factory([[c]])
    setGradient(c, ones(6))
    other.step(f32)
    for (let step = 0; step < 2; step++) {
      optimizer.step(f32)
      setGradient(c, new Float32Array(6))
      other.step(f32)
    }
    const [values, zeros] = await valuesOf([a, c])
    expect(bits(values)).toEqual(bits(zeros))
    expect(values).not.toEqual(start)
  })

  test('gradients that no step has used are forgotten as well', async () => {
    const [a, b] = [parameter('a', [6]), parameter('b', [6])]
    const optimizer = factory([[a, b]])
    for (const each of [a, b]) setGradient(each, ones(6))
    optimizer.step(f32)
    optimizer.zeroGradients()
    optimizer.step(f32)
    const [before] = await valuesOf([b])
    setGradient(b, ones(6).fill(1000))
    // Twice, as by the end of one fit and the beginning of the next.
    optimizer.zeroGradients()
    optimizer.zeroGradients()
    setGradient(a, new Float32Array(6))
    optimizer.step(f32)
    const [likeA, likeB] = await valuesOf([a, b])
    expect(bits(likeB)).toEqual(bits(likeA))
    expect(likeB).not.toEqual(before)
  })

  test('a frozen one stands still, whatever its gradient was', async () => {
    const [a, norm, b] = [parameter('a', [6]), parameter('n', [3], 'norm'), parameter('b', [6])]
    const optimizer = factory([[a, norm], [b]])
    const scaler = new LossScaler({ mixed: true })
    for (const each of [a, norm, b]) setGradient(each, ones(each.count).fill(NaN))
    optimizer.step(scaler)
    optimizer.zeroGradients()
    optimizer.freezeTo(-1)
    expect([a, norm, b].map(({ leaf }) => leaf.trainable)).toEqual([false, true, true])
    const before = await valuesOf([a, norm, b])
    for (const each of [norm, b]) setGradient(each, ones(each.count))
    optimizer.step(scaler)
    const after = await valuesOf([a, norm, b])
    expect(after.map((data, i) => bits(data).join() === bits(before[i]).join())).toEqual([true, false, false])
    expect(await scaler.state()).toEqual({ scale: 32768, goodSteps: 1 })
    expect(() => optimizer.freezeTo(3)).toThrow(OptionError)
  })

  test('state is forgotten by clearState, and restored by loadState', async () => {
    const run = async (disturb: (optimizer: Optimizer) => void | Promise<void>) => {
      const [a, b] = [parameter('a', [3, 3, 3, 5]), parameter('b', [7], 'bias')]
      const optimizer = factory([[a, b]])
      optimizer.setHyperparameters([{ lr: 0.1 }])
      const step = (seed: number) => {
        for (const each of [a, b]) setGradient(each, hashUniform(each.count, seed, -1, 1))
        optimizer.step(f32)
      }
      step(1)
      step(2)
      await disturb(optimizer)
      step(3)
      return { values: bits(await read(a.value)), keeps: (await optimizer.state()).size > 0 }
    }
    const undisturbed = await run(() => {})
    const cleared = await run((optimizer) => optimizer.clearState())
    if (undisturbed.keeps) expect(cleared).not.toEqual(undisturbed)
    else expect(cleared).toEqual(undisturbed)
    const restored = await run(async (optimizer) => {
      const state = await optimizer.state()
      optimizer.clearState()
      for (const { data } of (await optimizer.state()).values()) {
        expect([...data]).toEqual([...new Float32Array(data.length)])
      }
      optimizer.loadState(state)
    })
    expect(restored).toEqual(undisturbed)
  })

  test('parameters that one binding cannot hold change as those that it can', async () => {
    const shapes = [[3, BLOCK], [BLOCK + 72], [BLOCK], [4, BLOCK], [1]]
    const run = async () => {
      const all = shapes.map((shape, i) => parameter(String(i), shape, 'weight', i))
      const optimizer = factory([all.slice(0, 2), all.slice(2)])
      optimizer.setHyperparameters([
        { lr: 0.1, weightDecay: 0.1 },
        { lr: 0.2, weightDecay: 0.2 },
      ])
      for (const [i, each] of all.entries()) setGradient(each, hashUniform(each.count, 70 + i, -1, 1))
      optimizer.step(f32)
      const buffers = new Set(all.map(({ value }) => value.storage.buffer.id)).size
      return { buffers, all: await everything(optimizer) }
    }
    const one = await run()
    reportLimits(gpu.device, { maxStorageBufferBindingSize: 5 * BLOCK * 4 + 100 })
    const several = await run()
    expect([one.buffers, several.buffers]).toEqual([1, 3])
    expect(several.all).toEqual(one.all)
  })

  test('gives back what it holds, and not the parameters', async () => {
    const all = [parameter('a', [100, 128]), parameter('b', [50, 128])]
    factory([all]).close()
    const used = gpu.buffers.usedBytes
    factory([all]).close()
    expect(gpu.buffers.usedBytes).toBe(used)
    expect(await read(all[0].value)).toEqual(hashUniform(12800, 1, -1, 1))
  })

  test('what is wrong is refused', async () => {
    const a = parameter('a', [3])
    const optimizer = factory([[a]])
    expect(() => optimizer.setHyperparameters([])).toThrow(OptionError)
    expect(() => optimizer.setHyperparameters([{ lr: -1 }])).toThrowErrorMatchingInlineSnapshot(`
      [OptionError: setHyperparameters: lr is out of range
        lr  -1
        expected at least 0]
    `)
    const state = new Map(await optimizer.state())
    for (const name of state.keys()) {
      const without = new Map(state)
      without.delete(name)
      expect(() => optimizer.loadState(without)).toThrow(`${name}  missing`)
    }
    const one = { shape: [3], data: Float32Array.of(1, 2, 3) }
    expect(() => optimizer.loadState(new Map([...state, ['a.other', one]]))).toThrow(
      'of another kind, or of another model\n  entry  a.other',
    )
  })
})
