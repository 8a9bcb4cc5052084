import { expect, test } from 'vitest'
import { xresnet18 } from '../../src/nn/xresnet.ts'
import { adam } from '../../src/optim/adam.ts'
import { LossScaler } from '../../src/optim/loss-scaler.ts'
import { backward } from '../../src/tensor/backward.ts'
import { roundToHalf } from '../../src/tensor/half.ts'
import { item, read, tensor } from '../../src/tensor/read-write.ts'
import { channelsLast, golden } from '../helpers/golden.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { crossEntropy, expectNear, expectWithin, hashInit, type GoldenNetwork } from './reference.ts'

await openTestGpu()

/**
 * The network of the golden file with f16 activations. A float64 run in PyTorch that rounds every activation and its
 * gradient to f16 strays from the exact one by 0.45% of the logits, 0.04% of the loss, and 17 to 24% of the first
 * layers' gradients (roundings turn ReLUs on and off); allowed is about twice that.
 */
test('xresnet18 in f16 is xresnet18 as far as f16 goes', async () => {
  const expected = golden<GoldenNetwork>('xresnet18')
  const { shape, seed, lo, hi } = expected.input
  const [N, C, H, W] = shape
  const pictures = channelsLast(hashUniform(N * C * H * W, seed, lo, hi), shape)
  const run = async (mixed: boolean) => {
    const model = xresnet18({ outputs: expected.n_out })
    hashInit(model, expected.seed0)
    const optimizer = adam()([model.parameters()])
    if (mixed) optimizer.keepF16Copies()
    const scaler = new LossScaler({ mixed })
    const logits = model.train().forward(tensor(pictures, [N, H, W, C], mixed ? 'f16' : 'f32'))
    const values = await read(logits)
    const { loss, gradient } = crossEntropy(values, expected.targets, 0.1)
    const scale = await item(scaler.scale)
    backward(
      logits,
      tensor(
        gradient.map((value) => value * scale),
        logits.shape,
        logits.dtype,
      ),
    )
    const gradients = []
    for (const { leaf } of model.parameters()) {
      gradients.push((await read(leaf.gradient!)).map((value) => value / scale))
    }
    optimizer.step(scaler)
    return { model, logits, values, loss, gradients, scaler }
  }
  const exact = await run(false)
  const half = await run(true)
  expect(half.logits.dtype).toBe('f16')
  expectNear(half.values, expected.logits.flat(), 1e-2, 'logits')
  expectWithin(half.loss, expected.label_smoothing, 1e-3 * expected.label_smoothing, 'loss')
  for (const [i, { path }] of exact.model.parameters().entries()) {
    expectNear(half.gradients[i], Array.from(exact.gradients[i]), path.startsWith('11') ? 1e-2 : 0.4, `d(${path})`)
  }
  // The step counted, and left the copies that the next forward pass reads.
  expect(await half.scaler.state()).toEqual({ scale: 65536, goodSteps: 1 })
  const weight = half.model.parameters()[0]
  const values = await read(weight.value)
  expect(Array.from(await read(weight.f16Copy!))).toEqual(Array.from(values, roundToHalf))
})
