import { OptionError } from '../../base/errors.ts'
import type { Batch } from '../../data/batch.ts'
import { recordWork, type Difference, type RecordedWork } from '../../tensor/recording.ts'
import { keep, release } from '../../tensor/scope.ts'
import { hears, STEP_EVENTS, type Callback, type Step } from './callback.ts'
import type { RunningFit } from './events.ts'

interface Recorded {
  readonly work: RecordedWork
  readonly step: Step
  /** Steps made of it so far. */
  readonly replays: number
}

/** A step as its code makes it; `complete` where nothing of it was cancelled. */
type MakeStep = () => { readonly step: Step; readonly complete: boolean }

/**
 * A recording is compared with a fresh step at its 4th, 16th and every 64th replay: two or three times in a short
 * epoch, and so seldom that what it costs (the TypeScript of one step, a few milliseconds) does not show.
 */
const FIRST_COMPARISONS = [4, 16]
const COMPARE_EVERY = 64

/**
 * The training steps of one pass through a loader. The first of a shape runs as it is written, the second is recorded,
 * and those after it are replayed: the launches are encoded again, and none of the TypeScript that made them runs. Now
 * and then a step runs as it is written again, and must launch what was recorded.
 *
 * A recording reads the batch from the tensors it found it in, which are the same for all batches of a pass but not of
 * the next one: therefore it lasts a pass.
 */
export class StepReplay {
  private readonly state: RunningFit
  private readonly allowed: boolean
  private readonly begun = new Set<string>()
  private readonly recorded = new Map<string, Recorded>()

  constructor(state: RunningFit) {
    this.state = state
    this.allowed = state.replay && partsThatDecide(state).length === 0
  }

  /**
   * @param make  records the step
   * @throws OptionError  when the code of a step does something else than the recording that was replayed in its place
   */
  run(batch: Batch, make: MakeStep): Step {
    if (!this.allowed) return make().step
    const key = batch.pixels.shape.join()
    const known = this.recorded.get(key)
    if (known) {
      const replays = known.replays + 1
      const due = FIRST_COMPARISONS.includes(replays) || replays % COMPARE_EVERY === 0
      const step = due ? this.compare(known, make) : known.step
      if (!due) known.work.replay()
      this.recorded.set(key, { ...known, step, replays })
      return { ...step, batch }
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

  private record(key: string, make: MakeStep): Step {
    const { result, recorded } = recordWork(() => keepLoss(make()))
    const { step, complete } = result
    if (recorded && complete) this.recorded.set(key, { work: recorded, step, replays: 0 })
    else recorded?.close()
    return step
  }

  /** Makes a step by its code, in the place of a replay. */
  private compare({ work, step }: Recorded, make: MakeStep): Step {
    if (step.loss) release(step.loss)
    const { result, difference } = work.compare(() => keepLoss(make()))
    if (!difference) return result.step
    if (result.step.loss) release(result.step.loss)
    throw changedStep(this.state, difference)
  }
}

/** The parts of a training step whose code may do something else at every step, by name: those that do not say otherwise. */
export function partsThatDecide(state: RunningFit): string[] {
  const { callbacks, loss, optimizer } = state
  return [
    ...new Set(
      state.model
        .modules()
        .filter((module) => !module.replayable)
        .map((module) => `module ${module.constructor.name}`),
    ),
    ...(loss.replayable === true ? [] : [`loss ${loss.name}`]),
    ...(optimizer && optimizer.replayable !== true ? [`optimizer ${optimizer.constructor.name}`] : []),
    ...callbacks.filter((callback) => !leavesStepsAlike(callback)).map(({ name }) => `callback ${name}`),
  ]
}

/** True if a callback does the same, or nothing, within every training step. */
function leavesStepsAlike(callback: Callback): boolean {
  return (
    callback.replayable === true ||
    !hears(callback, true) ||
    STEP_EVENTS.every((event) => event === 'afterBatch' || !callback[event])
  )
}

/** Keeps the loss of a step, which is read after each replay: nothing else of the step may have its place. */
function keepLoss<Made extends { readonly step: Step }>(made: Made): Made {
  if (made.step.loss) keep(made.step.loss)
  return made
}

function changedStep({ epoch, iteration }: RunningFit, { place, recorded, now }: Difference): OptionError {
  return new OptionError(
    'replay',
    'a training step launches something else than the recorded step that was replayed in its place',
    {
      given: { step: `batch ${iteration} of epoch ${epoch}`, launch: place, recorded, now },
      expected: 'the same launches for every batch, in every part of the step that says it is `replayable`',
      fix: 'leave out `replayable` where TypeScript decides or the fit is changed within an epoch, or switch replay off: new Learner(loaders, model, { replay: false })',
    },
  )
}
