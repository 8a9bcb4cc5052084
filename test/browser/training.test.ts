import { afterEach, describe, expect, test } from 'vitest'
import {
  accuracy,
  addFiles,
  CategoryBlock,
  DataBlock,
  csvLogger,
  getImageFiles,
  ImageBlock,
  Interrupted,
  Learner,
  loadLearner,
  memoryFiles,
  openGpu,
  parentLabel,
  removeFiles,
  resize,
  saveModel,
  storageFiles,
  type Callback,
} from '../../src/browser.ts'
import { useGpu } from '../../src/gpu/device.ts'
import { progressEvents, type FitProgress } from '../../src/exports/train.ts'
import { draw, imageFolder, openPageGpu } from './helpers/images.ts'
import { tinyModel } from '../helpers/tiny.ts'

const { gpu, lines } = await openPageGpu({ save: storageFiles('test-training') })

let added = ''
afterEach(async () => {
  removeFiles(added)
  lines.length = 0
  const root = await navigator.storage.getDirectory()
  for await (const name of root.keys()) await root.removeEntry(name, { recursive: true })
})

async function loadersOf(count: number, { size = 24, batchSize = 4 } = {}) {
  added = await addFiles(await imageFolder(count))
  const block = new DataBlock({
    blocks: [ImageBlock(), CategoryBlock()],
    getItems: getImageFiles,
    getY: parentLabel,
    itemTransforms: [resize(size)],
  })
  return block.loaders(added, { batchSize })
}

function named(seed = 0) {
  const model = tinyModel({ seed })
  model.architecture = { name: 'tiny', options: {} }
  return model
}

async function tiny(options: ConstructorParameters<typeof Learner>[2] = {}, count = 12) {
  return new Learner(await loadersOf(count), named(), { metrics: [accuracy], ...options })
}

describe('a training run', () => {
  test('is drawn as it goes, and its model is kept and opened again', async () => {
    const seen: FitProgress[] = []
    const learner = await tiny({
      callbacks: [progressEvents((progress) => seen.push(progress), { everyMs: 0 })],
    })
    await learner.fitOneCycle(2, 1e-2)
    expect(seen.at(-1)).toMatchObject({ phase: 'end', epoch: 2, epochs: 2 })
    expect(seen.some(({ imagesPerSecond = 0 }) => imagesPerSecond > 0)).toBe(true)
    await learner.export('models/mine.safetensors')
    const frame = draw('red', 3, 40, 30)
    const expected = await learner.predict(frame)
    const predictor = await loadLearner('models/mine.safetensors', { models: { tiny: () => tinyModel() } })
    expect((await predictor.predict(frame)).probabilities).toEqual(expected.probabilities)
  })

  test('leaves its checkpoint and its table in memory, from which it is resumed', async () => {
    const save = memoryFiles()
    const own = await openGpu({ save })
    Object.assign(own.platform, { log: () => {} })
    try {
      const learner = await tiny()
      await learner.fit(2, 1e-3, { checkpoint: 'run/fit.safetensors', callbacks: [csvLogger('run/history.csv')] })
      expect((await save.list('run')).map(({ name }) => name)).toEqual(['fit.safetensors', 'history.csv'])
      expect((await save.readText('run/history.csv')).split('\n').length).toBe(4)
      const again = new Learner(learner.loaders, named(5), { metrics: [accuracy] })
      await again.fit(2, 1e-3, {
        checkpoint: 'run/fit.safetensors',
        resume: true,
        callbacks: [csvLogger('run/history.csv')],
      })
      expect(again.recorder.rows).toEqual(learner.recorder.rows)
    } finally {
      own.close()
      useGpu(gpu)
    }
  })

  test('that could not save its best model ends before its first step', async () => {
    const learner = await tiny({ callbacks: [saveModel({ file: `${added}/best.safetensors` })] })
    const unwritable = new Learner(learner.loaders, tinyModel(), {
      callbacks: [saveModel({ file: `${added}/best.safetensors` })],
    })
    await expect(unwritable.fit(1)).rejects.toThrow('openGpu({ save: storageFiles() })')
    expect(unwritable.trainIteration).toBe(0)
  })
})

describe('Stop', () => {
  const at = (event: string, stop: (state: Learner) => void): Callback => ({ name: 'stop', order: 0, [event]: stop })

  test.each(['preparing', 'beforeFit', 'beforeEpoch', 'beforeTrain', 'beforeBatch', 'afterTrain', 'beforeValidate'])(
    'is obeyed in %s',
    async (event) => {
      const learner = await tiny({ callbacks: [at(event, (state) => state.interrupt())] })
      await learner.fit(200)
      expect([learner.interrupted, learner.recorder.rows.length]).toEqual([true, 0])
      expect(learner.trainIteration).toBeLessThanOrEqual(learner.loaders.train.batchCount)
    },
  )

  test('is obeyed before a fit, and at any time by a clock', async () => {
    const learner = await tiny()
    learner.interrupt()
    await learner.fit(200)
    expect(learner.trainIteration).toBe(0)
    for (const ms of [0, 1, 20, 150, 400]) {
      const fitting = learner.fit(200)
      setTimeout(() => learner.interrupt(), ms)
      await fitting
      expect(learner.interrupted, `${ms} ms`).toBe(true)
      expect(learner.recorder.rows.length).toBeLessThan(200)
    }
    const measuring = learner.validate()
    learner.interrupt()
    await expect(measuring).rejects.toThrow(Interrupted)
    await learner.fit(1)
    expect(learner.interrupted).toBe(false)
  })
})

describe('a camera', () => {
  test('whose frame is predicted, and recorded as samples of a class', async () => {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 320, height: 240 } })
    const video = document.createElement('video')
    video.srcObject = stream
    video.muted = true
    await video.play()
    const learner = await tiny()
    const { probabilities } = await learner.predict(video)
    expect(Array.from(probabilities).reduce((sum, one) => sum + one, 0)).toBeCloseTo(1, 5)
    const bitmap = await createImageBitmap(video)
    expect([bitmap.width, bitmap.height]).toEqual([320, 240])
    await learner.predict(bitmap)
    const path = await addFiles([
      { image: bitmap, label: 'me' },
      { image: await createImageBitmap(video), label: 'not me' },
    ])
    expect((await getImageFiles(path)).map(parentLabel)).toEqual(['me', 'not me'])
    for (const track of stream.getTracks()) track.stop()
    removeFiles(path)
  })
})
