/** Networks of one channel made of the weights of three, and the gradients of a ResNet, beside PyTorch's numbers. */
import { describe, expect, test } from 'vitest'
import { loadWeights } from '../../src/nn/load-weights.ts'
import { resnet18 } from '../../src/nn/resnet.ts'
import type { Sequential } from '../../src/nn/sequential.ts'
import { toTorch } from '../../src/nn/state-dict.ts'
import { timmNames } from '../../src/nn/weight-names.ts'
import { xresnet18 } from '../../src/nn/xresnet.ts'
import { exportOnnx } from '../../src/onnx/export-onnx.ts'
import { softmaxCrossEntropy } from '../../src/ops/cross-entropy.ts'
import { backward } from '../../src/tensor/backward.ts'
import { noGrad } from '../../src/tensor/op.ts'
import { read, tensor } from '../../src/tensor/read-write.ts'
import { scope } from '../../src/tensor/scope.ts'
import { expectClose, normOf } from '../../src/testing/close.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { channelsFirst, channelsLast, expectGolden, golden, hashParameter, type Summary } from '../helpers/golden.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { runOnnx } from '../helpers/onnx-runtime.ts'
import { expectNear, expectWithin } from './reference.ts'

await openTestGpu()

interface Input {
  readonly shape: readonly [N: number, C: number, H: number, W: number]
  readonly seed: number
  readonly lo: number
  readonly hi: number
}

const expected = golden<{
  readonly seed0: number
  readonly n_out: number
  readonly grey_input: Input
  readonly grey: readonly {
    readonly name: string
    readonly filters: Summary & { readonly name: string }
    readonly logits: readonly (readonly number[])[]
  }[]
  readonly input: Input
  readonly targets: readonly number[]
  readonly gradients: {
    readonly loss: number
    readonly input: Summary
    readonly parameters: Readonly<Record<string, Summary>>
  }
}>('grey_network')

const numbersOf = ({ shape, seed, lo, hi }: Input) =>
  hashUniform(
    shape.reduce((a, b) => a * b),
    seed,
    lo,
    hi,
  )
const imagesOf = (given: Input) => {
  const [N, C, H, W] = given.shape
  return tensor(channelsLast(numbersOf(given), given.shape), [N, H, W, C])
}

/** Weights of the golden file for images of three channels, under PyTorch's names. */
async function colorWeights(model: Sequential, deep: boolean) {
  const dict = await model.stateDict()
  let [parameters, statistics] = [0, 0]
  return new Map(
    [...(deep ? timmNames(dict) : dict)].map(([name, { shape, data }]) => {
      const range = name.endsWith('var') ? ([0.5, 1.5] as const) : ([-0.1, 0.1] as const)
      const numbers = name.includes('running_')
        ? hashUniform(data.length, 5000 + statistics++, ...range)
        : hashParameter(name, shape, expected.seed0 + parameters++)
      return [name, { shape, data: numbers }]
    }),
  )
}

describe.each(expected.grey)('$name of one channel', ({ name, filters, logits }) => {
  const make = name.endsWith('d') ? xresnet18 : resnet18
  const outputs = expected.n_out
  const model = make({ outputs, channels: 1 })

  test("has timm's first filters added up, and its logits", async () => {
    const report = loadWeights(model, await colorWeights(make({ outputs }), name.endsWith('d')))
    expect(report.summed).toHaveLength(1)
    const [first] = (await model.stateDict()).values()
    expectGolden(first.data, filters)
    const own = await read(scope(() => noGrad(() => model.eval().forward(imagesOf(expected.grey_input)))))
    expectNear(own, logits.flat(), 1e-4, 'logits')
  })

  test.each([
    ['f32', 1e-4],
    ['f16', 1e-2],
  ] as const)('has the same logits in ONNX Runtime, %s', async (precision, within) => {
    const [N, C, H, W] = expected.grey_input.shape
    const bytes = await exportOnnx(model, { size: [H, W], channels: C, logits: true, precision })
    const result = await runOnnx(bytes, numbersOf(expected.grey_input), [N, C, H, W])
    expect(result.logits.shape).toEqual([N, outputs])
    expectNear(result.logits.data, logits.flat(), within, 'logits')
    const sum = result.probabilities.data.slice(0, outputs).reduce((a, b) => a + b)
    expect(sum).toBeCloseTo(1, 5)
  })
})

test('gradients of resnet18: the input and every parameter, in training', async () => {
  const model = resnet18({ outputs: expected.n_out })
  loadWeights(model, await colorWeights(model, false), { strict: true })
  const x = imagesOf(expected.input)
  x.leaf = { trainable: true, gradient: undefined, hasGradient: false }
  const targets = { a: tensor(expected.targets, [3], 'u32') }
  const loss = softmaxCrossEntropy(model.train().forward(x), targets)
  expectClose(await read(loss), [expected.gradients.loss], 'f32', { roundings: 32 })
  backward(loss, tensor([1], []))
  // As in resnets.test: ReLUs that rounding turns on or off, which f32 of PyTorch has as well.
  const check = (name: string, gradient: ArrayLike<number>, { norm, first }: Summary) => {
    expectWithin(normOf(gradient), norm, 1e-3 * norm, `norm of d(${name})`)
    const wrong = normOf(first.map((value, i) => gradient[i] - value))
    expectWithin(wrong, 0, 5e-3 * Math.max(normOf(first), norm / Math.sqrt(gradient.length)), `d(${name})`)
  }
  const [N, C, H, W] = expected.input.shape
  check('input', channelsFirst(await read(x.leaf.gradient!), [N, H, W, C]), expected.gradients.input)
  const parameters = model.parameters()
  expect(parameters.map(({ path }) => path)).toEqual(Object.keys(expected.gradients.parameters))
  for (const { path, leaf, shape } of parameters) {
    const gradient = toTorch((await read(leaf.gradient!)) as Float32Array, shape)
    check(path, gradient, expected.gradients.parameters[path])
  }
})
