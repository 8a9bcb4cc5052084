import { OptionError } from '../base/errors.ts'
import { checkArgument, checkOptions, NUMBER, PATH, type Kinds } from '../base/options.ts'
import type { Loader } from '../data/loader.ts'
import type { Loaders } from '../data/loaders.ts'
import type { ImageSource } from '../image/image-source.ts'
import { rememberModes } from '../nn/in-evaluation.ts'
import type { Module } from '../nn/module.ts'
import type { Parameter } from '../nn/parameter.ts'
import type { TuneOptions } from '../ops/convolution/tuner.ts'
import { adam } from '../optim/adam.ts'
import type { LossScaler } from '../optim/loss-scaler.ts'
import type { Optimizer, OptimizerFactory } from '../optim/optimizer.ts'
import type { Platform } from '../platform/platform.ts'
import { sortCallbacks, type Callback } from './fit/callback.ts'
import { LR_FIND_KINDS, type LrFindOptions, type SuggestionName } from './callbacks/lr-find-options.ts'
import type { LrSearch } from './callbacks/lr-finder.ts'
import { Progress } from './callbacks/progress.ts'
import { trainEval } from './callbacks/train-eval.ts'
import type { ExportOptions } from './files/export.ts'
import type { ExportOnnxOptions } from './results/export-onnx.ts'
import {
  FINE_TUNE_KINDS,
  FIT_FLAT_COS_KINDS,
  FIT_KINDS,
  FIT_ONE_CYCLE_KINDS,
  FIT_SGDR_KINDS,
  LEARNER_KINDS,
  RATE,
  type FineTuneOptions,
  type FitFlatCosOptions,
  type FitOneCycleOptions,
  type FitOptions,
  type FitSgdrOptions,
  type LearnerOptions,
  type LearningRate,
} from './learner-options.ts'
import { LOADER, LOADERS, MODULE, OPTIMIZER } from './fit/kinds.ts'
import { lossFor, requireNamedActivation, type Loss } from './fit/losses.ts'
import type { Evaluation, ItemPredictions } from './fit/evaluation.ts'
import { Interruption } from './fit/interruption.ts'
import { checkedMetrics, type Metric } from './fit/metrics.ts'
import { occupancyOf, type Occupancy } from './fit/occupancy.ts'
import { freezeGroups, parameterGroups, type Groups } from './parameter-groups.ts'
import { Predictor, type Prediction, type PredictOptions } from './results/predictor.ts'
import type { FittingState } from './fits.ts'
import type { LearnerReportOptions } from './report/learner-report.ts'
import { Recorder } from './callbacks/recorder.ts'
import type { ModelSource } from './files/model-file.ts'
import type { SaveOptions } from './files/save-load.ts'
import { loopText } from './fit/loop-text.ts'
import type { TtaOptions, TtaPair, TtaPairOptions } from './results/tta.ts'

/**
 * Trainer of a model: holds the model, its data, the loss, the optimizer and the callbacks.
 *
 * Source: fastai learner.py, Learner, including its defaults.
 */
export class Learner implements FittingState {
  /**
   * Data of the learner; may be replaced between fits, as progressive resizing does. The next fit warns where the new ones
   * normalize images or number classes otherwise, or measure on images that the fit before has trained on.
   */
  loaders: Loaders
  readonly model: Module
  readonly metrics: readonly Metric[]
  readonly recorder = new Recorder()
  readonly seed: number
  readonly replay: boolean
  readonly tune: TuneOptions
  /** Loss that training minimizes; a callback may replace it for the duration of a fit. */
  loss: Loss
  lr: number
  momentums: readonly [number, number, number]
  weightDecay: number | undefined
  /** Precision of the forward and backward pass; 'mixed' stores activations in f16 and accumulates in f32. */
  precision: 'f32' | 'mixed' = 'f32'
  /** Callbacks of every fit, sorted by `order`. */
  callbacks: readonly Callback[]
  /** Optimizer of the parameters; `undefined` before the first fit. */
  optimizer: Optimizer | undefined
  /** Loss scale of the fit that is going on; `undefined` outside a fit. */
  scaler: LossScaler | undefined

  /** Number of the epoch within its fit, from 0; the position in the fit is maintained by callbacks/train-eval.ts. */
  epoch = 0
  /** Number of epochs of the fit. */
  epochs = 0
  /** True in training, false in validation and prediction. */
  training = false
  /** Number of the batch within its epoch or validation, from 0. */
  iteration = 0
  /** Number of batches of the epoch or validation. */
  batchCount = 0
  /** Batches of the epoch or validation that the GPU has finished; it lags behind `iteration`. */
  completed = 0
  /** Number of training steps of this fit so far. */
  trainIteration = 0
  /** Fraction of the fit's training steps that are done, 0 to 1. */
  progress = 0
  /** Number of epochs begun in all fits; it seeds the order of items and the random numbers of each epoch. */
  epochsBegun = 0
  /** Result of the last validation of this fit; `undefined` until an epoch has been validated. */
  evaluation: Evaluation | undefined
  /** True during predictions other than the validation of a fit. */
  evaluating = false
  readonly occupancy: Occupancy

  private readonly makeOptimizer: OptimizerFactory
  private readonly groupsOf: Groups
  /** Loaders of the last fit, before the first those that the learner was made with. */
  private fitted: Loaders
  private readonly interruption = new Interruption(() => this.requireParts())

  constructor(loaders: Loaders, model: Module, options: LearnerOptions = {}) {
    checkArgument('Learner', 'loaders', loaders, LOADERS)
    checkArgument('Learner', 'model', model, MODULE)
    checkOptions('Learner', options, LEARNER_KINDS)
    this.loaders = loaders
    this.fitted = loaders
    this.model = model
    this.occupancy = occupancyOf(model)
    this.loss = options.loss ?? lossFor(loaders.target)
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

  /** True once the user has asked to stop (`interrupt` or Ctrl-C): the fit then ends within one step. */
  get interrupted(): boolean {
    return this.interruption.requested
  }

  /** Selects mixed precision: later fits store activations in f16. @throws OptionError  during a fit */
  toFp16(): this {
    this.occupancy.requireNoFit('toFp16')
    this.precision = 'mixed'
    return this
  }

  /** Selects single precision: later fits compute in f32. @throws OptionError  during a fit */
  toFp32(): this {
    this.occupancy.requireNoFit('toFp32')
    this.precision = 'f32'
    return this
  }

  /**
   * Trains for some epochs at a constant learning rate and validates after each.
   *
   * @param epochs  number of epochs
   * @param lr      learning rate. Default: that of the learner
   * @throws OptionError  if epochs is not a non-negative integer, a batch is larger than the training set, or a fit is
   *   going on
   * @throws ShapeError  if the model has fewer outputs than there are labels
   * @throws DeviceError  if a batch needs a larger tensor than the adapter can bind; the message names the batch size
   *   that fits
   */
  fit(epochs: number, lr: LearningRate = this.lr, options: FitOptions = {}): Promise<void> {
    return this.asFit('fit', { lr, options }, FIT_KINDS, ({ fit }) => fit(this, epochs, lr, options))
  }

  /**
   * Trains with one cycle of learning rate and momentum over all epochs (see `oneCycle`).
   *
   * @param epochs  number of epochs
   * @param lrMax   highest learning rate. Default: that of the learner
   * @throws  as `fit`
   */
  fitOneCycle(epochs: number, lrMax: LearningRate = this.lr, options: FitOneCycleOptions = {}): Promise<void> {
    return this.asFit('fitOneCycle', { lrMax, options }, FIT_ONE_CYCLE_KINDS, ({ fitOneCycle }) =>
      fitOneCycle(this, epochs, lrMax, options),
    )
  }

  /**
   * Trains at a constant learning rate followed by a cosine decay (see `flatCos`).
   *
   * @param epochs  number of epochs
   * @param lr      learning rate of the constant part. Default: that of the learner
   * @throws  as `fit`
   */
  fitFlatCos(epochs: number, lr: LearningRate = this.lr, options: FitFlatCosOptions = {}): Promise<void> {
    return this.asFit('fitFlatCos', { lr, options }, FIT_FLAT_COS_KINDS, ({ fitFlatCos }) =>
      fitFlatCos(this, epochs, lr, options),
    )
  }

  /**
   * Trains the last parameter group first, then all groups at half the learning rate. With one group, as when training
   * from scratch, nothing is frozen in the first part, and a line is logged. The state of the optimizer is cleared
   * before both parts.
   *
   * @param epochs  number of epochs of the second part
   * @param baseLr  learning rate of the first part. Default 2e-3
   * @param options  as of `fitOneCycle`; `pctStart` and `div` are those of the second part. Default 0.3 and 5
   * @throws  as `fit`
   * Source: fastai callback/schedule.py, fine_tune.
   */
  fineTune(epochs: number, baseLr = 2e-3, options: FineTuneOptions = {}): Promise<void> {
    return this.asFit('fineTune', { baseLr, options }, FINE_TUNE_KINDS, ({ fineTune }) =>
      fineTune(this, epochs, baseLr, options),
    )
  }

  /**
   * Trains in cycles in which the learning rate decays to 0 along a cosine (see `sgdr`). Each cycle is cycleMult times
   * as long as the one before, so there are cycleLength · (1 + cycleMult + …) epochs.
   *
   * @param cycles       number of cycles
   * @param cycleLength  number of epochs of the first cycle
   * @throws  as `fit`, and OptionError if an argument is not a positive integer
   */
  fitSgdr(cycles: number, cycleLength: number, options: FitSgdrOptions = {}): Promise<void> {
    return this.asFit('fitSgdr', { options }, FIT_SGDR_KINDS, ({ fitSgdr }) =>
      fitSgdr(this, cycles, cycleLength, options.lrMax ?? this.lr, options),
    )
  }

  /**
   * Searches for a good learning rate: trains for 100 steps in which it rises from 1e-7 to 10, unless options say otherwise,
   * then restores the model, the optimizer and the random numbers.
   *
   * @returns  the curve, and what each rule of `suggest` reads off it: `suggestions.valley.lr`, unless others are asked for
   * @throws OptionError  if the range is empty, a rule does not exist, the search ended too early for a suggestion, or a fit
   *   is going on
   * @throws Interrupted  if the user stopped the search
   * Source: fastai callback/schedule.py, lr_find.
   */
  lrFind<Name extends SuggestionName = 'valley'>(options: LrFindOptions<Name> = {}): Promise<LrSearch<Name>> {
    return this.asFit('lrFind', { options }, LR_FIND_KINDS, async ({ fit }) => {
      const { findLearningRate } = await import('./callbacks/lr-finder.ts')
      return findLearningRate(this, options, async (epochs, lr, finder) => {
        const all = this.callbacks
        this.callbacks = all.filter(({ duringLrFind = true }) => duringLrFind)
        try {
          await fit(this, epochs, lr, { callbacks: [finder] })
        } finally {
          this.callbacks = all
        }
      })
    })
  }

  /**
   * Freezes the parameter groups before number n (a negative n counts from the end) and clears the state of the
   * optimizer. Normalization in frozen groups goes on learning; the rest stays as it is (in fastai, what was trained before
   * goes on shrinking by weight decay).
   *
   * @throws OptionError  during a step of a fit
   */
  freezeTo(n: number): void {
    this.occupancy.requireFree('freezeTo')
    freezeGroups(this.openOptimizer(), n)
  }

  /** Freezes all parameter groups but the last. @throws OptionError  if there is only one, and as `freezeTo` */
  freeze(): void {
    if (this.openOptimizer().groups.length === 1) {
      throw new OptionError('freeze', 'the learner has one parameter group, so nothing would be frozen', {
        fix: 'divide the model: new Learner(loaders, model, { groups: xresnetGroups }), or pass resnetGroups or a function of your own',
      })
    }
    this.freezeTo(-1)
  }

  /** Unfreezes all parameter groups. @throws OptionError  during a step of a fit */
  unfreeze(): void {
    this.freezeTo(0)
  }

  /**
   * Computes loss and metrics on the validation items or those of another loader. Transforms act as in validation, also
   * on `loaders.train`, where fastai would draw at random as in training. A loader that does not normalize images, such as
   * one of the loaders given to `visionLearner`, gets the normalization of the learner's own.
   *
   * @throws OptionError  if the items have no labels (see `Loaders.test`), or during a step of a fit
   */
  validate(loader: Loader = this.loaders.valid): Promise<Evaluation> {
    return this.asEvaluation('validate', async () => {
      const { evaluate } = await import('./running.ts')
      checkArgument('validate', 'loader', loader, LOADER)
      return evaluate(this, loader)
    })
  }

  /**
   * Computes predictions for the validation items or those of another loader, each item once, in the loader's order and
   * transformed as by `validate`: probabilities of classes or labels, or numbers.
   *
   * @throws OptionError  during a step of a fit
   */
  getPredictions(options: { readonly loader?: Loader } = {}): Promise<ItemPredictions> {
    return this.asEvaluation('getPredictions', async () => {
      const { predictItems } = await import('./running.ts')
      checkOptions('getPredictions', options, { loader: LOADER })
      const { loader = this.loaders.valid } = options
      return predictItems(this, loader, {}, this.loss)
    })
  }

  /**
   * Computes predictions with test-time augmentation:
   *
   *   p = (1 − beta)·mean of n passes with the random transforms of training + beta·the pass of validation
   *
   * @param options  `n`, by default 4, and `beta`, by default 0.25; `beta: null` returns the two as a pair
   * @throws OptionError  if n or beta is out of range, or during a step of a fit
   * Source: fastai learner.py, Learner.tta.
   */
  tta(options?: TtaOptions): Promise<ItemPredictions>
  tta(options: TtaPairOptions): Promise<TtaPair>
  tta(options: TtaOptions | TtaPairOptions = {}): Promise<ItemPredictions | TtaPair> {
    return this.asEvaluation('tta', async () => {
      const { testTimeAugmentation } = await import('./results/tta.ts')
      return testTimeAugmentation(this, options)
    })
  }

  /**
   * Classifies an image: a path, bytes, pixels of any size, or in a page something that it draws, transformed as in
   * validation (see `Predictor.predict`). For many images: `learner.predictor().predictAll(items)`.
   *
   * @throws DataError  if it cannot be decoded
   */
  predict(item: ImageSource, options: PredictOptions = {}): Promise<Prediction> {
    return this.predictor().predict(item, options)
  }

  /** Returns a predictor with the model, labels and transforms of this learner. It sees what training changes later. */
  predictor(): Predictor {
    this.requireParts()
    const {
      model,
      platform,
      precision,
      loss: { activation, threshold },
      loaders: {
        vocab,
        target,
        valid: { pictures, itemTransforms, batchTransforms },
      },
    } = this
    const { decoding } = pictures
    return new Predictor({
      model,
      platform,
      precision,
      vocab,
      target,
      activation,
      decoding,
      itemTransforms,
      batchTransforms,
      ...(target.columns === 'class' ? {} : { threshold }),
    })
  }

  /**
   * Writes weights, running statistics and, by default, the optimizer's state to a file of safetensors, which `load` reads.
   *
   * For PyTorch's load_state_dict(strict=True), write with `{ withOptimizer: false }`, or drop the names that begin
   * with `optimizer.` there: test/golden/load_weights.py does.
   *
   * @throws OptionError  during a step of a fit, which could change part of the weights meanwhile
   */
  async save(path: string, options: SaveOptions = {}): Promise<void> {
    await this.asEvaluation('save', async () => {
      const { SAVE_KINDS, saveLearner } = await import('./files/save-load.ts')
      checkArgument('save', 'path', path, PATH)
      checkOptions('save', options, SAVE_KINDS)
      return saveLearner(this, path, options)
    })
  }

  /** Returns the bytes that `save` writes, for instance for a Blob. @throws  as `save` */
  saveBytes(options: SaveOptions = {}): Promise<Uint8Array> {
    return this.asEvaluation('saveBytes', async () => {
      const { SAVE_KINDS, saveLearner } = await import('./files/save-load.ts')
      checkOptions('saveBytes', options, SAVE_KINDS)
      return saveLearner(this, undefined, options)
    })
  }

  /**
   * Loads a file written by `save`, a checkpoint, an export or PyTorch.
   *
   * @param source  path of the file, or its contents
   * @throws DataError  if it does not fit the model; nothing is changed then
   */
  load(source: ModelSource, options: SaveOptions = {}): Promise<void> {
    return this.asEvaluation('load', async () => {
      const { MODEL_SOURCE, restoreLearner, SAVE_KINDS } = await import('./files/save-load.ts')
      checkArgument('load', 'source', source, MODEL_SOURCE)
      checkOptions('load', options, SAVE_KINDS)
      return restoreLearner(this, source, options)
    })
  }

  /**
   * Writes one file with everything that prediction needs, for `loadLearner` and the command `wgrad predict`: weights,
   * architecture, labels, and transforms with their statistics. PyTorch reads its weights too.
   *
   * @param path  of the file, a safetensors file under any name
   * @throws OptionError  if the model has no `architecture`, so that it could not be made again; if no threshold can be
   *   suggested; or during a step of a fit
   * @throws NotFiniteError  if a weight is out of the range of f16, with `precision: 'f16'`
   */
  async export(path: string, options: ExportOptions = {}): Promise<void> {
    await this.asEvaluation('export', async () => {
      const { EXPORT_KINDS, exportLearner } = await import('./files/export.ts')
      checkArgument('export', 'path', path, PATH)
      checkOptions('export', options, EXPORT_KINDS)
      return exportLearner(this, path, options)
    })
  }

  /** Returns the bytes that `export` writes, for instance for a download of a page. @throws  as `export` */
  exportBytes(options: ExportOptions = {}): Promise<Uint8Array> {
    return this.asEvaluation('exportBytes', async () => {
      const { EXPORT_KINDS, exportLearner } = await import('./files/export.ts')
      checkOptions('exportBytes', options, EXPORT_KINDS)
      return exportLearner(this, undefined, options)
    })
  }

  /**
   * Writes an ONNX file for ONNX Runtime and other programs: images in, probabilities out, or
   * `values` of a model of numbers. Normalization is part of it, resizing is not.
   *
   * @param path  ends in .onnx
   * @throws OptionError  as the function `exportOnnx`, and in the middle of a fit
   */
  async exportOnnx(path: string, options: ExportOnnxOptions = {}): Promise<void> {
    checkArgument('exportOnnx', 'path', path, PATH)
    await this.writesOnnx(path, options)
  }

  /** Returns the bytes that `exportOnnx` writes. @throws  as `exportOnnx` */
  exportOnnxBytes(options: ExportOnnxOptions = {}): Promise<Uint8Array> {
    return this.writesOnnx(undefined, options)
  }

  private writesOnnx(path: string | undefined, options: ExportOnnxOptions): Promise<Uint8Array> {
    return this.asEvaluation('exportOnnx', async () => {
      const { writeOnnx } = await import('./results/export-onnx.ts')
      const { loaders } = this
      return writeOnnx(path, this.predictor().onnxParts(), options, async () => {
        const [, height, width] = await loaders.inputShape()
        return [height, width]
      })
    })
  }

  /**
   * Renders a report of the learner as one page of HTML: accuracy with its interval, figures of each class, curves of all
   * fits, confusion matrix, the most wrong images with their paths.
   *
   * @param file  path of the HTML file to write, ending in .html. Without one nothing is written
   * @returns  the text of the page
   * @throws OptionError  if an option is unknown, the items have no labels, or during a step of a fit
   */
  async report(file?: string, options: LearnerReportOptions = {}): Promise<string> {
    // Loaded when it is needed: a page that trains and shows figures of its own leaves it out.
    const { learnerReport } = await import('./report/learner-report.ts')
    return learnerReport(this, file, options)
  }

  /**
   * Stops the current operation within one step, as Ctrl-C does, for instance for a stop button. A fit ends as after
   * its last epoch, keeps the weights and rows so far, and leaves `interrupted` true; `validate`, `getPredictions`,
   * `tta` and `lrFind` have no result and reject with `Interrupted`.
   *
   * Before a fit, while a program still prepares, it holds for the next fit or search, which then ends before its first step.
   */
  interrupt(): void {
    this.interruption.request()
  }

  /**
   * Formats the training loop: its events and the callbacks that handle them. @returns the text, which is also logged
   */
  showTrainingLoop(): string {
    const text = loopText(this.callbacks)
    for (const line of text.split('\n')) this.platform.log(line)
    return text
  }

  /**
   * Formats the layers with their output shapes and parameters, the loss and the callbacks. @returns the text, which is
   * also logged
   */
  async summary(): Promise<string> {
    const { loaders, model, loss, callbacks } = this
    const input = await loaders.inputShape()
    const parameters = model.parameters()
    const trainable = parameters.filter(({ leaf }) => leaf.trainable)
    const { partsThatDecide } = await import('./running.ts')
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

  /** Returns the optimizer; makes it if there is none or `renew` is true. */
  openOptimizer(renew = false): Optimizer {
    if (renew && this.optimizer) {
      this.optimizer.close()
      this.optimizer = undefined
    }
    if (!this.optimizer) {
      const optimizer = this.makeOptimizer(parameterGroups(this.model, this.groupsOf))
      checkArgument('Learner', 'the result of the optimizer factory', optimizer, OPTIMIZER)
      this.optimizer = optimizer
    }
    return this.optimizer
  }

  /**
   * Runs a fit after checking its options.
   *
   * @param given  its options, and its learning rates by name
   */
  private asFit<Options extends object, Result>(
    where: string,
    given: { readonly options: Options; readonly [rate: string]: unknown },
    kinds: Kinds<Options>,
    work: (running: typeof import('./running.ts')) => Promise<Result>,
  ): Promise<Result> {
    return this.interruption.during('fit', () =>
      this.occupancy.fits(where, async () => {
        const { options, ...rates } = given
        for (const [name, rate] of Object.entries(rates)) {
          const early = rate instanceof Object && Object.keys(rate).some((key) => Object.hasOwn(kinds, key))
          const fix = early && { fix: `options come after it: ${where}(epochs, ${name}, { … })` }
          checkArgument(where, name, rate, { ...(name === 'baseLr' ? NUMBER : RATE), ...fix })
        }
        checkOptions(where, options, kinds)
        this.requireParts()
        // What trains is loaded with the first fit: a page that waits for a visitor's images is open before that.
        const running = await import('./running.ts')
        const { fitted, loaders } = this
        if (fitted !== loaders) {
          const fix = 'give both the same normalize(…), and the same vocab to their blocks'
          running.warnOfOtherData(fitted.train, loaders.train, 'in the loaders before', fix)
          if (this.epochsBegun > 0) running.warnOfLeak(fitted.train, loaders.valid)
          // Tensors that were kept for the previous loaders have other sizes.
          loaders.freeMemory()
        }
        this.fitted = loaders
        return work(running)
      }),
    )
  }

  /** Returns the platform. @throws OptionError  if a part that may be replaced between fits is something else */
  private requireParts(): Platform {
    checkArgument('learner', 'loaders', this.loaders, LOADERS)
    checkArgument('learner', 'loss', this.loss, LEARNER_KINDS.loss)
    requireNamedActivation(this.loss)
    checkArgument('learner', 'callbacks', this.callbacks, LEARNER_KINDS.callbacks)
    return this.platform
  }

  /**
   * Runs work that reads the model or replaces its weights; a fit that waits for it then continues in its previous
   * mode.
   */
  private asEvaluation<Result>(where: string, work: () => Promise<Result>): Promise<Result> {
    return this.interruption.during('evaluation', () =>
      this.occupancy.evaluates(where, async () => {
        this.requireParts()
        const { training, batchCount, iteration, completed, model } = this
        const restoreModes = rememberModes(model)
        this.evaluating = true
        try {
          return await work()
        } finally {
          this.evaluating = false
          this.platform.status?.('')
          if (this.occupancy.fitting) {
            Object.assign(this, { training, batchCount, iteration, completed })
            restoreModes()
          }
        }
      }),
    )
  }
}
