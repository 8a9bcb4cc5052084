/**
 * ConvNeXt-Tiny outside the package (networks/conv-next.ts): torchvision's weights give torchvision's logits, a learner trains a
 * small one, and a file of it predicts, in ONNX Runtime too.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { accuracy, Learner, loadLearner } from 'wgrad'
import type { StateDict } from 'wgrad/nn'
import { afterAll, expect, test } from 'vitest'
import { expectSamePredictions } from './networks/round-trip.ts'
import { expectGradients, expectLogits } from './networks/reference.ts'
import { convNext, fromTorchvision, type ConvNextOptions } from './networks/conv-next.ts'
import { drawnImages, openQuietGpu } from './drawn-images.ts'

const platform = await openQuietGpu()
const folder = mkdtempSync(join(tmpdir(), 'wgrad-conv-next-'))
afterAll(() => rmSync(folder, { recursive: true }))

const toTorchvision = (weights: StateDict): StateDict =>
  new Map(
    [...weights].map(([name, { shape, data }]) => [
      name,
      { shape: name.endsWith('.layer_scale') ? [...shape, 1, 1] : shape, data },
    ]),
  )
const names = { own: fromTorchvision, theirs: toTorchvision }

test("torchvision's weights give torchvision's logits", () =>
  expectLogits(convNext({ outputs: 10 }), 'convnext_tiny', names))

test("logits and gradients in training are torchvision's", async () => {
  const model = convNext({ outputs: 10, depths: [2, 1, 2], widths: [12, 24, 40], dropPath: 0 })
  await expectGradients(model, 'convnext_tiny', names)
})

test('as many parameters as torchvision says, and a summary of blocks that do not describe themselves', () => {
  const model = convNext()
  expect(model.parameters().reduce((sum, { count }) => sum + count, 0)).toBe(28_589_128)
  const rows = convNext({ depths: [1, 1], widths: [16, 24] }).describe([2, 32, 32, 3])
  expect(rows.filter(({ path }) => path.startsWith('features.1.0')).map(({ path, layer }) => [path, layer])).toEqual([
    ['features.1.0.block.0', 'depthwise conv 7×7'],
    ['features.1.0.block.2', 'layer norm'],
    ['features.1.0.block.3', 'linear'],
    ['features.1.0.block.4', 'gelu'],
    ['features.1.0.block.5', 'linear'],
    ['features.1.0.stochastic_depth', 'stochastic depth 0'],
    ['features.1.0', 'Block'],
  ])
  expect(rows.find(({ path }) => path === 'features.1.0')).toMatchObject({ output: [2, 8, 8, 16], parameters: 16 })
  const counted = convNext({ depths: [1, 1], widths: [16, 24] })
    .parameters()
    .reduce((sum, { count }) => sum + count, 0)
  expect(rows.reduce((sum, { parameters }) => sum + parameters, 0)).toBe(counted)
})

test('trains, and its file predicts the same', async () => {
  const loaders = await drawnImages(platform)
  const options = { outputs: loaders.vocab.length, depths: [1, 2], widths: [16, 32], layerScale: 1, dropPath: 0.2 }
  const learner = new Learner(loaders, convNext(options), { metrics: [accuracy] })
  await learner.fitOneCycle(8, 1e-2)
  const { losses } = learner.recorder
  expect(losses.at(-1)).toBeLessThan(0.95 * losses[0])
  const path = join(folder, 'conv-next.safetensors')
  await learner.export(path)
  const models = { convNext: (given: unknown) => convNext(given as ConvNextOptions) }
  await expectSamePredictions(learner, await loadLearner(path, { models, platform }))
})
