import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { OptionError } from '../../../src/base/errors.ts'
import { DataBlock } from '../../../src/data/data-block.ts'
import { CategoryBlock, ImageBlock } from '../../../src/data/blocks.ts'
import { getImageFiles, parentLabel } from '../../../src/data/items.ts'
import { resize } from '../../../src/data/item-transforms.ts'
import { sampleData } from '../../../src/data/sample.ts'
import { grandparentSplitter } from '../../../src/data/splitters.ts'
import { accuracy } from '../../../src/train/fit/metrics.ts'
import { f1Score } from '../../../src/train/fit/class-metrics.ts'
import { figuresOf } from '../../../src/train/report/learner-report.ts'
import { Learner } from '../../../src/train/learner.ts'
import { createNodePlatform } from '../../../src/platform/node/index.ts'
import { openTestGpu } from '../../helpers/gpu.ts'
import { tinyLearner, tinyModel } from '../../helpers/tiny.ts'

await openTestGpu()
const folder = mkdtempSync(join(tmpdir(), 'report-'))
afterAll(() => rmSync(folder, { recursive: true }))
const platform = { ...createNodePlatform({ threads: 0 }), log: () => {}, status: undefined }

async function drawnLearner() {
  const loaders = await new DataBlock({
    blocks: [ImageBlock(), CategoryBlock()],
    getItems: getImageFiles,
    splitter: grandparentSplitter({ valid: 'val' }),
    getY: parentLabel,
    itemTransforms: [resize(16)],
  }).loaders(await sampleData({ images: 50, home: folder, platform }), { batchSize: 10, seed: 1, platform })
  return new Learner(loaders, tinyModel({ outputs: 10 }), { metrics: [accuracy, f1Score()] })
}

test('a report of any run: interval, metrics, all fits, confusion, and the most wrong images with their paths', async () => {
  const learner = await drawnLearner()
  await learner.fit(2, 1e-3)
  await learner.fitOneCycle(1, 1e-3)
  const file = join(folder, 'report.html')
  const page = await learner.report(file, { title: 'Shapes & <more>', suspects: true })
  expect(readFileSync(file, 'utf8')).toBe(page)
  expect(page).toContain('<title>Shapes &amp; &lt;more&gt;</title>')
  // Ten images to measure on say little.
  expect(page).toContain('Measured on 10 images only.')
  expect(page).toMatch(/95% interval \d+\.\d% to \d+\.\d%/)
  for (const text of ['<th>f1</th>', 'Confusion matrix', 'Most wrong', 'Labels to look at', '2 + 1', 'Grad-CAM']) {
    expect(page).toContain(text)
  }
  // Its epochs are numbered within their fits.
  expect([...page.matchAll(/<tr><td>(\d)<\/td><td>(\d)<\/td>/g)].map(([, epoch, fit]) => `${epoch} of ${fit}`)).toEqual(
    ['0 of 1', '1 of 1', '0 of 2'],
  )
  const paths = [...page.matchAll(/title="([^"]*\.jpg)"/g)].map(([, path]) => path)
  expect(paths.length).toBeGreaterThan(0)
  for (const path of paths) expect(path.startsWith(folder)).toBe(true)
  // Nothing is fetched and nothing runs.
  expect(page).not.toMatch(/<script|src="http|href="http/)
})

test('without maps and before any training', async () => {
  const learner = await drawnLearner()
  const others = await learner.getPredictions({ loader: learner.loaders.train })
  await expect(learner.report(undefined, { predictions: others })).rejects.toThrow(
    'report: these are not predictions for the validation set of the learner',
  )
  const page = await learner.report(undefined, { maps: false, predictions: await learner.getPredictions() })
  expect(page).not.toContain('Grad-CAM')
  expect(page).toContain('network, 10 classes')
})

test('the figures of a fit are those of the recorder, and fits before are kept through a checkpoint', async () => {
  const { learner } = await tinyLearner()
  await learner.fit(2, 1e-3)
  const first = learner.recorder.fits[0]
  await learner.fit(1, 1e-3)
  const { fits } = learner.recorder
  expect(fits.map(({ rows, losses, stepsPerEpoch }) => [rows.length, losses.length, stepsPerEpoch])).toEqual([
    [2, 4, 2],
    [1, 2, 2],
  ])
  expect(fits[0]).toEqual(first)
  const { epochs, steps } = figuresOf(first)
  expect(epochs.map((row) => row.metrics?.accuracy)).toEqual(first.rows.map(({ metrics }) => metrics.accuracy))
  expect(steps.map(({ iteration, loss }) => [iteration, loss])).toEqual(first.rawLosses.map((loss, i) => [i, loss]))
  const copy = (await tinyLearner()).learner.recorder
  copy.restore(JSON.parse(JSON.stringify(learner.recorder.state())) as never)
  expect(copy.fits).toEqual(fits)
})

test('mistakes are named before anything is computed', async () => {
  const { learner } = await tinyLearner()
  await expect(learner.report('report.pdf')).rejects.toThrow('the extension does not match')
  await expect(learner.report('a.html', { titel: 'x' } as object)).rejects.toThrow(OptionError)
})
