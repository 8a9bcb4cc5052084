import { beforeAll, describe, expect, test } from 'vitest'
import { toTorch } from '../../src/nn/state-dict.ts'
import { xresnet18, xresnet50 } from '../../src/nn/xresnet.ts'
import { adam } from '../../src/optim/adam.ts'
import { LossScaler } from '../../src/optim/loss-scaler.ts'
import { backward } from '../../src/tensor/backward.ts'
import { noGrad } from '../../src/tensor/op.ts'
import { scope } from '../../src/tensor/scope.ts'
import { read, tensor } from '../../src/tensor/read-write.ts'
import { normOf } from '../../src/testing/close.ts'
import { channelsFirst, channelsLast, golden } from '../helpers/golden.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { crossEntropy, expectNear, expectWithin, hashInit, type GoldenNetwork } from './reference.ts'

await openTestGpu()

/** As the leaderboard's networks are. */
const leaderboard18 = ({ outputs }: { outputs: number }) => xresnet18({ outputs, activation: 'mish', pool: 'maxBlur' })

/**
 * Tolerances, relative. Logits and losses: ten times what PyTorch's own f32 strays from its f64 (1e-5 of the logits of
 * xresnet18, 2e-4 of xresnet50), or 1e-4. Gradients, by norm: 1e-3; or 1e-4 of the network's largest where large numbers
 * cancel. In xresnet50 rounding turns some ReLUs of the last blocks on or off (36 numbers a channel there), which moves
 * every gradient before them: PyTorch's f32 strays by 1.7e-2 of their norms and 4e-2 of the tensors, so that 2e-2 and
 * 1e-1 are what can be asked of any f32.
 */
const networks = [
  ['xresnet18', xresnet18, { logits: 1e-4, gradientNorm: 1e-3, gradient: 1e-3 }],
  ['xresnet18-mish-blur', leaderboard18, { logits: 1e-4, gradientNorm: 1e-3, gradient: 1e-3 }],
  ['xresnet50', xresnet50, { logits: 2e-3, gradientNorm: 2e-2, gradient: 1e-1 }],
] as const
const CANCELLATION_FLOOR = 1e-4

describe.each(networks)('%s as in PyTorch, f64', (name, build, tolerance) => {
  const expected = golden<GoldenNetwork>(name)
  const model = build({ outputs: expected.n_out })
  hashInit(model, expected.seed0)
  const { shape, seed, lo, hi } = expected.input
  const [N, C, H, W] = shape
  const x = tensor(channelsLast(hashUniform(N * C * H * W, seed, lo, hi), shape), [N, H, W, C])
  x.leaf = { trainable: true, gradient: undefined, hasGradient: false }

  let values: ArrayLike<number>

  beforeAll(async () => {
    const logits = model.train().forward(x)
    values = await read(logits)
    backward(logits, tensor(crossEntropy(values, expected.targets, 0.1).gradient, logits.shape))
  })

  test('logits and losses', () => {
    expectNear(values, expected.logits.flat(), tolerance.logits, 'logits')
    const losses = [
      ['cross_entropy', 0],
      ['label_smoothing', 0.1],
    ] as const
    for (const [loss, smoothing] of losses) {
      expectWithin(
        crossEntropy(values, expected.targets, smoothing).loss,
        expected[loss],
        tolerance.logits * expected[loss],
        loss,
      )
    }
  })

  test('every gradient', async () => {
    const largest = Math.max(...Object.values(expected.grads).map(({ norm }) => norm))
    const parameters = model.parameters()
    expect(parameters.map(({ path }) => path)).toEqual(Object.keys(expected.grads))
    const gradients = new Map<string, Float32Array>()
    for (const { path, leaf, shape: own } of parameters) {
      gradients.set(path, toTorch((await read(leaf.gradient!)) as Float32Array, own))
    }
    gradients.set('input', channelsFirst(await read(x.leaf!.gradient!), x.shape))
    for (const [path, gradient] of gradients) {
      const { norm, first, shape: torch } = expected.grads[path] ?? expected.input_grad
      expect(gradient.length, path).toBe(torch.reduce((product, axis) => product * axis, 1))
      const floor = CANCELLATION_FLOOR * largest
      expectWithin(normOf(gradient), norm, Math.max(tolerance.gradientNorm * norm, floor), `norm of d(${path})`)
      // The same elements too, so that a gradient in the wrong order does not pass.
      const wrong = normOf(first.map((value, i) => gradient[i] - value))
      expectWithin(wrong, 0, Math.max(tolerance.gradient * normOf(first), floor), `first of d(${path})`)
    }
  })

  test('running statistics', async () => {
    const buffers = model.buffers()
    expect(buffers.map(({ path }) => path).sort()).toEqual(Object.keys(expected.running_stats).sort())
    for (const { path, value } of buffers) {
      const { norm, first } = expected.running_stats[path]
      const values = await read(value)
      expectWithin(normOf(values), norm, tolerance.logits * norm, `norm of ${path}`)
      expectNear(values.slice(0, first.length), first, tolerance.logits, `first of ${path}`)
    }
  })

  test('logits in evaluation', async () => {
    const evaluated = scope(() => noGrad(() => model.eval().forward(x)))
    expectNear(await read(evaluated), expected.eval_logits.flat(), tolerance.logits, 'logits')
  })
})

interface Trajectory {
  readonly seed0: number
  readonly shape: readonly number[]
  readonly n_out: number
  readonly smoothing: number
  readonly lr: readonly number[]
  readonly mom: readonly number[]
  readonly loss: readonly number[]
  readonly float32_deviation: readonly number[]
}

test('six steps of Adam under one-cycle, as in PyTorch, f64', async () => {
  const expected = golden<Trajectory>('trajectory')
  const model = xresnet18({ outputs: expected.n_out })
  hashInit(model, expected.seed0)
  const optimizer = adam()([model.parameters()])
  const scaler = new LossScaler({ mixed: false })
  const [N, C, H, W] = expected.shape
  for (const [i, lr] of expected.lr.entries()) {
    optimizer.setHyperparameters([{ lr, momentum: expected.mom[i] }])
    const targets = Array.from(hashUniform(N, 9000 + i), (u) => Math.floor(10 * u))
    const pictures = hashUniform(N * C * H * W, 5000 + i, -2, 2)
    // Each class has its tint, so that there is something to learn.
    const tinted = pictures.map(
      (value, at) =>
        value + Math.fround(targets[Math.floor(at / (C * H * W))] * [0.1, -0.07, 0.05][Math.floor(at / (H * W)) % C]),
    )
    const logits = model.train().forward(tensor(channelsLast(tinted, expected.shape), [N, H, W, C]))
    const { loss, gradient } = crossEntropy(await read(logits), targets, expected.smoothing)
    expectWithin(
      loss,
      expected.loss[i],
      Math.max(10 * expected.float32_deviation[i], 1e-4) * expected.loss[i],
      `loss of step ${i}`,
    )
    backward(logits, tensor(gradient, logits.shape))
    optimizer.step(scaler)
    optimizer.zeroGradients()
  }
})
