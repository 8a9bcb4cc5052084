import { OptionError } from '../../base/errors.ts'
import { Cancel, Interrupted, SMALLEST_LOSS_SCALE, type Callback, type StepLoss } from '../fit/callback.ts'
import type { FitState } from '../fit/state.ts'
import type { LrFindOptions, SuggestionName } from './lr-find-options.ts'
import {
  minimum,
  searchCurve,
  searchLength,
  searchRates,
  slide,
  steep,
  valley,
  type LrCurve,
  type Suggestion,
  type SuggestionMethod,
} from '../results/lr-suggestions.ts'
import { SmoothLoss } from '../fit/smooth-loss.ts'

const METHODS: Readonly<Record<SuggestionName, SuggestionMethod>> = { valley, slide, minimum, steep }

/** Result of a learning rate search: its curve and the suggestions read off it. */
export interface LrSearch<Name extends SuggestionName = SuggestionName> extends LrCurve {
  /** Suggestion of each requested rule. */
  readonly suggestions: Readonly<Record<Name, Suggestion>>
}

/**
 * Searches for a learning rate: trains for some steps while the rate rises exponentially, and derives suggestions from
 * the curve of losses. Afterwards the model, the optimizer and the random number sequence are restored.
 *
 * @param fit  function that trains as `Learner.fit` does, with the callbacks that take part in a search and the given
 *   one
 * @throws OptionError  if a range is empty, a rule does not exist, or the search ended too early for a suggestion
 * @throws Interrupted  if the user stopped the search; the state is restored then too
 * Source: fastai callback/schedule.py, lr_find.
 */
export async function findLearningRate<Name extends SuggestionName>(
  state: FitState,
  options: LrFindOptions<Name>,
  fit: (epochs: number, lr: number, finder: Callback) => Promise<void>,
): Promise<LrSearch<Name>> {
  const { startLr = 1e-7, endLr = 10, steps = 100, stopWhenDiverged = true } = options
  const suggest = options.suggest ?? (['valley'] as unknown as readonly Name[])
  const unknown = suggest.find((name) => !Object.hasOwn(METHODS, name))
  if (unknown !== undefined) {
    throw new OptionError('lrFind', 'unknown suggestion', {
      given: { suggest: unknown },
      expected: Object.keys(METHODS).join(', '),
    })
  }
  const finder = new LrFinder(searchRates(startLr, endLr, steps), steps, stopWhenDiverged)
  const { loaders } = state
  const restore = await remember(state)
  try {
    await fit(Math.floor(steps / Math.max(1, loaders.train.batchCount)) + 1, startLr, finder)
  } finally {
    restore()
  }
  // The curve of an interrupted search is incomplete and would give other suggestions.
  if (state.interrupted) throw new Interrupted()
  const curve = searchCurve(finder.curve, steps)
  const found = suggest.map((name) => [name, METHODS[name](curve)] as const)
  return { ...finder.curve, suggestions: Object.fromEntries(found) as Record<Name, Suggestion> }
}

/**
 * Callback that sets the learning rate of every step, records the losses and ends the search.
 *
 * Source: fastai callback/schedule.py, LRFinder.
 */
class LrFinder implements Callback {
  readonly name = 'lrFinder'
  readonly order = 60
  readonly runsOn = 'train'
  private readonly rate: (step: number) => number
  private readonly steps: number
  private readonly stopWhenDiverged: boolean
  private readonly lrs: number[] = []
  private readonly losses: number[] = []
  private readonly smooth = new SmoothLoss()

  constructor(rate: (step: number) => number, steps: number, stopWhenDiverged: boolean) {
    this.rate = rate
    this.steps = steps
    this.stopWhenDiverged = stopWhenDiverged
  }

  /** Curve of the search so far. Losses arrive late, so steps after the end of the search are cut off. */
  get curve(): LrCurve {
    const length = this.stopWhenDiverged ? searchLength(this.losses) : this.losses.length
    return { lrs: this.lrs.slice(0, length), losses: this.losses.slice(0, length) }
  }

  prepareBatch({ optimizer, trainIteration }: FitState): void {
    const lr = this.rate(trainIteration)
    this.lrs.push(lr)
    optimizer?.setHyperparameters(optimizer.groups.map(() => ({ lr })))
  }

  afterBatch({ trainIteration }: FitState): void {
    if (trainIteration >= this.steps) throw new Cancel('fit', 'the search is over')
  }

  lossKnown(_state: FitState, { iteration, loss, scaling }: StepLoss): void {
    this.smooth.add(loss)
    this.losses.push(this.smooth.value)
    if (this.curve.losses.length < this.losses.length) throw new Cancel('fit', 'the loss diverges')
    // Overflow after successful steps means that the learning rate is too large; overflow from the start is an error,
    // as in any fit.
    const learnt = scaling && scaling.skippedSteps <= iteration
    if (learnt && scaling.lossScale < SMALLEST_LOSS_SCALE) throw new Cancel('fit', 'the gradients overflow')
  }

  beforeValidate(): void {
    throw new Cancel('validate', 'a search does not validate')
  }
}

/** Returns a function that restores everything that training changes to its present state. */
async function remember(state: FitState): Promise<() => void> {
  const { model, epochsBegun } = state
  const optimizer = state.openOptimizer()
  const { hyperparameters } = optimizer
  const [weights, optimizerState] = [await model.stateDict(), await optimizer.state()]
  return () => {
    optimizer.zeroGradients()
    optimizer.loadState(optimizerState)
    optimizer.setHyperparameters(hyperparameters)
    model.loadStateDict(weights)
    state.epochsBegun = epochsBegun
  }
}
