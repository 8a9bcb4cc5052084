import { OptionError } from '../../base/errors.ts'
import { FLAG, NUMBER, type Kind, type Kinds } from '../../base/options.ts'
import { Cancel, Interrupted, SMALLEST_LOSS_SCALE, type Callback, type StepLoss } from '../fit/callback.ts'
import type { FitState } from '../fit/state.ts'
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
} from '../results/lr-suggestions.ts'
import { SmoothLoss } from '../fit/smooth-loss.ts'

const METHODS = { valley, slide, minimum, steep } as const

/** How a learning rate is read off the curve: see results/lr-suggestions.ts. */
export type SuggestionName = keyof typeof METHODS

export interface LrFindOptions<Name extends SuggestionName = SuggestionName> {
  /** Default 1e-7 */
  readonly startLr?: number
  /** Default 10 */
  readonly endLr?: number
  /** Default 100 */
  readonly steps?: number
  /** End when the loss is four times the lowest so far. Default true */
  readonly stopWhenDiverged?: boolean
  /** Default valley */
  readonly suggest?: readonly Name[]
}

const LISTED: Kind = { expected: `a list of ${Object.keys(METHODS).join(', ')}`, is: Array.isArray }
export const LR_FIND_KINDS: Kinds<LrFindOptions> = {
  startLr: NUMBER,
  endLr: NUMBER,
  steps: NUMBER,
  stopWhenDiverged: FLAG,
  suggest: LISTED,
}

export interface LrSearch<Name extends SuggestionName = SuggestionName> extends LrCurve {
  readonly suggestions: Readonly<Record<Name, Suggestion>>
}

/**
 * Trains for some steps while the learning rate rises, and reads off the curve of losses which one is good. Then the
 * model, the optimizer and the random numbers to come are again what they were.
 *
 * @param fit  trains as `Learner.fit` does, with the callbacks that take part in a search and the one given
 * @throws OptionError  when there is nothing to search, or no such suggestion, or the search ended too early to suggest anything
 * @throws Interrupted  when it was interrupted; everything is put back then too
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
    throw new OptionError('lrFind', 'there is no such suggestion', {
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
  // A part of a search would suggest something else.
  if (state.interrupted) throw new Interrupted()
  const curve = searchCurve(finder.curve, steps)
  const found = suggest.map((name) => [name, METHODS[name](curve)] as const)
  return { ...finder.curve, suggestions: Object.fromEntries(found) as Record<Name, Suggestion> }
}

/**
 * Sets the learning rate of every step, keeps the losses, and ends the search.
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

  /** Losses are read late: the steps that were made after the search had ended are left out. */
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
    // After steps that went well, a learning rate was too large; otherwise it is an error, as in any fit.
    const learnt = scaling && scaling.skippedSteps <= iteration
    if (learnt && scaling.lossScale < SMALLEST_LOSS_SCALE) throw new Cancel('fit', 'the gradients overflow')
  }

  beforeValidate(): void {
    throw new Cancel('validate', 'a search does not validate')
  }
}

/** @returns what makes everything that training changes as it is now */
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
