import { expect, test } from 'vitest'
import { OptionError } from '../../src/base/errors.ts'
import { LossScaler } from '../../src/optim/loss-scaler.ts'
import type { Hyperparameters } from '../../src/optim/optimizer.ts'
import { sgd, type SgdOptions } from '../../src/optim/sgd.ts'
import { read } from '../../src/tensor/read-write.ts'
import { expectClose } from '../../src/testing/close.ts'
import { golden } from '../helpers/golden.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { hypersFor, ones, parameter, parameterGroups, roundedBits, setGradient, valuesOf } from './parameters.ts'

await openTestGpu()
const f32 = new LossScaler({ mixed: false })

interface Case {
  readonly name: string
  readonly lr: number
  readonly momentum?: number
  readonly weightDecay?: number
  readonly after: Readonly<Record<string, readonly number[]>>
}

test.each(golden<{ cases: readonly Case[] }>('optimizers').cases.filter(({ name }) => name === 'sgd'))(
  'torch.optim.SGD, momentum $momentum',
  async ({ name: _name, lr, after, ...options }) => {
    const p = parameter('p', [40], 'weight', 7)
    const optimizer = sgd({ ...options, decoupleWeightDecay: false })([[p]])
    optimizer.setHyperparameters([{ lr }])
    for (let step = 0; step < 12; step++) {
      setGradient(p, hashUniform(40, 100 + step, -1, 1))
      optimizer.step(f32)
      optimizer.zeroGradients()
      if (after[step + 1]) expectClose(await read(p.value), after[step + 1], 'f32')
    }
  },
)

const VARIANTS: readonly SgdOptions[] = [
  {},
  { decoupleWeightDecay: false },
  { momentum: 0.9 },
  { momentum: 0.9, decoupleWeightDecay: false },
  { momentum: 0.9, decayNormAndBias: true },
]

test.each(VARIANTS.flatMap((options) => [false, true].map((mixed) => [options, mixed] as const)))(
  'groups, kinds, odd sizes against the reference, %o, mixed precision %s',
  async (options, mixed) => {
    const { momentum = 0, decoupleWeightDecay = true, decayNormAndBias = false } = options
    const groups = parameterGroups()
    const all = groups.flat()
    const scaler = new LossScaler({ mixed })
    const scale = mixed ? 65536 : 1
    const optimizer = sgd(options)(groups)
    if (mixed) optimizer.keepF16Copies()
    const references = all.map(({ count }, i) => ({
      p: Float64Array.from(hashUniform(count, i + 1, -1, 1)),
      m: new Float64Array(count),
    }))
    for (let step = 0; step < 5; step++) {
      const hyperparameters: Hyperparameters[] = [
        // Without momentum the schedule's is not listened to.
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
        const { lr, weightDecay, ...rest } = decayNormAndBias ? group : hypersFor(each, group)
        const { p, m } = references[i]
        for (let k = 0; k < p.length; k++) {
          m[k] =
            (momentum === 0 ? 0 : rest.momentum * m[k]) + gradient[k] + (decoupleWeightDecay ? 0 : weightDecay * p[k])
          p[k] = p[k] * (decoupleWeightDecay ? 1 - lr * weightDecay : 1) - lr * m[k]
        }
      }
      optimizer.step(scaler)
      optimizer.zeroGradients()
    }
    const state = await optimizer.state()
    expect([...state.keys()]).toEqual(momentum === 0 ? [] : all.map(({ path }) => `${path}.grad_avg`))
    for (const [i, each] of all.entries()) {
      const values = await read(each.value)
      if (momentum !== 0) expectClose(state.get(`${each.path}.grad_avg`)!.data, references[i].m, 'f32')
      expectClose(values, references[i].p, 'f32', { name: each.path, shape: each.shape })
      if (mixed) {
        expect([...new Uint32Array(new Float32Array(await read(each.f16Copy!)).buffer)]).toEqual(roundedBits(values))
      }
    }
  },
)

test('without weight decay p falls by lr·g', async () => {
  const p = parameter('p', [6])
  const optimizer = sgd()([[p]])
  expect(optimizer.hyperparameters).toEqual([{ lr: 1e-3, momentum: 0, weightDecay: 0 }])
  optimizer.setHyperparameters([{ lr: 0.5 }])
  const [before] = await valuesOf([p])
  setGradient(p, ones(6))
  optimizer.step(f32)
  const [after] = await valuesOf([p])
  expectClose(
    after,
    before.map((value) => value - 0.5),
    'f32',
  )
})

test('what is wrong is refused', () => {
  expect(() => sgd({ momentum: 1 })).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: sgd: momentum is out of range
      momentum  1
      expected at least 0 and below 1]
  `)
  expect(() => sgd({ weightDecay: NaN })).toThrow(OptionError)
})
