import { requireInteger } from '../base/check.ts'
import { OptionError } from '../base/errors.ts'
import type { Json } from '../base/json.ts'
import { checkArgument, checkOptions, NUMBER, PATH, type Kinds } from '../base/options.ts'
import type { Loader } from '../data/loader.ts'
import type { Loaders } from '../data/loaders.ts'
import type { Module } from '../nn/module.ts'
import type { Parameter } from '../nn/parameter.ts'
import type { TuneOptions } from '../ops/convolution/tuner.ts'
import { adam } from '../optim/adam.ts'
import { LossScaler } from '../optim/loss-scaler.ts'
import type { Optimizer, OptimizerFactory } from '../optim/optimizer.ts'
import { flatCos, learningRates, oneCycle, sgdr } from '../optim/schedule.ts'
import type { Platform } from '../platform/platform.ts'
import { requireBatchFits } from './fit/batch-fits.ts'
import { sortCallbacks, type Callback } from './fit/callback.ts'
import { checkpoints, isCheckpointOf } from './files/checkpoints.ts'
import {
  findLearningRate,
  LR_FIND_KINDS,
  type LrFindOptions,
  type LrSearch,
  type SuggestionName,
} from './callbacks/lr-finder.ts'
import { Progress } from './callbacks/progress.ts'
import { scheduler, type GroupSchedules } from './callbacks/scheduler.ts'
import { trainEval } from './callbacks/train-eval.ts'
import { exportLearner, type ExportOptions } from './files/export.ts'
import { writeOnnx, type ExportOnnxOptions } from './results/export-onnx.ts'
import {
  EXPORT_KINDS,
  FINE_TUNE_KINDS,
  FIT_FLAT_COS_KINDS,
  FIT_KINDS,
  FIT_ONE_CYCLE_KINDS,
  FIT_SGDR_KINDS,
  LEARNER_KINDS,
  RATE,
  SAVE_KINDS,
  type FineTuneOptions,
  type FitFlatCosOptions,
  type FitOneCycleOptions,
  type FitOptions,
  type FitSgdrOptions,
  type LearnerOptions,
  type LearningRate,
} from './learner-options.ts'
import { LOADER, LOADERS, MODULE, OPTIMIZER } from './fit/kinds.ts'
import { crossEntropy, type Loss } from './fit/losses.ts'
import { evaluate, predictItems, requireLabels } from './fit/evaluate.ts'
import type { Evaluation, ItemPredictions } from './fit/evaluation.ts'
import type { RunningFit } from './fit/events.ts'
import { runFit } from './fit/loop.ts'
import { LossReader } from './fit/loss-reader.ts'
import { checkedMetrics, type Metric } from './fit/metrics.ts'
import { occupancyOf, type Occupancy } from './fit/occupancy.ts'
import { parameterGroups, type Groups } from './parameter-groups.ts'
import { Predictor, type Prediction } from './results/predictor.ts'
import { Recorder } from './callbacks/recorder.ts'
import { partsThatDecide } from './fit/replay.ts'
import { restoreLearner, saveLearner, type SaveOptions } from './files/save-load.ts'
import { loopText } from './fit/loop-text.ts'
import { testTimeAugmentation, type TtaOptions, type TtaPair, type TtaPairOptions } from './results/tta.ts'
import { tuneKernels } from './fit/tune-kernels.ts'

/** Options of a fit that only other methods of the learner give it. */
interface InnerFitOptions extends FitOptions {
  /** The part of the method of that name that follows its checks. */
  readonly freezeTo?: number
}

/**
 * A model, the data and the loss: what training needs.
 *
 * Source: fastai learner.py, Learner, whose defaults it has.
 */
export class Learner implements RunningFit {
  /** May be replaced between fits, as progressive resizing does. */
  loaders: Loaders
  readonly model: Module
  readonly metrics: readonly Metric[]
  readonly recorder = new Recorder()
  readonly seed: number
  readonly replay: boolean
  readonly tune: TuneOptions
  /** A callback may put another in its place while a fit lasts. */
  loss: Loss
  lr: number
  momentums: readonly [number, number, number]
  weightDecay: number | undefined
  /** 'mixed': activations in f16, everything that adds up in f32. */
  precision: 'f32' | 'mixed' = 'f32'
  /** Sorted by order. */
  callbacks: readonly Callback[]
  /** Made with the first fit. */
  optimizer: Optimizer | undefined
  /** Of the fit going on. */
  scaler: LossScaler | undefined

  /** Where training is; see callbacks/train-eval.ts. */
  epoch = 0
  epochs = 0
  training = false
  /** Of the batch within its pass, and how many there are. */
  iteration = 0
  batchCount = 0
  /** Training steps of this fit so far, and which part of the fit they are. */
  trainIteration = 0
  progress = 0
  /** Epochs of all fits: each has an order and random numbers of its own. */
  epochsBegun = 0
  /** Of the last epoch. */
  evaluation: Evaluation | undefined
  /** The user has asked to stop (Ctrl-C): the fit ends within a step, and says so here. */
  interrupted = false

  /** True while items are predicted otherwise than for the validation of a fit. */
  evaluating = false
  readonly occupancy: Occupancy

  private readonly makeOptimizer: OptimizerFactory
  private readonly groupsOf: Groups
  private fitted: Loaders | undefined
  /** Calls that Ctrl-C ends, and how to stop listening for it. */
  private interruptible = 0
  private stopListening: (() => void) | undefined

  constructor(loaders: Loaders, model: Module, options: LearnerOptions = {}) {
    checkArgument('Learner', 'loaders', loaders, LOADERS)
    checkArgument('Learner', 'model', model, MODULE)
    checkOptions('Learner', options, LEARNER_KINDS)
    this.loaders = loaders
    this.model = model
    this.occupancy = occupancyOf(model)
    this.loss = options.loss ?? crossEntropy()
    this.metrics = checkedMetrics(options.metrics ?? [])
    this.makeOptimizer = options.optimizer ?? adam()
    this.lr = options.lr ?? 1e-3
    this.momentums = options.momentums ?? [0.95, 0.85, 0.95]
    this.weightDecay = options.weightDecay
    this.groupsOf = options.groups ?? ((whole) => [whole.parameters()])
    this.seed = options.seed ?? loaders.seed
    this.replay = options.replay ?? true
    this.tune = options.tune ?? {}
    this.callbacks = sortCallbacks([trainEval, this.recorder, new Progress(), ...(options.callbacks ?? [])])
    for (const callback of this.callbacks) callback.afterCreate?.(this)
  }

  get platform(): Platform {
    return this.loaders.platform
  }

  /** Trains in mixed precision from now on: activations in f16. @throws OptionError  while a fit is going on */
  toFp16(): this {
    this.occupancy.requireNoFit('toFp16')
    this.precision = 'mixed'
    return this
  }

  /** @throws OptionError  while a fit is going on */
  toFp32(): this {
    this.occupancy.requireNoFit('toFp32')
    this.precision = 'f32'
    return this
  }

  /**
   * Trains for some epochs at one learning rate, and measures after each.
   *
   * @throws OptionError  when epochs is no count, or a batch is larger than the training set, or a fit is going on
   * @throws ShapeError  when the model has fewer outputs than there are labels
   * @throws DeviceError  when a batch needs a larger tensor than the adapter can bind, with the batch size that fits
   */
  fit(epochs: number, lr: LearningRate = this.lr, options: FitOptions = {}): Promise<void> {
    return this.asFit('fit', { lr, options }, FIT_KINDS, () => this.fitAlone(epochs, lr, options))
  }

  private async fitAlone(epochs: number, lr: LearningRate, options: InnerFitOptions): Promise<void> {
    requireInteger('fit', 'epochs', epochs, { from: 0 })
    const { train } = this.loaders
    if (train.batchCount === 0) {
      throw new OptionError('fit', 'a batch is larger than the training set, so that there is none', {
        given: { batchSize: train.batchSize, 'training items': train.items.length },
        fix: 'use a smaller batchSize, or more items',
      })
    }
    requireLabels('fit', train)
    await requireBatchFits(this)
    // Before anything is changed: a checkpoint that cannot be continued is refused here.
    const checkpointing = await this.checkpointsOf(epochs, lr, options)
    if (options.freezeTo !== undefined) this.freezeGroups(options.freezeTo)
    // What the last loaders left is of other sizes.
    if (this.fitted && this.fitted !== this.loaders) this.loaders.freeMemory()
    this.fitted = this.loaders
    const optimizer = this.openOptimizer(options.resetOptimizer)
    const { weightDecay = this.weightDecay } = options
    const decay = weightDecay === undefined ? {} : { weightDecay }
    optimizer.setHyperparameters(this.ratesOf(lr, optimizer).map((rate) => ({ lr: rate, ...decay })))
    // Of a fit that ended within a step, or between two that add up.
    optimizer.zeroGradients()
    if (this.precision === 'mixed') optimizer.keepF16Copies()
    this.epochs = epochs
    const before = this.callbacks
    this.callbacks = sortCallbacks([...before, ...(options.callbacks ?? []), ...checkpointing])
    // A new scale for every fit, as fastai's.
    const scaler = new LossScaler({ mixed: this.precision === 'mixed' })
    const losses = new LossReader()
    this.scaler = scaler
    try {
      if (!this.interrupted) await tuneKernels(this, this.tune)
      await runFit(this, scaler, losses)
    } finally {
      this.callbacks = before
      this.scaler = undefined
      scaler.close()
      losses.close()
    }
  }

  /** Trains with one cycle of learning rate and momentum over all epochs (see `oneCycle`). @throws as `fit` */
  fitOneCycle(epochs: number, lrMax: LearningRate = this.lr, options: FitOneCycleOptions = {}): Promise<void> {
    return this.asFit('fitOneCycle', { lrMax, options }, FIT_ONE_CYCLE_KINDS, () =>
      this.oneCycleAlone(epochs, lrMax, options),
    )
  }

  private async oneCycleAlone(
    epochs: number,
    lrMax: LearningRate,
    options: FitOneCycleOptions & InnerFitOptions,
  ): Promise<void> {
    const optimizer = this.openOptimizer()
    const cycles = this.ratesOf(lrMax, optimizer).map((rate) => oneCycle(rate, { moms: this.momentums, ...options }))
    await this.fitScheduled(epochs, lrMax, cycles, options)
  }

  /** Trains at a constant learning rate that falls along a cosine at the end (see `flatCos`). @throws as `fit` */
  fitFlatCos(epochs: number, lr: LearningRate = this.lr, options: FitFlatCosOptions = {}): Promise<void> {
    return this.asFit('fitFlatCos', { lr, options }, FIT_FLAT_COS_KINDS, async () => {
      const optimizer = this.openOptimizer()
      const schedules = this.ratesOf(lr, optimizer).map((rate) => ({ lr: flatCos(rate, options) }))
      await this.fitScheduled(epochs, lr, schedules, options)
    })
  }

  /**
   * Trains the last parameter group first, then, at half the learning rate, everything. With one group, as from
   * scratch, nothing is frozen in the first part, which a line says; the optimizer forgets its averages before both.
   *
   * @param options.pctStart, options.div  of the second part. Default 0.3 and 5
   * Source: fastai callback/schedule.py, fine_tune.
   */
  fineTune(epochs: number, baseLr = 2e-3, options: FineTuneOptions = {}): Promise<void> {
    return this.asFit('fineTune', { baseLr, options }, FINE_TUNE_KINDS, () =>
      this.fineTuneAlone(epochs, baseLr, options),
    )
  }

  private async fineTuneAlone(epochs: number, baseLr: number, options: FineTuneOptions): Promise<void> {
    const { freezeEpochs = 1, lrMult = 100, pctStart = 0.3, div = 5, ...both } = options
    const lr = { start: baseLr / 2 / lrMult, stop: baseLr / 2 }
    const { checkpoint, resume = false } = options
    const pastFirst = resume && checkpoint !== undefined && (await isCheckpointOf(this, checkpoint, lr))
    if (!pastFirst) {
      if (this.openOptimizer().groups.length === 1) {
        this.platform.log(
          'fineTune: the learner has one parameter group, so nothing is frozen; to train the head first: { groups: xresnetGroups }',
        )
      }
      await this.oneCycleAlone(freezeEpochs, { stop: baseLr }, { pctStart: 0.99, ...both, freezeTo: -1 })
      if (this.interrupted) return
    }
    await this.oneCycleAlone(epochs, lr, {
      pctStart,
      div,
      ...both,
      resetOptimizer: false,
      resume: pastFirst,
      freezeTo: 0,
    })
  }

  /**
   * Trains in cycles, in each of which the learning rate falls to 0 along a cosine (see `sgdr`). Each cycle is
   * cycleMult times as long as the one before, so that there are cycleLength · (1 + cycleMult + …) epochs.
   *
   * @throws as `fit`, and OptionError when these are no counts
   */
  fitSgdr(cycles: number, cycleLength: number, options: FitSgdrOptions = {}): Promise<void> {
    return this.asFit('fitSgdr', { options }, FIT_SGDR_KINDS, async () => {
      const { lrMax = this.lr, cycleMult = 2 } = options
      const optimizer = this.openOptimizer()
      const { epochs, at } = sgdr(cycles, cycleLength, cycleMult)
      const schedules = this.ratesOf(lrMax, optimizer).map((rate) => ({ lr: at(rate) }))
      await this.fitScheduled(epochs, lrMax, schedules, options)
    })
  }

  /** Which learning rate is good: trains while it rises, and puts everything back (see callbacks/lr-finder.ts). */
  lrFind<Name extends SuggestionName = 'valley'>(options: LrFindOptions<Name> = {}): Promise<LrSearch<Name>> {
    return this.asFit('lrFind', { options }, LR_FIND_KINDS, () =>
      findLearningRate(this, options, async (epochs, lr, finder) => {
        const all = this.callbacks
        this.callbacks = all.filter(({ duringLrFind = true }) => duringLrFind)
        try {
          await this.fitAlone(epochs, lr, { callbacks: [finder] })
        } finally {
          this.callbacks = all
        }
      }),
    )
  }

  /**
   * Freezes the groups before number n (negative: from the end), and makes the optimizer forget its averages.
   *
   * @throws OptionError  in the middle of a fit
   */
  freezeTo(n: number): void {
    this.occupancy.requireFree('freezeTo')
    this.freezeGroups(n)
  }

  /** Freezes all groups but the last. @throws OptionError  when there is only one, and as `freezeTo` */
  freeze(): void {
    if (this.openOptimizer().groups.length === 1) {
      throw new OptionError('freeze', 'the learner has one parameter group, so that nothing would be frozen', {
        fix: 'divide the model: new Learner(loaders, model, { groups: xresnetGroups }), or a function of your own',
      })
    }
    this.freezeTo(-1)
  }

  unfreeze(): void {
    this.freezeTo(0)
  }

  /**
   * Loss and metrics on the validation items, or those of another loader. Transforms do what they do in validation, also
   * on `loaders.train`, where fastai would draw at random as in training.
   *
   * @throws OptionError  when the items have no labels (see `Loaders.test`), or in the middle of a fit
   */
  validate(loader: Loader = this.loaders.valid): Promise<Evaluation> {
    return this.asEvaluation('validate', () => {
      checkArgument('validate', 'loader', loader, LOADER)
      return evaluate(this, loader)
    })
  }

  /**
   * Probabilities for the validation items, or those of another loader, each once and in its order. Transformed as by
   * `validate`.
   *
   * @throws OptionError  in the middle of a fit
   */
  getPredictions(options: { readonly loader?: Loader } = {}): Promise<ItemPredictions> {
    return this.asEvaluation('getPredictions', () => {
      checkOptions('getPredictions', options, { loader: LOADER })
      const { loader = this.loaders.valid } = options
      return predictItems(this, loader, {}, (outputs) => this.loss.probabilities(outputs))
    })
  }

  /** Probabilities for the validation items, averaged over random transforms (see results/tta.ts). @throws OptionError  in the middle of a fit */
  tta(options?: TtaOptions): Promise<ItemPredictions>
  tta(options: TtaPairOptions): Promise<TtaPair>
  tta(options: TtaOptions | TtaPairOptions = {}): Promise<ItemPredictions | TtaPair> {
    return this.asEvaluation('tta', () => testTimeAugmentation(this, options))
  }

  /** What is on an image file, transformed as in validation. @throws DataError when it cannot be decoded */
  predict(path: string): Promise<Prediction> {
    const {
      model,
      platform,
      precision,
      loaders: {
        vocab,
        valid: { itemTransforms, batchTransforms },
      },
    } = this
    return new Predictor({ model, platform, precision, vocab, itemTransforms, batchTransforms }).predict(path)
  }

  /**
   * Writes weights, running statistics and, unless told otherwise, what the optimizer remembers (see files/save-load.ts).
   *
   * For PyTorch's load_state_dict(strict=True) write `{ withOptimizer: false }`, or leave out there what begins with
   * `optimizer.`: test/golden/load_weights.py does.
   *
   * @throws OptionError  in the middle of a fit, whose steps would change a part of the weights meanwhile
   */
  save(path: string, options: SaveOptions = {}): Promise<void> {
    return this.asEvaluation('save', () => {
      checkArgument('save', 'path', path, PATH)
      checkOptions('save', options, SAVE_KINDS)
      return saveLearner(this, path, options)
    })
  }

  /** Takes over what `save`, a checkpoint or PyTorch has written. @throws DataError when it does not fit, and changes nothing */
  load(path: string, options: SaveOptions = {}): Promise<void> {
    return this.asEvaluation('load', () => {
      checkArgument('load', 'path', path, PATH)
      checkOptions('load', options, SAVE_KINDS)
      return restoreLearner(this, path, options)
    })
  }

  /** Writes one file with all that prediction takes, for `loadLearner` and the command `predict` (see files/export.ts). */
  export(path: string, options: ExportOptions = {}): Promise<void> {
    return this.asEvaluation('export', () => {
      checkArgument('export', 'path', path, PATH)
      checkOptions('export', options, EXPORT_KINDS)
      return exportLearner(this, path, options)
    })
  }

  /**
   * Writes an ONNX file for ONNX Runtime and other programs: images in, probabilities out (see results/export-onnx.ts).
   *
   * @param path  ends in .onnx
   * @throws OptionError  as the function `exportOnnx`, and in the middle of a fit
   */
  exportOnnx(path: string, options: ExportOnnxOptions = {}): Promise<void> {
    return this.asEvaluation('exportOnnx', () => {
      const { model, platform, loaders } = this
      const { vocab, valid } = loaders
      const { itemTransforms, batchTransforms } = valid
      return writeOnnx(path, { model, vocab, platform, itemTransforms, batchTransforms }, options, async () => {
        const [, height, width] = await loaders.inputShape()
        return [height, width]
      })
    })
  }

  /**
   * Ends what is going on within a step, as Ctrl-C does: for a stop button. A fit ends as it does after its last epoch,
   * with the weights and the rows there are, and `interrupted` is true; `validate`, `getPredictions`, `tta` and `lrFind`
   * would have no result, and reject with `Interrupted`.
   */
  interrupt(): void {
    this.interrupted = true
  }

  /** The training loop as text: its events, and which callbacks listen. @returns the text, which is also logged */
  showTrainingLoop(): string {
    const text = loopText(this.callbacks)
    for (const line of text.split('\n')) this.platform.log(line)
    return text
  }

  /** The layers, their output shapes and parameters, and what trains them. @returns the text, which is also logged */
  async summary(): Promise<string> {
    const { loaders, model, loss, callbacks } = this
    const input = await loaders.inputShape()
    const parameters = model.parameters()
    const trainable = parameters.filter(({ leaf }) => leaf.trainable)
    const deciding = partsThatDecide(this)
    const count = (some: readonly Parameter[]) => some.reduce((sum, parameter) => sum + parameter.count, 0)
    const text = [
      `input [${input.join(',')}], ${this.precision === 'mixed' ? 'f16' : 'f32'}`,
      model.summary(input),
      `${count(trainable)} of ${count(parameters)} parameters are trainable`,
      `loss: ${loss.name}`,
      ...(deciding.length > 0 ? [`steps are not replayed, as these may decide at each: ${deciding.join(', ')}`] : []),
      `callbacks: ${callbacks.map(({ name }) => name).join(', ')}`,
    ].join('\n')
    for (const line of text.split('\n')) this.platform.log(line)
    return text
  }

  /** The optimizer, made when there is none or a new one is wanted. */
  openOptimizer(renew = false): Optimizer {
    if (renew && this.optimizer) {
      this.optimizer.close()
      this.optimizer = undefined
    }
    if (!this.optimizer) {
      const optimizer = this.makeOptimizer(parameterGroups(this.model, this.groupsOf))
      checkArgument('Learner', 'the optimizer that was made', optimizer, OPTIMIZER)
      this.optimizer = optimizer
    }
    return this.optimizer
  }

  private fitScheduled(
    epochs: number,
    lr: LearningRate,
    groups: readonly GroupSchedules[],
    options: FitOptions,
  ): Promise<void> {
    const callbacks = [scheduler(groups), ...(options.callbacks ?? [])]
    return this.fitAlone(epochs, lr, { ...options, callbacks })
  }

  private async checkpointsOf(epochs: number, lr: LearningRate, options: InnerFitOptions): Promise<Callback[]> {
    const { callbacks: own = [], checkpoint, resume = false, resetOptimizer: _reset, ...described } = options
    if (checkpoint === undefined) {
      if (!resume) return []
      throw new OptionError('fit', 'there is no checkpoint to go on from', {
        given: { resume },
        fix: 'name the file: { checkpoint: path, resume: true }',
      })
    }
    const fit = { epochs, lr: lr as Json, momentums: this.momentums, weightDecay: this.weightDecay, ...described }
    const callbacks = sortCallbacks([...this.callbacks, ...own])
    return [await checkpoints(this, { file: checkpoint, resume, fit, epochs, callbacks })]
  }

  private ratesOf(lr: LearningRate, optimizer: Optimizer): number[] {
    const { length } = optimizer.groups
    return typeof lr === 'number' ? new Array<number>(length).fill(lr) : learningRates(lr, length)
  }

  private freezeGroups(n: number): void {
    const optimizer = this.openOptimizer()
    optimizer.freezeTo(n)
    optimizer.clearState()
  }

  /** @param given  its options, and learning rates by their name */
  private asFit<Options extends object, Result>(
    where: string,
    given: { readonly options: Options; readonly [rate: string]: unknown },
    kinds: Kinds<Options>,
    work: () => Promise<Result>,
  ): Promise<Result> {
    return this.untilInterrupted(() =>
      this.occupancy.fits(where, () => {
        const { options, ...rates } = given
        checkOptions(where, options, kinds)
        for (const [name, rate] of Object.entries(rates)) {
          checkArgument(where, name, rate, name === 'baseLr' ? NUMBER : RATE)
        }
        return work()
      }),
    )
  }

  /** Work that reads the model or replaces its weights; a fit that waits for it goes on in the mode that it was in. */
  private asEvaluation<Result>(where: string, work: () => Promise<Result>): Promise<Result> {
    return this.untilInterrupted(() =>
      this.occupancy.evaluates(where, async () => {
        const { training, batchCount, iteration, model } = this
        const modelTraining = model.training
        this.evaluating = true
        try {
          return await work()
        } finally {
          this.evaluating = false
          if (this.occupancy.fitting) {
            Object.assign(this, { training, batchCount, iteration })
            if (modelTraining) model.train()
            else model.eval()
          }
        }
      }),
    )
  }

  /** Listens for Ctrl-C while the work goes on; within work that is listened to already it belongs to that. */
  private async untilInterrupted<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.interruptible++ === 0) {
      this.interrupted = false
      this.stopListening = this.platform.onInterrupt(() => this.interrupt())
    }
    try {
      return await work()
    } finally {
      if (--this.interruptible === 0) this.stopListening?.()
    }
  }
}
