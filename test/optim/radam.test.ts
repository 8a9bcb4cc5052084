import { describe, expect, test } from 'vitest'
import { OptionError } from '../../src/base/errors.ts'
import { LossScaler } from '../../src/optim/loss-scaler.ts'
import type { Hyperparameters } from '../../src/optim/optimizer.ts'
import { radam, type RAdamOptions } from '../../src/optim/radam.ts'
import { read } from '../../src/tensor/read-write.ts'
import { expectClose } from '../../src/testing/close.ts'
import { golden } from '../helpers/golden.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { bits, hypersFor, parameter, parameterGroups, roundedBits, setGradient } from './parameters.ts'
import { ReferenceRAdam } from './reference-radam.ts'

await openTestGpu()
const f32 = new LossScaler({ mixed: false })

interface Case extends RAdamOptions {
  readonly name: string
  readonly lr: number
  readonly after: Readonly<Record<string, readonly number[]>>
}

test.each(golden<{ cases: readonly Case[] }>('optimizers').cases.filter(({ name }) => name === 'radam'))(
  'torch.optim.RAdam, betas $momentum $squareMomentum',
  async ({ name: _name, lr, after, ...options }) => {
    const p = parameter('p', [40], 'weight', 7)
    const optimizer = radam({ ...options, eps: 1e-12, decoupleWeightDecay: false })([[p]])
    optimizer.setHyperparameters([{ lr }])
    for (let step = 0; step < 12; step++) {
      setGradient(p, hashUniform(40, 100 + step, -1, 1))
      optimizer.step(f32)
      optimizer.zeroGradients()
      if (after[step + 1]) expectClose(await read(p.value), after[step + 1], 'f32')
    }
  },
)

const VARIANTS: readonly RAdamOptions[] = [
  { squareMomentum: 0.98, eps: 1e-6 },
  { beta: 50 },
  { beta: 0.5, decoupleWeightDecay: false },
  { decayNormAndBias: true },
]

test.each(VARIANTS.flatMap((options) => [false, true].map((mixed) => [options, mixed] as const)))(
  'groups, kinds, odd sizes against the reference, %o, mixed precision %s',
  async (options, mixed) => {
    const groups = parameterGroups()
    const all = groups.flat()
    const scaler = new LossScaler({ mixed })
    const scale = mixed ? 65536 : 1
    const optimizer = radam(options)(groups)
    if (mixed) optimizer.keepF16Copies()
    const decouple = options.decoupleWeightDecay ?? true
    const references = all.map(
      ({ count }, i) => new ReferenceRAdam(hashUniform(count, i + 1, -1, 1), { ...options, decouple }),
    )
    // The sixth is the first rectified one.
    for (let step = 0; step < 9; step++) {
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
        const group = hyperparameters[i < 2 ? 0 : 1]
        references[i].step(gradient, options.decayNormAndBias ? group : hypersFor(each, group))
      }
      optimizer.step(scaler)
      optimizer.zeroGradients()
    }
    const state = await optimizer.state()
    for (const [i, each] of all.entries()) {
      const values = await read(each.value)
      expect([...state.get(`${each.path}.step`)!.data]).toEqual([9])
      expectClose(state.get(`${each.path}.grad_avg`)!.data, references[i].m, 'f32')
      expectClose(state.get(`${each.path}.sqr_avg`)!.data, references[i].v, 'f32')
      expectClose(values, references[i].p, 'f32', { name: each.path, shape: each.shape })
      if (mixed) expect(bits(await read(each.f16Copy!))).toEqual(roundedBits(values))
    }
  },
)

describe('the rectification', () => {
  /** One step from the state after t - 1 steps with gradients of 1: the step's size alone. */
  async function stepSize(t: number, squareMomentum: number): Promise<number> {
    const p = parameter('p', [1])
    p.write([0])
    const optimizer = radam({ squareMomentum, eps: 1e-12 })([[p]])
    optimizer.setHyperparameters([{ lr: 1 }])
    const one = (value: number) => ({ shape: [1], data: Float32Array.of(value) })
    optimizer.loadState(
      new Map([
        ['p.step', one(t - 1)],
        ['p.grad_avg', one(1 - 0.9 ** (t - 1))],
        ['p.sqr_avg', one(1 - squareMomentum ** (t - 1))],
      ]),
    )
    setGradient(p, [1])
    optimizer.step(f32)
    return -(await read(p.value))[0]
  }

  test.each([0.99, 0.993, 0.995, 0.997, 0.999, 0.9999])(
    'squareMomentum %s: begins after r = 5 and grows to 1',
    async (squareMomentum) => {
      const last = 2 / (1 - squareMomentum) - 1
      const sizes: number[] = []
      const expected: number[] = []
      for (const t of [1, 4, 5, 6, 7, 10, 100, 1000, 10000, 1000000]) {
        const r = last - (2 * t * squareMomentum ** t) / (1 - squareMomentum ** t)
        sizes.push(await stepSize(t, squareMomentum))
        expected.push(r > 5 ? Math.sqrt(((r - 4) * (r - 2) * last) / ((last - 4) * (last - 2) * r)) : 1)
      }
      for (const [i, size] of sizes.entries()) {
        expect(Math.abs(size / expected[i] - 1), `number ${i}`).toBeLessThan(1e-5)
      }
    },
  )
})

test('what is wrong is refused', () => {
  expect(() => radam({ squareMomentum: 1 })).toThrow(OptionError)
  expect(() => radam({ eps: 0 })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: radam: eps is out of range
      eps  0
      expected above 0]
  `)
  expect(() => radam({ beta: -1 })).toThrow(OptionError)
  expect(() => radam({ momentum: 1 })).toThrow(OptionError)
  expect(() => radam({ weightDecay: Infinity })).toThrow(OptionError)
})
