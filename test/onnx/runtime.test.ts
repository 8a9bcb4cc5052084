import { beforeAll, describe, expect, test } from 'vitest'
import { imagenetStats } from '../../src/data/augment/normalize.ts'
import type { Module } from '../../src/nn/module.ts'
import { resnet34 } from '../../src/nn/resnet.ts'
import { visionModel } from '../../src/nn/vision-model.ts'
import { xresnet18, xresnet50 } from '../../src/nn/xresnet.ts'
import { exportOnnx } from '../../src/onnx/export-onnx.ts'
import { softmax } from '../../src/ops/softmax.ts'
import { noGrad } from '../../src/tensor/op.ts'
import { scope } from '../../src/tensor/scope.ts'
import { read, tensor } from '../../src/tensor/read-write.ts'
import { channelsLast } from '../helpers/golden.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'
import { openTestGpu } from '../helpers/gpu.ts'
import { decodeOnnx, faultsOf } from '../helpers/onnx.ts'
import { runOnnx } from '../helpers/onnx-runtime.ts'
import { Branches, Modern, oddLayers, scramble } from './networks.ts'

await openTestGpu()

const { mean, std } = imagenetStats

/** Logits and probabilities of our own network, for images as ONNX has them. */
async function ownOutputs(model: Module, images: Float32Array, shape: readonly number[]) {
  const [N, C, H, W] = shape
  const pixels = channelsLast(images, [N, C, H, W])
  const normalized = pixels.map((value, i) => (value - mean[i % C]) / std[i % C])
  model.eval()
  const outputs = scope(() =>
    noGrad(() => {
      const logits = model.forward(tensor(normalized, [N, H, W, C]))
      return { logits, probabilities: softmax(logits) }
    }),
  )
  return { logits: await read(outputs.logits), probabilities: await read(outputs.probabilities) }
}

const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i])))

const networks: readonly (readonly [name: string, size: readonly [number, number], build: () => Module])[] = [
  ['xresnet18', [64, 64], () => xresnet18({ outputs: 10 })],
  ['xresnet50', [64, 64], () => xresnet50({ outputs: 10 })],
  ['xresnet18, Mish, MaxBlurPool', [70, 58], () => xresnet18({ outputs: 10, activation: 'mish', pool: 'maxBlur' })],
  ['resnet34', [50, 66], () => resnet34({ outputs: 10 })],
  ['xresnet18 with the head for transfer', [48, 40], () => visionModel(xresnet18, { outputs: 10 })],
  ['layers of odd sizes', [61, 47], oddLayers],
  ['a forward of its own', [13, 18], () => new Branches()],
  ['layers of newer networks', [16, 20], () => new Modern()],
]

/** Scales the last layer so that the largest logit is 3: probabilities that are neither all alike nor one of them 1. */
async function tempered(model: Module, size: readonly [number, number]): Promise<Module> {
  const shape = [1, 3, ...size]
  const { logits } = await ownOutputs(model, hashUniform(3 * size[0] * size[1], 9), shape)
  const scale = 3 / Math.max(...logits.map(Math.abs))
  const head =
    model
      .parameters()
      .at(-1)
      ?.path.replace(/[^.]+$/, '') ?? ''
  for (const state of model.parameters().filter(({ path }) => path.startsWith(head))) {
    state.write((await read(state.value)).map((value) => value * scale))
  }
  return model
}

describe.each(networks)('ONNX Runtime computes what %s does', (_name, size, build) => {
  let model: Module
  const files: Record<string, Uint8Array> = {}

  beforeAll(async () => {
    model = await tempered(scramble(build()), size)
    for (const precision of ['f32', 'f16'] as const) {
      files[precision] = await exportOnnx(model, { size, normalize: imagenetStats, logits: true, precision })
    }
  })

  test.each(['f32', 'f16'])('by the rules of ONNX, %s', (precision) => {
    expect(faultsOf(decodeOnnx(files[precision]))).toEqual([])
  })

  test.each([
    ['f32', 1, 1e-4],
    ['f32', 3, 1e-4],
    ['f16', 1, 1e-2],
    ['f16', 3, 1e-2],
  ])('%s, batch %i', async (precision, N, tolerance) => {
    const shape = [N, 3, ...size]
    const images = hashUniform(N * 3 * size[0] * size[1], 9)
    const own = await ownOutputs(model, images, shape)
    const { probabilities, logits } = await runOnnx(files[precision], images, shape)
    expect(probabilities.shape).toEqual([N, own.probabilities.length / N])
    expect(largestDifference(probabilities.data, own.probabilities)).toBeLessThan(tolerance)
    expect(largestDifference(logits.data, own.logits) / 3).toBeLessThan(tolerance)
    // Equal probabilities only tell something where they differ from each other.
    const first = own.probabilities.subarray(0, own.probabilities.length / N)
    expect(Math.max(...first) - Math.min(...first)).toBeGreaterThan(0.2)
  })
})
