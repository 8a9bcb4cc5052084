import { expect, test } from 'vitest'
import { adam } from '../../src/optim/adam.ts'
import { ranger } from '../../src/optim/lookahead.ts'
import { LossScaler } from '../../src/optim/loss-scaler.ts'
import { sgd } from '../../src/optim/sgd.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { ones, parameter, setGradient } from './parameters.ts'

await openTestGpu()
const f32 = new LossScaler({ mixed: false })

test.each([
  ['adam', adam()],
  ['ranger', ranger()],
])('%s whose parameters another optimizer has taken says so', (_name, factory) => {
  const [a, b] = [parameter('a', [3]), parameter('b', [5])]
  const first = factory([[a], [b]])
  const second = sgd()([[b]])
  for (const each of [a, b]) setGradient(each, ones(each.count))
  expect(() => first.step(f32)).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: optimizer: its parameters now belong to another optimizer
      parameters  2
      taken       1
      Fix: a model has one optimizer at a time: use the optimizer, or the learner, that was made last]
  `)
  expect(() => first.keepF16Copies()).toThrow('its parameters now belong to another optimizer')
  second.step(f32)
  const third = factory([[a], [b]])
  expect(() => first.step(f32)).toThrow('taken       2')
  third.step(f32)
})
