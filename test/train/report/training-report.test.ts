import { expect, test } from 'vitest'
import type { EpochResult } from '../../../src/train/report/figures.ts'
import { renderTraining, type TrainingReport } from '../../../src/train/report/training-report.ts'

/** Cells of each row of the tables below a heading, as text. */
function rows(page: string, heading: string): string[][] {
  const [section] = page.slice(page.indexOf(`${heading}</h`)).split('</table>')
  return [...section.matchAll(/<tr>([^]*?)<\/tr>/g)].map(([, row]) =>
    [...row.matchAll(/<t[dh][^>]*>([^]*?)<\/t[dh]>/g)].map(([, cell]) => cell.replaceAll(/<[^>]*>/g, '').trim()),
  )
}

const epoch = (number: number, accuracy: number, imagesPerSecond = 48.75): EpochResult => {
  const figures = { trainLoss: 1.5 + number, validLoss: 2.25 + number, seconds: 61 + number, imagesPerSecond }
  return { epoch: number, accuracy, ...figures }
}

const run = {
  title: 'pets',
  started: '2026-11-23T21:00:00Z',
  seconds: 3725,
  adapter: 'a GPU',
  software: false,
  findings: [{ severity: 'note', text: 'few', files: Array.from({ length: 14 }, (_, i) => `${i}.jpg`) }],
  fits: [
    { epochs: [epoch(0, 0.25)], steps: [], stepsPerEpoch: 2 },
    { epochs: [epoch(0, 0.5), epoch(1, 0.751, NaN)], steps: [], stepsPerEpoch: 2 },
  ],
  images: [],
  settings: [['Seed', '42']],
  next: [],
} as const

const classes: TrainingReport = {
  ...run,
  accuracy: 0.75,
  interval: [0.6, 0.85],
  baseline: 0.5,
  classes: [
    { name: 'cat', train: 1200, valid: 40, leftOut: 3, precision: 0.8, recall: 0.7, f1: 0.746 },
    { name: 'rare', train: 5, valid: 0, leftOut: 0, precision: 0, recall: 0, f1: 0 },
  ],
  confusion: { classes: [], counts: [], pairs: [] },
  mostWrong: [],
}

test('a row for each class, whose figures stand below their names, and the sum of all', async () => {
  const { page } = await renderTraining(classes)
  expect(rows(page, 'Accuracy')).toEqual([
    ['class', 'trained on', 'measured on', 'left out', 'precision', 'recall', 'F1', ''],
    ['cat', '1,200', '40', '3', '80.0%', '70.0%', '74.6%', ''],
    // Nothing is known of a class without images to measure on.
    ['rare', '5', '0', '', '–', '–', '–', ''],
    ['all', '1,205', '40', '3', '', '', '', ''],
  ])
  expect(page).toContain('style="width:70%"')
  expect(page).toContain('<strong>75.0%</strong>')
  expect(page).toMatch(/95% interval 60\.0% to 85\.0%; the most frequent\s+class alone 50\.0%/)
  expect(page).toContain('23 November 2026 at 21:00 UTC, 1:02:05 on a GPU')
  expect(page.match(/<code>\d+\.jpg/g)).toHaveLength(12)
  expect(page).toContain('… and 2 more')
})

test('a row for each epoch, with the layers that its fit trained', async () => {
  const { page } = await renderTraining({ ...classes, layers: ['head', 'all'] })
  expect(rows(page, 'Epochs')).toEqual([
    ['epoch', 'layers', 'train_loss', 'valid_loss', 'accuracy', 'time', 'images/s'],
    ['0', 'head', '1.500000', '2.250000', '25.0%', '01:01', '48.8'],
    ['0', 'all', '1.500000', '2.250000', '50.0%', '01:01', '48.8'],
    ['1', 'all', '2.500000', '3.250000', '75.1%', '01:02', '–'],
  ])
})

test('what is bad is said: nothing learnt, too few images, no GPU', async () => {
  const notes = ({ page }: { readonly page: string }) =>
    [...page.matchAll(/class="note"><b>([^<]*)/g)].map(([, note]) => note)
  expect(notes(await renderTraining(classes))).toEqual(['Measured on 40 images only.'])
  const bad = { ...classes, accuracy: 0.5, interval: [0.45, 0.55], software: true } as const
  expect(notes(await renderTraining(bad))).toEqual(['It did not learn.', 'Software adapter.'])
})

test('labels and numbers have their figures below the names of these', async () => {
  const shown = { count: 40, mostWrong: [], labels: [], numbers: [] }
  const labels = await renderTraining({
    ...run,
    target: {
      ...shown,
      isLabels: true,
      scores: { f1: 0.61, f1Micro: 0.62, exact: 0.3, exactLow: 0.2, exactHigh: 0.4, accuracy: 0.9 },
      labels: [{ name: 'outdoors', precision: 0.5, recall: 0.25, f1: 0.333, support: 1234 }],
    },
  })
  expect(rows(labels.page, 'Labels')).toEqual([
    ['label', 'measured on', 'precision', 'recall', 'F1', ''],
    ['outdoors', '1,234', '50.0%', '25.0%', '33.3%', ''],
  ])
  expect(labels.page).toContain('F1 61.0%</strong>')
  expect(labels.page).toMatch(
    /62\.0% of all decisions\. All labels right in\s+30\.0% of 40 images, 95% interval 20\.0% to 40\.0%/,
  )
  const numbers = await renderTraining({
    ...run,
    target: {
      ...shown,
      isLabels: false,
      scores: { mae: 1.23456, rmse: 2, r2: 0.5 },
      numbers: [{ name: 'x', mae: 1.5, rmse: 2.5, r2: 0.75, baseline: 5 }],
    },
  })
  expect(rows(numbers.page, 'Numbers')).toEqual([
    ['number', 'mean absolute error', 'root of mean squared error', 'R²', 'the mean alone'],
    ['x', '1.5', '2.5', '0.750', '5'],
  ])
  expect(numbers.page).toMatch(
    /<strong>1\.235<\/strong> <span class="muted">mean absolute error of 40 images; R² 0\.500/,
  )
})
