import { readFileSync } from 'node:fs'
import { expect } from 'vitest'
import type { Learner } from 'wgrad'
import type { Predictor } from 'wgrad/train'
import { softmax, noGrad, read, scope, tensor } from 'wgrad/tensor'
import { channelsLast } from '../../helpers/golden.ts'
import { hashUniform } from '../../../src/testing/hash-uniform.ts'
import { runOnnx } from '../../helpers/onnx-runtime.ts'

/**
 * Requires a predictor that was loaded from a learner's file to give the learner's predictions, and ONNX Runtime to compute
 * from its ONNX file what the model does.
 */
export async function expectSamePredictions(learner: Learner, predictor: Predictor): Promise<void> {
  const { predictions, items } = await learner.getPredictions()
  const { pictures } = learner.loaders.valid
  for (let i = 0; i < 3; i++) {
    const prediction = await predictor.predict(new Uint8Array(readFileSync(pictures.items[items[i]])))
    const own = predictions.data.subarray(i * predictions.columns, (i + 1) * predictions.columns)
    expect(Math.max(...prediction.probabilities.map((value, k) => Math.abs(value - own[k])))).toBeLessThan(1e-2)
  }

  const shape = [2, 3, 24, 24]
  const images = hashUniform(2 * 3 * 24 * 24, 3)
  const onnx = await runOnnx(await learner.exportOnnxBytes(), images, shape)
  const { mean, std } = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
  const normalized = channelsLast(images, shape).map((value, i) => (value - mean[i % 3]) / std[i % 3])
  const { model } = learner
  const outputs = scope(() => noGrad(() => softmax(model.eval().forward(tensor(normalized, [2, 24, 24, 3])))))
  const own = await read(outputs)
  expect(Math.max(...onnx.probabilities.data.map((value, i) => Math.abs(value - own[i])))).toBeLessThan(1e-4)
}
