import { hears, type Callback, type LoopEvent, type StepEvent } from './callback.ts'

/** Lines of `loopText`: names of parts, and events indented under the part they belong to. */
const LOOP: readonly (
  string | readonly [depth: number, event: LoopEvent | StepEvent | 'prepareBatch', when?: 'train' | 'valid']
)[] = [
  'fit',
  [1, 'beforeFit'],
  '  epoch',
  [2, 'beforeEpoch'],
  '    train',
  [3, 'beforeTrain'],
  '      batch',
  [4, 'prepareBatch', 'train'],
  [4, 'beforeBatch', 'train'],
  [4, 'afterPrediction', 'train'],
  [4, 'afterLoss', 'train'],
  [4, 'beforeBackward', 'train'],
  [4, 'afterCancelBackward', 'train'],
  [4, 'afterBackward', 'train'],
  [4, 'beforeStep', 'train'],
  [4, 'afterCancelStep', 'train'],
  [4, 'afterStep', 'train'],
  [4, 'afterCancelBatch', 'train'],
  [4, 'afterBatch', 'train'],
  [3, 'afterCancelTrain'],
  [3, 'afterTrain'],
  '    validate',
  [3, 'beforeValidate'],
  '      batch',
  [4, 'prepareBatch', 'valid'],
  [4, 'beforeBatch', 'valid'],
  [4, 'afterPrediction', 'valid'],
  [4, 'afterLoss', 'valid'],
  [4, 'afterCancelBatch', 'valid'],
  [4, 'afterBatch', 'valid'],
  [3, 'afterCancelValidate'],
  [3, 'afterValidate'],
  [2, 'afterCancelEpoch'],
  [2, 'afterEpoch'],
  [1, 'afterCancelFit'],
  [1, 'afterFit'],
]

/**
 * Returns the training loop as text: its parts, its events, and for each event the names of the callbacks with a
 * handler, in the order in which they run.
 */
export function loopText(callbacks: readonly Callback[]): string {
  const lines = LOOP.map((entry) => {
    if (typeof entry === 'string') return entry
    const [depth, event, when] = entry
    const listening = callbacks.filter((callback) => callback[event] && (!when || hears(callback, when === 'train')))
    return `${'  '.repeat(depth)}- ${event}: ${listening.map(({ name }) => name).join(', ') || '·'}`
  })
  return lines.join('\n')
}
