/**
 * A trained network in other programs: as an ONNX file, which takes pixels from 0 to 1 and has the labels in its metadata,
 * for ONNX Runtime in any language; and as safetensors, which PyTorch reads.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as ort from 'onnxruntime-web'
import { Learner } from 'wgrad'
import { batchImages } from 'wgrad/data'
import { readSafetensors } from 'wgrad/nn'
import { afterAll, expect, test } from 'vitest'
import { drawnImages, openQuietGpu, smallNetwork } from './drawn-images.ts'

const platform = await openQuietGpu()
const folder = mkdtempSync(join(tmpdir(), 'wgrad-export-'))
afterAll(() => rmSync(folder, { recursive: true }))

test('ONNX Runtime gives the same probabilities', async () => {
  const loaders = await drawnImages(platform)
  const learner = new Learner(loaders, smallNetwork())
  await learner.fit(1, 1e-3)
  await learner.exportOnnx(join(folder, 'model.onnx'))

  // Another program: an image as numbers from 0 to 1, channel after channel.
  const session = await ort.InferenceSession.create(readFileSync(join(folder, 'model.onnx')))
  const [{ image }] = await batchImages(loaders.valid, { count: 1 })
  const plane = image.width * image.height
  const input = Float32Array.from(
    { length: 3 * plane },
    (_, i) => image.data[4 * (i % plane) + Math.floor(i / plane)] / 255,
  )
  const tensor = new ort.Tensor('float32', input, [1, 3, image.height, image.width])
  const outputs = await session.run({ [session.inputNames[0]]: tensor })
  const theirs = outputs[session.outputNames[0]].data as Float32Array

  const { top } = await learner.predict(image, { topK: 10 })
  for (const { label, probability } of top) {
    // The pixels here were rounded to a 255th.
    expect(theirs[loaders.vocab.indexOf(label)]).toBeCloseTo(probability, 2)
  }
})

test('PyTorch finds the weights by their names', async () => {
  const learner = new Learner(await drawnImages(platform), smallNetwork())
  await learner.save(join(folder, 'weights.safetensors'), { withOptimizer: false })
  const { tensors } = readSafetensors('weights.safetensors', readFileSync(join(folder, 'weights.safetensors')))
  expect([...tensors.keys()]).toContain('0.0.weight')
  expect(tensors.get('0.0.weight')?.shape).toEqual([8, 3, 3, 3])
})
