import { OptionError } from '../../base/errors.ts'
import type { Batch } from '../../data/batch.ts'
import { capture, type Difference, type Capture } from '../../tensor/capture.ts'
import { keep, release } from '../../tensor/scope.ts'
import { hears, STEP_EVENTS, type Callback, type Step } from './callback.ts'
import type { RunningFit } from './events.ts'

interface CapturedStep {
  readonly work: Capture
  readonly step: Step
  /** Number of times the capture has been replayed. */
  readonly replays: number
}

/** Function that runs the TypeScript code of a step; `complete` is false if a part of the step was cancelled. */
type MakeStep = () => { readonly step: Step; readonly complete: boolean }

/**
 * Replays at which the capture is compared with a fresh step: the 4th, the 16th and every 64th. This is two or three
 * times in a short epoch, and rare enough that the cost (the TypeScript of one step, a few milliseconds) is negligible.
 */
const FIRST_COMPARISONS = [4, 16]
const COMPARE_EVERY = 64

/**
 * Training steps of one epoch, with replay. For each batch shape the first step runs its TypeScript code, the second is
 * captured, and later ones replay the capture: the launches are encoded again without running the TypeScript that
 * made them. From time to time a step runs its code again, which must launch exactly what was captured.
 *
 * A capture reads the batch from fixed tensors, which all batches of an epoch share but which change between epochs;
 * therefore a capture is valid for one epoch only.
 */
export class StepReplay {
  private readonly state: RunningFit
  private readonly allowed: boolean
  private readonly begun = new Set<string>()
  private readonly captured = new Map<string, CapturedStep>()

  constructor(state: RunningFit) {
    this.state = state
    this.allowed = state.replay && partsThatDecide(state).length === 0
  }

  /**
   * Runs or replays the step of a batch.
   *
   * @param make  function that runs the TypeScript code of the step
   * @throws OptionError  if the code of the step launches other work than the capture
   */
  run(batch: Batch, make: MakeStep): Step {
    if (!this.allowed) return make().step
    const key = batch.pixels.shape.join()
    const known = this.captured.get(key)
    if (known) {
      const replays = known.replays + 1
      const due = FIRST_COMPARISONS.includes(replays) || replays % COMPARE_EVERY === 0
      const step = due ? this.compare(known, make) : known.step
      if (!due) known.work.replay()
      this.captured.set(key, { ...known, step, replays })
      return { ...step, batch }
    }
    // Work done only once, such as uploads of constants, must not be part of a capture: the first step does it.
    if (!this.begun.has(key)) {
      this.begun.add(key)
      return make().step
    }
    return this.capture(key, make)
  }

  close(): void {
    for (const { work, step } of this.captured.values()) {
      if (step.loss) release(step.loss)
      work.close()
    }
    this.captured.clear()
  }

  private capture(key: string, make: MakeStep): Step {
    const { result, captured } = capture(() => keepLoss(make()))
    const { step, complete } = result
    if (captured && complete) this.captured.set(key, { work: captured, step, replays: 0 })
    else captured?.close()
    return step
  }

  /** Runs the code of a step in place of a replay and compares its launches with the capture. */
  private compare({ work, step }: CapturedStep, make: MakeStep): Step {
    if (step.loss) release(step.loss)
    const { result, difference } = work.compare(() => keepLoss(make()))
    if (!difference) return result.step
    if (result.step.loss) release(result.step.loss)
    throw changedStep(this.state, difference)
  }
}

/**
 * Returns the names of those parts of a training step that are not marked `replayable`: their code may launch different
 * work at each step.
 */
export function partsThatDecide(state: RunningFit): string[] {
  const { callbacks, loss, optimizer, loaders } = state
  return [
    ...loaders.train.batchTransforms.flatMap((transform) =>
      transform.kind === 'own' && !transform.replayable ? [`transform ${transform.name}`] : [],
    ),
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

/** Returns true if a callback launches the same work, or none, within every training step. */
function leavesStepsAlike(callback: Callback): boolean {
  return (
    callback.replayable === true ||
    !hears(callback, true) ||
    STEP_EVENTS.every((event) => event === 'afterBatch' || !callback[event])
  )
}

/**
 * Excludes the loss of a step from release at its end: it is read after each replay, so its memory must not be reused.
 */
function keepLoss<Made extends { readonly step: Step }>(made: Made): Made {
  if (made.step.loss) keep(made.step.loss)
  return made
}

function changedStep({ epoch, iteration }: RunningFit, { place, captured, now }: Difference): OptionError {
  return new OptionError(
    'replay',
    'a training step launches other work than the captured step that was replayed before',
    {
      given: { step: `batch ${iteration} of epoch ${epoch}`, launch: place, captured, now },
      expected: 'the same launches for every batch from every part of the step marked `replayable`',
      fix: 'remove `replayable` from parts that decide in TypeScript or change within an epoch, or switch replay off: new Learner(loaders, model, { replay: false })',
    },
  )
}
