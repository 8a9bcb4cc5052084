/**
 * A trained network in other programs: as an ONNX file, which takes pixels from 0 to 1 and has the labels in its metadata,
 * for ONNX Runtime in any language; and as safetensors, which PyTorch reads.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as ort from 'onnxruntime-web'
import { Learner } from 'wgrad'
import { batchImages } from 'wgrad/data'
import { readSafetensors } from 'wgrad/nn'
import { afterAll, expect, test } from 'vitest'
import sharp from 'sharp'
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

test("the README's classify.mjs prints what the network says of a photograph, turned and resized as in training", async () => {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const [program] = readFileSync(join(root, 'README.md'), 'utf8').split('```js\n// classify.mjs\n')[1].split('```')
  writeFileSync(join(folder, 'classify.mjs'), program)
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  // On its side, longer than high, and of squares some pixels of the network wide, whose edges tell filters apart.
  const [width, height] = [320, 200]
  const isLight = (x: number, y: number, c: number) => (Math.floor(x / 13) + Math.floor(y / (11 + c))) % 2 === 1
  const data = Uint8Array.from({ length: 3 * width * height }, (_, i) => {
    const at = Math.floor(i / 3)
    return isLight(at % width, Math.floor(at / width), i % 3) ? 188 : 68
  })
  const raw = { width, height, channels: 3 } as const
  const photograph = join(folder, 'photograph.jpg')
  await sharp(data, { raw }).withMetadata({ orientation: 6 }).jpeg({ quality: 95 }).toFile(photograph)

  const learner = new Learner(await drawnImages(platform), smallNetwork())
  await learner.fit(3, 1e-2)
  await learner.exportOnnx(join(folder, 'photographs.onnx'))
  const { probabilities } = await learner.predict(photograph)
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['classify.mjs', 'photographs.onnx', 'photograph.jpg'],
    {
      cwd: folder,
    },
  )
  const printed = Array.from(stdout.matchAll(/\d\.\d+(e-\d+)?/g), ([number]) => Number(number))
  expect(printed).toHaveLength(10)
  for (const [i, probability] of probabilities.entries()) expect(Math.abs(printed[i] - probability)).toBeLessThan(0.01)
})

test('PyTorch finds the weights by their names', async () => {
  const learner = new Learner(await drawnImages(platform), smallNetwork())
  await learner.save(join(folder, 'weights.safetensors'), { withOptimizer: false })
  const { tensors } = readSafetensors('weights.safetensors', readFileSync(join(folder, 'weights.safetensors')))
  expect([...tensors.keys()]).toContain('0.0.weight')
  expect(tensors.get('0.0.weight')?.shape).toEqual([8, 3, 3, 3])
})
