import { expect, test } from 'vitest'
import { normalize } from '../../../src/data/augment/normalize.ts'
import { randomResizedCropGpu } from '../../../src/data/augment/crop.ts'
import { augTransforms } from '../../../src/data/augment/transforms.ts'
import { randomResizedCrop, resize } from '../../../src/data/item-transforms.ts'
import { multiCategoryTarget, regressionTarget } from '../../../src/data/targets.ts'
import { Learner } from '../../../src/train/learner.ts'
import type { ExportOnnxOptions } from '../../../src/train/results/export-onnx.ts'
import { Predictor, type PredictorParts } from '../../../src/train/results/predictor.ts'
import { channelsFirst } from '../../helpers/golden.ts'
import { fakePlatform } from '../../helpers/fake-platform.ts'
import { openTestGpu } from '../../helpers/gpu.ts'
import { memoryFiles } from '../../helpers/memory-files.ts'
import { decodeOnnx, faultsOf } from '../../helpers/onnx.ts'
import { runOnnx } from '../../helpers/onnx-runtime.ts'
import { stripes, tinyLoaders, tinyModel, type TinyOptions } from '../../helpers/tiny.ts'

await openTestGpu()

const IMAGE = 'set/slanted/1.png'
const SIZE = 16
const statistics = normalize({ mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] })

async function learnerWith(data: TinyOptions = {}) {
  const files = memoryFiles()
  const platform = fakePlatform({ picture: (path) => stripes(path, SIZE), files })
  const loaders = await tinyLoaders({ platform, ...data })
  return { learner: new Learner(loaders, tinyModel()), platform, files }
}

/** An image as the graph takes it: [1,3,H,W] in 0…1. */
function input(path: string): Float32Array {
  const { data } = stripes(path, SIZE)
  const rgb = Float32Array.from({ length: 3 * SIZE * SIZE }, (_, i) => data[4 * Math.floor(i / 3) + (i % 3)] / 255)
  return channelsFirst(rgb, [1, SIZE, SIZE, 3])
}

function metadataOf(bytes: Uint8Array): Record<string, unknown> {
  const model = decodeOnnx(bytes)
  expect(faultsOf(model)).toEqual([])
  return Object.fromEntries(model.metadataProps.map(({ key, value }) => [key, JSON.parse(value ?? '')]))
}

function inputSize(bytes: Uint8Array): number[] {
  const dims = decodeOnnx(bytes).graph?.input?.[0].type?.tensorType?.shape?.dim ?? []
  return dims.slice(2).map(({ dimValue }) => Number(dimValue))
}

test.each(['f32', 'mixed'])('a learner that trained in %s writes what it predicts', async (precision) => {
  const { learner, files } = await learnerWith({ batchTransforms: [statistics] })
  if (precision === 'mixed') learner.toFp16()
  await learner.fit(2, 1e-2)
  await learner.exportOnnx('models/tiny.onnx')
  const bytes = await files.read('models/tiny.onnx')
  const { probabilities } = await runOnnx(bytes, input(IMAGE), [1, 3, SIZE, SIZE])
  const expected = (await learner.toFp32().predict(IMAGE)).probabilities
  for (const [i, value] of expected.entries()) expect(Math.abs(probabilities.data[i] - value)).toBeLessThan(1e-4)
  expect(metadataOf(bytes)).toEqual({ labels: ['across', 'slanted', 'upright'] })
})

test('f16 and logits are options, and leave out what the graph does not need', async () => {
  const { learner, files } = await learnerWith()
  await learner.exportOnnx('a.onnx')
  await learner.exportOnnx('b.onnx', { precision: 'f16', logits: true })
  const [a, b] = [await files.read('a.onnx'), await files.read('b.onnx')]
  expect(decodeOnnx(a).graph?.node?.[0].opType).toBe('Conv')
  expect(decodeOnnx(b).graph?.output?.map(({ name }) => name)).toEqual(['probabilities', 'logits'])
  expect(b.length).toBeLessThan(a.length)
})

test('the input is as large as the transforms make images, and the metadata says how', async () => {
  type Transforms = Pick<PredictorParts, 'itemTransforms' | 'batchTransforms'>
  const written = async (transforms: Transforms, options?: ExportOnnxOptions) => {
    const files = memoryFiles()
    const parts = { model: tinyModel(), vocab: ['a', 'b', 'c'], platform: fakePlatform({ files }), ...transforms }
    await new Predictor(parts).exportOnnx('a.onnx', options)
    const bytes = await files.read('a.onnx')
    return [inputSize(bytes), metadataOf(bytes)]
  }
  expect(await written({ itemTransforms: [resize([20, 24])], batchTransforms: [] })).toEqual([
    [20, 24],
    {
      labels: ['a', 'b', 'c'],
      resize: { method: 'crop', width: 24, height: 20, position: [0.5, 0.5] },
    },
  ])
  const cropped = {
    itemTransforms: [randomResizedCrop(32)],
    batchTransforms: augTransforms({ size: 16, minScale: 0.5 }),
  }
  expect(await written(cropped)).toEqual([
    [16, 16],
    {
      labels: ['a', 'b', 'c'],
      resize: { method: 'middle', width: 32, height: 32, extra: 8 },
      resizeBatch: { height: 16, width: 16, kept: 1 },
    },
  ])
  const middle = { itemTransforms: [], batchTransforms: [randomResizedCropGpu(16, { validScale: 0.8 })] }
  expect(await written(middle)).toEqual([
    [16, 16],
    { labels: ['a', 'b', 'c'], resizeBatch: { height: 16, width: 16, kept: 0.8 } },
  ])
  // Another size is resized by the program that asks for it.
  expect(await written(cropped, { size: [12, 20] })).toEqual([[12, 20], { labels: ['a', 'b', 'c'] }])
})

test('the metadata has what else a prediction is made of: the threshold, and the names of numbers', async () => {
  const written = async (parts: Partial<PredictorParts>, outputs: number, options?: ExportOnnxOptions) => {
    const transforms = { itemTransforms: [], batchTransforms: [] }
    const made = { model: tinyModel({ outputs }), vocab: [], platform: fakePlatform(), ...transforms, ...parts }
    return metadataOf(await new Predictor(made).exportOnnxBytes({ size: 8, ...options }))
  }
  const vocab = ['a', 'b', 'c']
  expect(await written({ vocab, threshold: 0.4 }, 3)).toEqual({ labels: vocab, threshold: 0.4 })
  expect(await written({ vocab }, 3, { threshold: 0.7 })).toEqual({ labels: vocab, threshold: 0.7 })
  await expect(written({ vocab }, 3, { threshold: 70 })).rejects.toThrow('exportOnnx: threshold is out of range')
  // That of labels is 0.5 where nothing else is said.
  const labels = { vocab, target: multiCategoryTarget(vocab), activation: 'sigmoid' } as const
  expect(await written(labels, 3)).toEqual({ labels: vocab, threshold: 0.5 })
  const numbers = { target: regressionTarget(2, ['x', 'y']), activation: 'none' } as const
  await expect(written(numbers, 2, { threshold: 0.5 })).rejects.toThrow('numbers that are predicted have no threshold')
  expect(await written(numbers, 2)).toEqual({ labels: ['x', 'y'] })
  expect(await written({ ...numbers, target: regressionTarget(2) }, 2)).toEqual({})
})

test('a predictor without transforms needs the size', async () => {
  const { learner, platform, files } = await learnerWith({ batchTransforms: [statistics] })
  const { model } = learner
  const { vocab, valid } = learner.loaders
  const predictor = new Predictor({
    model,
    platform,
    vocab,
    itemTransforms: [],
    batchTransforms: valid.batchTransforms,
  })
  await expect(predictor.exportOnnx('a.onnx')).rejects.toThrowErrorMatchingInlineSnapshot(`
    [DataError: exportOnnx: the size of the images is not known, as no transform resizes them
      Fix: give it: { size: [height, width] }]
  `)
  await predictor.exportOnnx('a.onnx', { size: SIZE })
  await learner.exportOnnx('b.onnx')
  expect(await files.read('a.onnx')).toEqual(await files.read('b.onnx'))
})

test('what cannot be exported leaves no file', async () => {
  const { learner, files } = await learnerWith()
  await expect(learner.exportOnnx('model.safetensors')).rejects.toThrow('expected a path that ends in .onnx')
  learner.model.parameters()[0].write(new Float32Array(8 * 9 * 3).fill(Number.NaN))
  await expect(learner.exportOnnx('a.onnx')).rejects.toThrow('0.0.weight is not finite')
  expect([...files.contents.keys()]).toEqual([])
})
