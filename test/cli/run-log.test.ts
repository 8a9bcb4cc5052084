import { expect, test } from 'vitest'
import { epochsOf, historyCsv } from '../../src/cli/train/run-log.ts'
import type { EpochRow, RecordedFit } from '../../src/train/fit/history.ts'

const row = (epoch: number, rest: Partial<EpochRow> = {}): EpochRow => ({
  epoch,
  trainLoss: 1.5,
  validLoss: 2.5,
  metrics: { accuracy: 0.5 },
  timeMs: 3500,
  imagesPerSecond: 12.25,
  ...rest,
})
const fit = (rows: readonly EpochRow[]) => ({ rows }) as RecordedFit

test('every figure of an epoch stands below its name, in seconds and with all digits', () => {
  const mixed = { skippedSteps: 2, lossScale: 65536, trainLoss: 0.1 + 0.2 }
  expect(historyCsv(epochsOf([fit([row(0)]), fit([row(0), row(1, mixed)])]), true)).toBe(
    [
      'layers,epoch,train_loss,valid_loss,accuracy,seconds,images_per_second,skipped_steps,loss_scale',
      'head,0,1.5,2.5,0.5,3.5,12.25,,',
      'all,0,1.5,2.5,0.5,3.5,12.25,,',
      'all,1,0.30000000000000004,2.5,0.5,3.5,12.25,2,65536',
      '',
    ].join('\n'),
  )
})

test('other metrics stand there by their names', () => {
  const metrics = { mae: 3, r2_score: 0.25 }
  expect(historyCsv(epochsOf([fit([row(0, { metrics })])]), false)).toBe(
    'layers,epoch,train_loss,valid_loss,mae,r2_score,seconds,images_per_second,skipped_steps,loss_scale\n' +
      'all,0,1.5,2.5,3,0.25,3.5,12.25,,\n',
  )
})
