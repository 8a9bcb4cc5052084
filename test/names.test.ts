import { expect, test } from 'vitest'
import { className } from '../src/cli/class-names.ts'
import { html } from '../src/train/report/html.ts'
import { CategoryBlock, ImageBlock } from '../src/data/blocks.ts'
import { DataBlock } from '../src/data/data-block.ts'
import { parentLabel } from '../src/data/items.ts'
import { showBatch } from '../src/data/show.ts'
import { csvLogger } from '../src/train/callbacks/csv-logger.ts'
import { saveModel } from '../src/train/callbacks/save-model.ts'
import { loadLearner } from '../src/train/files/export.ts'
import { ClassificationInterpretation } from '../src/train/results/interpretation.ts'
import { Learner } from '../src/train/learner.ts'
import { accuracy, type Metric } from '../src/train/fit/metrics.ts'
import { encodePng } from '../src/platform/node/png.ts'
import { fakePlatform } from './helpers/fake-platform.ts'
import { openTestGpu } from './helpers/gpu.ts'
import { memoryFiles } from './helpers/memory-files.ts'
import { tinyModel } from './helpers/tiny.ts'

await openTestGpu()

/** Names that every object of JavaScript has something under. */
const NAMES = ['__proto__', 'constructor', 'toString']

test('classes may have any name, from the folders to the report', async () => {
  const files = memoryFiles()
  const platform = Object.defineProperty(fakePlatform({ files }), 'encodePng', { value: encodePng })
  const block = new DataBlock({
    blocks: [ImageBlock(), CategoryBlock()],
    getItems: () => Array.from({ length: 18 }, (_, i) => `set/${NAMES[i % 3]}/${i}-16x16.png`),
    getY: parentLabel,
    splitter: (items) => ({
      train: Uint32Array.from({ length: 12 }, (_, i) => i),
      valid: Uint32Array.from({ length: items.length - 12 }, (_, i) => 12 + i),
    }),
  })
  const loaders = await block.loaders('set', { batchSize: 4, platform })
  expect(loaders.vocab).toEqual(NAMES)
  const named = (name: string): Metric =>
    Object.defineProperty((...given: Parameters<Metric>) => accuracy(...given), 'name', { value: name })
  const learner = new Learner(loaders, tinyModel(), { metrics: NAMES.map(named) })
  await learner.fit(1, 1e-2, {
    callbacks: [csvLogger('a.csv'), saveModel({ file: 'a.safetensors', monitor: '__proto__' })],
    checkpoint: 'c.safetensors',
  })
  const { metrics, loss } = await learner.validate()
  expect(Object.keys(metrics)).toEqual(NAMES)
  expect(Object.keys(learner.recorder.rows[0].metrics)).toEqual(NAMES)
  for (const name of NAMES) expect(metrics[name]).toBeGreaterThanOrEqual(0)
  expect(loss).toBeGreaterThan(0)
  expect((await files.readText('a.csv')).split('\n')[0]).toBe(
    'epoch,train_loss,valid_loss,__proto__,constructor,toString,time',
  )
  const { label } = await learner.predict('set/constructor/1-16x16.png')
  expect(NAMES).toContain(label)
  const found = new ClassificationInterpretation(await learner.getPredictions(), loaders.vocab)
  for (const name of NAMES) expect(found.classificationReport()).toContain(name)
  for (const { actual, predicted } of found.mostConfused()) {
    expect(NAMES).toEqual(expect.arrayContaining([actual, predicted]))
  }
  await showBatch(loaders.train, 'batch.png')
  // In a report, and by the name that people say.
  expect(NAMES.map(className)).toEqual(NAMES)
  expect(html`<td>${NAMES.map(className)}</td>`.text).toBe('<td>__proto__constructortoString</td>')
  expect(className('n03888257')).toBe('parachute')
  await expect(loadLearner('a.safetensors', { platform })).rejects.toThrow('a.safetensors')
})

test('figures of metrics stand under their names, also where those are whole numbers', async () => {
  const files = memoryFiles()
  const platform = fakePlatform({ files })
  const loaders = await new DataBlock({
    blocks: [ImageBlock(), CategoryBlock()],
    getY: parentLabel,
    splitter: () => ({ train: Uint32Array.of(0, 1), valid: Uint32Array.of(2) }),
    getItems: () => ['a/1-16x16.png', 'b/2-16x16.png', 'a/3-16x16.png'],
  }).loaders('', { batchSize: 2, platform })
  const is = (value: number) => () => value
  const learner = new Learner(loaders, tinyModel(), { metrics: [{ last: is(0.5) }, { 10: is(10), 2: is(2) }] })
  await learner.fit(1, 1e-2, { callbacks: [csvLogger('a.csv')] })
  const [names, values] = (await files.readText('a.csv')).split('\n').map((line) => line.split(','))
  const [header, row] = platform.lines.slice(-2).map((line) => line.split(/\s+/))
  for (const [name, value] of Object.entries({ last: 0.5, 2: 2, 10: 10 })) {
    expect(Number(values[names.indexOf(name)])).toBe(value)
    expect(Number(row[header.indexOf(name)])).toBe(value)
  }
})

test.each(NAMES)('a figure, a suggestion and a model called %s are refused where there is none', async (name) => {
  const platform = fakePlatform({ files: memoryFiles() })
  expect(() => saveModel({ [name]: 1 })).toThrow(`there is no option '${name}'`)
  const learner = new Learner(
    await new DataBlock({
      blocks: [ImageBlock(), CategoryBlock()],
      getY: parentLabel,
      splitter: () => ({ train: Uint32Array.of(0, 1), valid: Uint32Array.of(2) }),
      getItems: () => ['a/1-16x16.png', 'b/2-16x16.png', 'a/3-16x16.png'],
    }).loaders('', { batchSize: 2, platform }),
    tinyModel(),
  )
  await expect(learner.lrFind({ suggest: [name as 'valley'] })).rejects.toThrow('unknown suggestion')
  await expect(learner.fit(1, 1e-3, { callbacks: [saveModel({ monitor: name })] })).rejects.toThrow(
    `there is no figure '${name}' to monitor`,
  )
})
