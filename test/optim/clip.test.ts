import { afterEach, describe, expect, test } from 'vitest'
import { OptionError } from '../../src/base/errors.ts'
import type { Parameter } from '../../src/nn/parameter.ts'
import { adam } from '../../src/optim/adam.ts'
import { clipGradients } from '../../src/optim/clip.ts'
import { lookahead } from '../../src/optim/lookahead.ts'
import { LossScaler } from '../../src/optim/loss-scaler.ts'
import { sgd } from '../../src/optim/sgd.ts'
import { scope } from '../../src/tensor/scope.ts'
import { item, read } from '../../src/tensor/read-write.ts'
import { expectClose, normOf } from '../../src/testing/close.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { reportLimits } from '../helpers/limited.ts'
import { bits, ones, parameter, parameterGroups, setGradient, valuesOf } from './parameters.ts'

const gpu = await openTestGpu()
const f32 = new LossScaler({ mixed: false })

afterEach(() => reportLimits(gpu.device))

const gradientsOf = (parameters: readonly Parameter[]) =>
  Promise.all(parameters.map(({ leaf }) => read(leaf.gradient!)))

/** Gradients of [-1, 1), and all of them in one row. */
function given(all: readonly Parameter[], scale = 1): number[] {
  const gradients = all.map(({ count }, i) => hashUniform(count, 50 + i, -1, 1))
  for (const [i, each] of all.entries()) {
    setGradient(
      each,
      gradients[i].map((g) => g * scale),
    )
  }
  return gradients.flatMap((gradient) => [...gradient])
}

describe.each([false, true])('mixed precision %s', (mixed) => {
  const scaler = new LossScaler({ mixed })
  const scale = mixed ? 65536 : 1

  test('what is too long is shortened to maxNorm', async () => {
    const groups = parameterGroups()
    const optimizer = adam()(groups)
    const all = given(groups.flat(), scale)
    const norm = normOf(all)
    expectClose([await item(clipGradients(optimizer, 0.5, scaler))], [norm], 'f32')
    const clipped = (await gradientsOf(groups.flat())).flatMap((gradient) => [...gradient])
    expectClose(
      clipped,
      all.map((g) => (scale * g * 0.5) / (norm + 1e-6)),
      'f32',
    )
    // Shortened already.
    expectClose([await item(clipGradients(optimizer, 1, scaler))], [0.5], 'f32')
  })

  test('what is short enough stays as it is', async () => {
    const groups = parameterGroups()
    const optimizer = lookahead(adam())(groups)
    const all = given(groups.flat(), scale)
    expectClose([await item(clipGradients(optimizer, 1000, scaler))], [normOf(all)], 'f32')
    expect(bits((await gradientsOf(groups.flat())).flatMap((gradient) => [...gradient]))).toEqual(
      bits(all.map((g) => g * scale)),
    )
  })

  test.each([Infinity, -Infinity, NaN])('%s stays, and the others become 0', async (bad) => {
    const [a, b] = [parameter('a', [3, 130]), parameter('b', [4])]
    const optimizer = adam()([[a, b]])
    const gradient = ones(a.count)
    gradient[389] = bad
    setGradient(a, gradient)
    setGradient(b, ones(4))
    clipGradients(optimizer, 1, scaler)
    const [left, others] = await gradientsOf([a, b])
    expect([...left]).toEqual([...new Float32Array(389), bad])
    expect([...others]).toEqual([0, 0, 0, 0])
  })
})

test('a bad step stays a bad step', async () => {
  const p = parameter('p', [300])
  const optimizer = sgd()([[p]])
  const scaler = new LossScaler({ mixed: true })
  const [before] = await valuesOf([p])
  setGradient(p, ones(300).fill(Infinity))
  clipGradients(optimizer, 1, scaler)
  optimizer.step(scaler)
  expect(await scaler.state()).toEqual({ scale: 32768, goodSteps: 0 })
  expect((await valuesOf([p]))[0]).toEqual(before)
})

test('gradients of an earlier step do not count', async () => {
  const [a, b] = [parameter('a', [6]), parameter('b', [130])]
  const optimizer = sgd()([[a], [b]])
  for (const each of [a, b]) setGradient(each, ones(each.count))
  optimizer.step(f32)
  optimizer.zeroGradients()
  setGradient(a, [3, 0, 0, 4, 0, 0])
  expect(await item(clipGradients(optimizer, 1, f32))).toBeCloseTo(5, 6)
  expectClose((await gradientsOf([a]))[0], [0.6, 0, 0, 0.8, 0, 0], 'f32')
})

test('many numbers, in several bindings', async () => {
  // The small one leaves most workgroups idle, the others give each several rounds.
  const shapes = [[1], [300, 300], [700, 128], [129]]
  const sizes = async () => {
    const all = shapes.map((shape, i) => parameter(String(i), shape))
    const optimizer = sgd()([all])
    const norm = normOf(given(all))
    return {
      found: await item(clipGradients(optimizer, 1, f32)),
      norm,
      chunks: new Set(all.map(({ value }) => value.storage.buffer.id)).size,
    }
  }
  const one = await sizes()
  reportLimits(gpu.device, { maxStorageBufferBindingSize: 400_000 })
  const several = await sizes()
  expect([one.chunks, several.chunks]).toEqual([1, 2])
  expectClose([one.found, several.found], [one.norm, one.norm], 'f32')
})

test('nothing is read back, and nothing is left over', () => {
  const groups = parameterGroups()
  const optimizer = sgd()(groups)
  given(groups.flat())
  const step = () => scope(() => void clipGradients(optimizer, 1, f32))
  step()
  const { usedBytes } = gpu.buffers
  const { submits, launches } = gpu.queue.counts
  step()
  expect(gpu.buffers.usedBytes).toBe(usedBytes)
  expect(gpu.queue.counts).toMatchObject({ submits, launches: launches + 3 })
})

test('what is wrong is refused', () => {
  const p = parameter('p', [3])
  const [first, second] = [sgd()([[p, parameter('q', [3])]]), sgd()([[p]])]
  expect(() => clipGradients(second, 0, f32)).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: clipGradients: maxNorm is out of range
      maxNorm  0
      expected above 0]
  `)
  // The idioms of PyTorch for a norm without clipping.
  for (const unlimited of [Infinity, Number.MAX_VALUE]) {
    expect(() => clipGradients(second, unlimited, f32)).toThrow('expected above 0, up to 3.40e+38 as in f32')
  }
  expect(() => clipGradients(first, 1, f32)).toThrow(OptionError)
})
