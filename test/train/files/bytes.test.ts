import { expect, test } from 'vitest'
import { showBatch } from '../../../src/data/show.ts'
import { loadLearner } from '../../../src/train/files/export.ts'
import { Learner } from '../../../src/train/learner.ts'
import { showResults } from '../../../src/train/results/show-results.ts'
import { fakePlatform } from '../../helpers/fake-platform.ts'
import { openTestGpu } from '../../helpers/gpu.ts'
import { memoryFiles } from '../../helpers/memory-files.ts'
import { stripes, tinyLoaders, tinyModel } from '../../helpers/tiny.ts'

await openTestGpu()

const models = { tiny: () => tinyModel() }

async function fitted() {
  const files = memoryFiles()
  const encodePng = async () => Uint8Array.of(1, 2, 3)
  const platform = { ...fakePlatform({ picture: (path) => stripes(path, 16) }), files, encodePng }
  const loaders = await tinyLoaders({ platform })
  const model = tinyModel()
  model.architecture = { name: 'tiny', options: {} }
  const learner = new Learner(loaders, model)
  await learner.fit(1)
  return { learner, files, platform, written: (path: string) => files.contents.get(path) }
}

test('everything that is written is returned as bytes, too, and nothing is written then', async () => {
  const { learner, files, written } = await fitted()
  const bytes = {
    'a.safetensors': await learner.exportBytes(),
    'b.safetensors': await learner.exportBytes({ precision: 'f16' }),
    'c.safetensors': await learner.saveBytes(),
    'd.safetensors': await learner.saveBytes({ withOptimizer: false }),
    'e.onnx': await learner.exportOnnxBytes(),
    'f.png': await showBatch(learner.loaders.train),
    'g.png': await showResults(learner),
  }
  const svg = await learner.recorder.plot()
  expect(files.contents.size).toBe(0)
  await learner.export('a.safetensors')
  await learner.export('b.safetensors', { precision: 'f16' })
  await learner.save('c.safetensors')
  await learner.save('d.safetensors', { withOptimizer: false })
  await learner.exportOnnx('e.onnx')
  await showBatch(learner.loaders.train, 'f.png')
  await showResults(learner, 'g.png')
  await learner.recorder.plot('h.svg')
  for (const [path, content] of Object.entries(bytes)) expect(written(path), path).toEqual(content)
  // Names of styles are counted through the program.
  const anonymous = (text: string) => text.replaceAll(/zr\d+-(cls-)?[a-z]?\d+/g, 'zr')
  expect(anonymous(new TextDecoder().decode(written('h.svg')))).toBe(anonymous(svg))
  expect(svg).toMatch(/^<svg /)
  await expect(learner.exportBytes({ precision: 'f64' as never })).rejects.toThrow('precision')
})

test('what was written is loaded from its bytes, a buffer of them, or a file of a page', async () => {
  const { learner, platform } = await fitted()
  const [exported, saved] = [await learner.exportBytes(), await learner.saveBytes()]
  const item = learner.loaders.train.pictures.items[0]
  const expected = (await learner.predict(item)).probabilities
  for (const source of [exported, exported.slice().buffer, new Blob([exported as BlobPart])]) {
    const predictor = await loadLearner(source, { platform, models })
    expect((await predictor.predict(item)).probabilities).toEqual(expected)
    expect((await predictor.exportOnnxBytes({ size: 16 })).length).toBeGreaterThan(1000)
  }
  const other = new Learner(learner.loaders, tinyModel({ seed: 9 }))
  await other.load(new Blob([saved as BlobPart]))
  expect((await other.predict(item)).probabilities).toEqual(expected)
  // A damaged one is refused by its name.
  await expect(loadLearner(new File(['abc'], 'mine.safetensors'), { platform })).rejects.toThrow('mine.safetensors: ')
  await expect(other.load(exported.subarray(0, 100))).rejects.toThrow('the model file: ')
  await expect(other.load('')).rejects.toThrow('source')
})
