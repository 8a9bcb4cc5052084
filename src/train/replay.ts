import type { Batch } from '../data/batch.ts'
import { recordWork, type RecordedWork } from '../tensor/recording.ts'
import { keep, release } from '../tensor/scope.ts'
import { hears, STEP_EVENTS, type Callback, type Step } from './callback.ts'
import type { Learner } from './learner.ts'

interface Recorded {
  readonly work: RecordedWork
  readonly step: Step
}

/**
 * The training steps of one pass through a loader. The first of a shape runs as it is written, the second is recorded,
 * and those after it are replayed: the launches are encoded again, and none of the TypeScript that made them runs.
 *
 * A recording reads the batch from the tensors it found it in, which are the same for all batches of a pass but not of
 * the next one: therefore it lasts a pass.
 */
export class StepReplay {
  private readonly allowed: boolean
  private readonly begun = new Set<string>()
  private readonly recorded = new Map<string, Recorded>()

  constructor({ replay, callbacks }: Learner) {
    this.allowed = replay && callbacks.every(leavesStepsAlike)
  }

  /** @param make  records the step; `complete` where nothing of it was cancelled */
  run(batch: Batch, make: () => { readonly step: Step; readonly complete: boolean }): Step {
    if (!this.allowed) return make().step
    const key = batch.pixels.shape.join()
    const known = this.recorded.get(key)
    if (known) {
      known.work.replay()
      return { ...known.step, batch }
    }
    // What is made only once (uploads of constants, say) would break a recording: the first step leaves it made.
    if (!this.begun.has(key)) {
      this.begun.add(key)
      return make().step
    }
    return this.record(key, make)
  }

  close(): void {
    for (const { work, step } of this.recorded.values()) {
      if (step.loss) release(step.loss)
      work.close()
    }
    this.recorded.clear()
  }

  private record(key: string, make: () => { readonly step: Step; readonly complete: boolean }): Step {
    const { result, recorded } = recordWork(() => {
      const made = make()
      // It is read after each replay, so nothing else of the step may have its place.
      if (made.step.loss) keep(made.step.loss)
      return made
    })
    const { step, complete } = result
    if (recorded && complete) this.recorded.set(key, { work: recorded, step })
    else recorded?.close()
    return step
  }
}

/** Whether a callback does the same, or nothing, within every training step. */
function leavesStepsAlike(callback: Callback): boolean {
  return callback.replayable === true || !hears(callback, true) || STEP_EVENTS.every((event) => event === 'afterBatch' || !callback[event])
}
