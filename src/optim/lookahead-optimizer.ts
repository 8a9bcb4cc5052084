import type { Json } from '../base/json.ts'
import { clear, copy, launch } from '../tensor/launch.ts'
import { keep, release } from '../tensor/scope.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { item, read, upload, zeros } from '../tensor/read-write.ts'
import { entryOf } from './flat-optimizer.ts'
import { buffersOf, overBlocks, region, type ParameterBuffers, type Slot } from './flat.ts'
import type { LossScaler } from './loss-scaler.ts'
import type { Hyperparameters, Optimizer, OptimizerState, Trainable } from './optimizer.ts'
import '../gpu/wgsl/optim/lookahead.ts'
import '../gpu/wgsl/optim/lookahead-count.ts'

/** Options of `lookahead`. Source of the defaults: fastai optimizer.py, Lookahead. */
export interface LookaheadOptions {
  /** Number of steps between two synchronizations of the slow and fast weights, ≥ 1. Default 6 */
  readonly k?: number
  /** Fraction of the distance by which the slow weights approach the fast ones, from 0 to 1. Default 0.5 */
  readonly alpha?: number
}

/** Name of the count of steps in a checkpoint. */
const COUNT = 'lookahead.count'

/** Optimizer around another one: see `lookahead`. */
export class Lookahead implements Optimizer {
  readonly name = 'lookahead'
  private readonly fast: Optimizer
  private readonly settings: Required<LookaheadOptions>
  private readonly flat: ParameterBuffers
  /** Slow weights, one tensor per chunk; meaningless until the first step. */
  private readonly slow: readonly Tensor[]
  private started = false
  /** Number of steps made, without skipped ones, [] u32. */
  private readonly count: Tensor
  /** [] u32: 1 if the weights are synchronized after the last step. */
  private readonly due: Tensor
  /** Placeholder that is bound if there are no f16 copies. */
  private readonly noF16Copies: Tensor

  constructor(fast: Optimizer, options: Required<LookaheadOptions>) {
    this.fast = fast
    this.settings = options
    this.flat = buffersOf(fast.groups.flat())
    this.slow = this.flat.zerosAlike()
    this.count = keep(zeros([], 'u32'))
    this.due = keep(zeros([], 'u32'))
    this.noF16Copies = keep(zeros([4]))
  }

  get replayable(): boolean {
    return this.fast.replayable === true
  }

  get options(): Json {
    const {
      settings,
      fast: { name, options },
    } = this
    return { ...settings, around: { name, options } }
  }

  get groups(): readonly (readonly Trainable[])[] {
    return this.fast.groups
  }

  get hyperparameters(): readonly Hyperparameters[] {
    return this.fast.hyperparameters
  }

  setHyperparameters(perGroup: readonly Partial<Hyperparameters>[]): void {
    this.fast.setHyperparameters(perGroup)
  }

  step(scaler: LossScaler): void {
    const { flat, slow, count, due, settings } = this
    flat.requireAttached()
    // If this step is skipped, the next one starts from the same weights.
    if (!this.started) flat.chunks.forEach(({ values }, i) => copy(values, slow[i]))
    this.started = true
    this.fast.step(scaler)
    launch(
      'optim/lookahead-count',
      { skipped: scaler.skipped, count, due },
      { groups: 1, shape: { K: settings.k }, track: 'optimizer' },
    )
    flat.chunks.forEach(({ values, f16Copies, blocks }, i) => {
      launch(
        'optim/lookahead',
        { due, values, slow: slow[i], f16Copies: f16Copies ?? this.noF16Copies },
        {
          ...overBlocks(blocks),
          constants: { ALPHA: settings.alpha, F16_COPIES: f16Copies !== undefined },
          dtype: f16Copies ? 'f16' : 'f32',
        },
      )
    })
  }

  zeroGradients(): void {
    this.fast.zeroGradients()
  }

  freezeTo(n: number): void {
    this.fast.freezeTo(n)
  }

  clearState(): void {
    this.fast.clearState()
    this.forgetWeights()
  }

  /** Lets the slow weights begin anew, as those that they are at the next step. */
  forgetWeights(): void {
    this.fast.forgetWeights?.()
    clear(this.count)
    this.started = false
  }

  keepF16Copies(): void {
    this.fast.keepF16Copies()
  }

  async state(): Promise<OptimizerState> {
    const state = new Map<string, { shape: Shape; data: Float32Array }>(await this.fast.state())
    state.set(COUNT, { shape: [1], data: Float32Array.of(await item(this.count)) })
    if (!this.started) return state
    for (const { name, slow } of this.saved()) {
      state.set(name, { shape: slow.shape, data: Float32Array.from(await read(slow)) })
    }
    return state
  }

  checkState(state: OptimizerState): void {
    const { others } = this.stateParts(state)
    this.fast.checkState(others)
  }

  loadState(state: OptimizerState): void {
    const { count, started, loaded, others } = this.stateParts(state)
    this.fast.loadState(others)
    for (const { slow, data } of loaded) upload(slow, data)
    upload(this.count, [count])
    this.started = started
  }

  /** Returns the parts of a saved state with the tensors that they belong to. @throws DataError  if slow weights are missing */
  private stateParts(state: OptimizerState) {
    const [count] = entryOf(state, COUNT, [1])
    const saved = this.saved()
    // A state saved before the first step has no slow weights.
    const started = count > 0 || saved.some(({ name }) => state.has(name))
    const loaded = started ? saved.map(({ name, slow }) => ({ slow, data: entryOf(state, name, slow.shape) })) : []
    const own = new Set([COUNT, ...saved.map(({ name }) => name)])
    return { count, started, loaded, others: new Map([...state].filter(([name]) => !own.has(name))) }
  }

  close(): void {
    this.fast.close()
    for (const made of [...this.slow, this.count, this.due, this.noF16Copies]) release(made)
  }

  private saved(): { name: string; slow: Tensor }[] {
    const named = (slot: Slot, i: number) => ({
      name: `${slot.parameter.path}.slow_weights`,
      slow: region(this.slow[i], slot),
    })
    return this.flat.chunks.flatMap(({ slots }, i) => slots.map((slot) => named(slot, i)))
  }
}
