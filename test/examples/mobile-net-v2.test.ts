/**
 * MobileNetV2 outside the package (networks/mobile-net-v2.ts): torchvision's weights give torchvision's logits, a learner trains
 * it in mixed precision, and a file of it predicts, in ONNX Runtime too.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { accuracy, Learner, loadLearner } from 'wgrad'
import { afterAll, expect, test } from 'vitest'
import { expectSamePredictions } from './networks/round-trip.ts'
import { expectGradients, expectLogits } from './networks/reference.ts'
import { mobileNetV2, type MobileNetV2Options, type Stage } from './networks/mobile-net-v2.ts'
import { drawnImages, openQuietGpu } from './drawn-images.ts'

const platform = await openQuietGpu()
const folder = mkdtempSync(join(tmpdir(), 'wgrad-mobile-'))
afterAll(() => rmSync(folder, { recursive: true }))

const FEW: readonly Stage[] = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 2, 2],
]

test("torchvision's weights give torchvision's logits", () =>
  expectLogits(mobileNetV2({ outputs: 10 }), 'mobilenet_v2'))

test("logits and gradients in training are torchvision's", () =>
  expectGradients(mobileNetV2({ outputs: 10, width: 0.5, stages: FEW, dropout: 0 }), 'mobilenet_v2'))

test('as many parameters and operations as torchvision says', () => {
  const rows = mobileNetV2().describe([1, 224, 224, 3])
  expect(rows.reduce((sum, { parameters }) => sum + parameters, 0)).toBe(3_504_872)
  expect(rows.reduce((sum, { flops }) => sum + flops, 0) / 2e9).toBeCloseTo(0.301, 2)
  expect(rows.at(-1)?.output).toEqual([1, 1000])
})

test('trains, and its file predicts the same', async () => {
  const loaders = await drawnImages(platform)
  const options = { outputs: loaders.vocab.length, width: 0.5, stages: FEW }
  const learner = new Learner(loaders, mobileNetV2(options), { metrics: [accuracy] }).toFp16()
  await learner.fitOneCycle(8, 4e-3)
  const { losses } = learner.recorder
  expect(losses.at(-1)).toBeLessThan(0.95 * losses[0])
  const path = join(folder, 'mobile.safetensors')
  await learner.export(path)
  const models = { mobileNetV2: (given: unknown) => mobileNetV2(given as MobileNetV2Options) }
  await expectSamePredictions(learner, await loadLearner(path, { models, platform }))
})
