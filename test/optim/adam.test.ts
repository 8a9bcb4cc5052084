import { describe, expect, test } from 'vitest'
import { OptionError } from '../../src/base/errors.ts'
import { filled } from '../../src/nn/init.ts'
import { Parameter } from '../../src/nn/parameter.ts'
import { adam } from '../../src/optim/adam.ts'
import { LossScaler } from '../../src/optim/loss-scaler.ts'
import type { Hyperparameters } from '../../src/optim/optimizer.ts'
import { item, read, upload } from '../../src/tensor/read-write.ts'
import { expectClose } from '../../src/testing/close.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { bits, hypersFor, ones, parameter, parameterGroups, roundedBits, setGradient } from './parameters.ts'
import { ReferenceAdam } from './reference.ts'

const gpu = await openTestGpu()
const f32 = new LossScaler({ mixed: false })

test('three steps as fastai takes them', async () => {
  const p = new Parameter('p', [1], 'weight', filled([1], 1))
  const optimizer = adam()([[p]])
  const steps: [number, number, number, number, number, number][] = [
    [0.5, 1.2e-4, 0.95, 0.9998788024, 0.025, 0.0025],
    [-0.25, 2e-4, 0.94, 0.99983980018, 0.0085, 0.0031],
    [0.1, 3e-4, 0.93, 0.999766832566, 0.014905, 0.003169],
  ]
  for (const [i, [gradient, lr, momentum, value, mean, square]] of steps.entries()) {
    optimizer.setHyperparameters([{ lr, momentum }])
    setGradient(p, [gradient])
    optimizer.step(f32)
    // f32 next to 1 has steps of 6e-8.
    expect(Math.abs((await item(p.value)) - value)).toBeLessThan(1.2e-7)
    const state = await optimizer.state()
    expectClose(state.get('p.grad_avg')!.data, [mean], 'f32')
    expectClose(state.get('p.sqr_avg')!.data, [square], 'f32')
    expect([...state.get('p.step')!.data]).toEqual([i + 1])
  }
})

test.each([false, true])('groups, kinds, odd sizes against the reference, mixed precision %s', async (mixed) => {
  const groups = parameterGroups()
  const all = groups.flat()
  const scaler = new LossScaler({ mixed })
  const scale = mixed ? 65536 : 1
  const optimizer = adam({ squareMomentum: 0.98, eps: 1e-6 })(groups)
  if (mixed) optimizer.keepF16Copies()
  const references = all.map((_, i) => new ReferenceAdam(hashUniform(all[i].count, i + 1, -1, 1)))
  for (let step = 0; step < 5; step++) {
    const hyperparameters: Hyperparameters[] = [
      { lr: 0.01 * (step + 1), momentum: 0.95 - 0.02 * step, weightDecay: 0.1 },
      { lr: 0.03, momentum: 0.9, weightDecay: 0.5 },
    ]
    optimizer.setHyperparameters(hyperparameters)
    for (const [i, each] of all.entries()) {
      const gradient = hashUniform(each.count, 100 * step + i, -1, 1)
      setGradient(
        each,
        gradient.map((g) => g * scale),
      )
      references[i].step(gradient, hypersFor(each, hyperparameters[i < 2 ? 0 : 1]), 0.98, 1e-6)
    }
    optimizer.step(scaler)
    optimizer.zeroGradients()
  }
  const state = await optimizer.state()
  for (const [i, each] of all.entries()) {
    const values = await read(each.value)
    expectClose(state.get(`${each.path}.grad_avg`)!.data, references[i].m, 'f32')
    expectClose(state.get(`${each.path}.sqr_avg`)!.data, references[i].v, 'f32')
    expectClose(values, references[i].p, 'f32', { name: each.path, shape: each.shape })
    if (mixed) expect(bits(await read(each.f16Copy!))).toEqual(roundedBits(values))
  }
})

test.each([0.9, 0.99, 0.9999, 0.99999])('the bias corrections are exact, squareMomentum %s', async (squareMomentum) => {
  for (const t of [1, 2, 5, 10, 100, 1000, 10000, 100000]) {
    const p = parameter('p', [1])
    p.write([0])
    const optimizer = adam({ squareMomentum, eps: 1e-12 })([[p]])
    optimizer.setHyperparameters([{ lr: 1 }])
    const one = (value: number) => ({ shape: [1], data: Float32Array.of(value) })
    // The state after t - 1 steps with gradients of 1: a step has the length of lr.
    optimizer.loadState(
      new Map([
        ['p.step', one(t - 1)],
        ['p.grad_avg', one(1 - 0.9 ** (t - 1))],
        ['p.sqr_avg', one(1 - squareMomentum ** (t - 1))],
      ]),
    )
    setGradient(p, [1])
    optimizer.step(f32)
    expectClose(await read(p.value), [-1], 'f32', { name: `step ${t}` })
  }
})

test.each([
  ['after very many bad steps', 2 ** -126, 0, NaN],
  ['after very many good ones', 2 ** 127, 1999, 0],
])('the loss scale has an inverse in f32 %s', async (_when, scale, goodSteps, gradient) => {
  const p = parameter('p', [4])
  const optimizer = adam()([[p]])
  const scaler = new LossScaler({ mixed: true })
  scaler.loadState({ scale, goodSteps })
  for (const each of [gradient, 0]) {
    setGradient(p, new Float32Array(4).fill(each))
    optimizer.step(scaler)
  }
  const left = await item(scaler.scale)
  expect([left, 1 / left].map(Math.fround).every((value) => Number.isFinite(value) && value >= 2 ** -126)).toBe(true)
  expect((await read(p.value)).every(Number.isFinite)).toBe(true)
})

describe('a bad step', () => {
  test.each([
    [Infinity, 0],
    [-Infinity, 100],
    [NaN, 389],
  ])('%s anywhere (at %i) changes nothing but the scale', async (bad, at) => {
    const a = parameter('a', [3, 130])
    const b = parameter('b', [4], 'bias')
    const optimizer = adam()([[a, b]])
    const scaler = new LossScaler({ mixed: true })
    optimizer.keepF16Copies()
    const good = (seed: number) => [a, b].forEach((each) => setGradient(each, hashUniform(each.count, seed, -9, 9)))
    good(1)
    optimizer.step(scaler)
    const before = [
      await read(a.value),
      await read(b.value),
      await read(a.f16Copy!),
      ...[...(await optimizer.state()).values()].map(({ data }) => data),
    ]
    const scales = [await item(scaler.scale)]
    const gradient = hashUniform(a.count, 2, -9, 9)
    gradient[at] = bad
    setGradient(a, gradient)
    optimizer.step(scaler)
    scales.push(await item(scaler.scale))
    const after = [
      await read(a.value),
      await read(b.value),
      await read(a.f16Copy!),
      ...[...(await optimizer.state()).values()].map(({ data }) => data),
    ]
    expect(after.map(bits)).toEqual(before.map(bits))
    good(3)
    optimizer.step(scaler)
    scales.push(await item(scaler.scale))
    expect(scales).toEqual([65536, 32768, 32768])
    expect((await optimizer.state()).get('a.step')!.data[0]).toBe(2)
    expect(await read(b.value)).not.toEqual(before[1])
  })

  test('2000 good steps in a row double the scale', async () => {
    const a = parameter('a', [4])
    const optimizer = adam()([[a]])
    const scaler = new LossScaler({ mixed: true })
    setGradient(a, ones(4))
    scaler.loadState({ scale: 1024, goodSteps: 1998 })
    optimizer.step(scaler)
    expect(await scaler.state()).toEqual({ scale: 1024, goodSteps: 1999 })
    optimizer.step(scaler)
    expect(await scaler.state()).toEqual({ scale: 2048, goodSteps: 0 })
  })

  test('in f32 nothing is looked for', async () => {
    const a = parameter('a', [2])
    const optimizer = adam()([[a]])
    setGradient(a, [Infinity, 1])
    const launches = gpu.queue.counts.launches
    optimizer.step(f32)
    expect(gpu.queue.counts.launches - launches).toBe(2)
    expect((await optimizer.state()).get('a.step')!.data[0]).toBe(1)
  })
})

describe('a parameter without a gradient', () => {
  test('stands still until it has had one, then goes on with zeros', async () => {
    const a = parameter('a', [6])
    const optimizer = adam()([[a]])
    const hyperparameters = { lr: 0.1, momentum: 0.9, weightDecay: 0.5 }
    optimizer.setHyperparameters([hyperparameters])
    const reference = new ReferenceAdam(await read(a.value))
    upload(a.leaf.gradient!, ones(6))
    optimizer.step(f32)
    expectClose(await read(a.value), reference.p, 'f32')
    expect((await optimizer.state()).get('a.step')!.data[0]).toBe(0)
    setGradient(a, [1, -2, 3, -4, 5, -6])
    reference.step([1, -2, 3, -4, 5, -6], hyperparameters)
    optimizer.step(f32)
    optimizer.zeroGradients()
    for (let i = 0; i < 2; i++) {
      reference.step(new Float32Array(6), hyperparameters)
      optimizer.step(f32)
    }
    expectClose(await read(a.value), reference.p, 'f32')
  })

  test('a frozen one stands still, whatever its gradient was', async () => {
    const [a, norm, b] = [parameter('a', [6]), parameter('n', [3], 'norm'), parameter('b', [6])]
    const optimizer = adam()([[a, norm], [b]])
    const scaler = new LossScaler({ mixed: true })
    for (const each of [a, norm, b]) setGradient(each, ones(each.count).fill(NaN))
    optimizer.step(scaler)
    optimizer.zeroGradients()
    optimizer.freezeTo(-1)
    expect([a, norm, b].map(({ leaf }) => leaf.trainable)).toEqual([false, true, true])
    const before = await Promise.all([a, norm, b].map(({ value }) => read(value)))
    for (const each of [norm, b]) setGradient(each, ones(each.count))
    optimizer.step(scaler)
    const after = await Promise.all([a, norm, b].map(({ value }) => read(value)))
    expect(after.map((data, i) => bits(data).join() === bits(before[i]).join())).toEqual([true, false, false])
    // The frozen gradient's NaN is gone, or this step would have been a bad one too.
    expect(await scaler.state()).toEqual({ scale: 32768, goodSteps: 1 })
    optimizer.freezeTo(0)
    expect(a.leaf.trainable).toBe(true)
  })
})

test('state is forgotten by clearState, and restored by loadState', async () => {
  const run = async (disturb: (optimizer: ReturnType<ReturnType<typeof adam>>) => void | Promise<void>) => {
    const [a, b] = [parameter('a', [3, 3, 3, 5]), parameter('b', [7], 'bias')]
    const optimizer = adam()([[a, b]])
    const step = (seed: number) => {
      for (const each of [a, b]) setGradient(each, hashUniform(each.count, seed, -1, 1))
      optimizer.step(f32)
    }
    step(1)
    step(2)
    await disturb(optimizer)
    step(3)
    return bits(await read(a.value))
  }
  const undisturbed = await run(() => {})
  expect(await run((optimizer) => optimizer.clearState())).not.toEqual(undisturbed)
  const restored = await run(async (optimizer) => {
    const state = await optimizer.state()
    optimizer.clearState()
    expect((await optimizer.state()).get('b.step')!.data[0]).toBe(0)
    optimizer.loadState(state)
  })
  expect(restored).toEqual(undisturbed)
})

test('what is wrong is refused', async () => {
  const a = parameter('a', [3])
  const optimizer = adam()([[a]])
  expect(() => optimizer.setHyperparameters([])).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: setHyperparameters: there must be one entry per parameter group
      entries  0
      groups   1]
  `)
  expect(() => optimizer.setHyperparameters([{ lr: NaN }])).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: setHyperparameters: lr is out of range
      lr  NaN
      expected at least 0]
  `)
  expect(() => optimizer.setHyperparameters([{ momentum: 1 }])).toThrow(OptionError)
  expect(() => optimizer.freezeTo(2)).toThrow(OptionError)
  expect(() => adam({ squareMomentum: 1 })).toThrow(OptionError)
  expect(() => adam({ weightDecay: -1 })).toThrow(OptionError)
  const state = new Map(await optimizer.state())
  state.set('a.grad_avg', { shape: [4], data: new Float32Array(4) })
  expect(() => optimizer.loadState(state)).toThrowErrorMatchingInlineSnapshot(`
    [DataError: loadState: this is not the state of an optimizer of this model
      a.grad_avg  shape [4]
      expected a.grad_avg of shape [3]]
  `)
  expect(optimizer.hyperparameters).toEqual([{ lr: 1e-3, momentum: 0.9, weightDecay: 0.01 }])
})
