import { requireRange } from '../base/check.ts'
import { DataError, OptionError } from '../base/errors.ts'
import { formatShape } from '../base/format.ts'
import type { Json } from '../base/json.ts'
import type { ConstantValue } from '../gpu/prelude.ts'
import type { ShaderName } from '../gpu/shader-source.ts'
import { clear, launch } from '../tensor/launch.ts'
import { keep, release } from '../tensor/scope.ts'
import { elementCount, sameShape, type Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { read, upload, zeros } from '../tensor/read-write.ts'
import { clearGradient, ParameterBuffers, overBlocks, region, type Slot } from './flat.ts'
import { checkHyperparameters } from './hyperparameters.ts'
import type { LossScaler } from './loss-scaler.ts'
import type { Hyperparameters, Optimizer, OptimizerState, Trainable } from './optimizer.ts'

/** Parts in which one optimizer differs from another. */
export interface Algorithm {
  /** Name, see `Optimizer.name`. */
  readonly name: string
  /** Options, see `Optimizer.options`. */
  readonly options: Json
  /**
   * Shader that computes `factors`, one row per parameter, from `hyperparameters`, one row per group, `rules`, `scale`,
   * `foundInfinity` and, if they are counted, `steps`. A row that begins with 0 leaves its parameter unchanged.
   */
  readonly factorShader: ShaderName
  /** Shader that updates all parameters of a chunk by the factors. */
  readonly updateShader: ShaderName
  readonly constants?: Readonly<Record<string, ConstantValue>>
  /** Number of factors in a row, a multiple of four. */
  readonly factorCount: number
  readonly countsSteps: boolean
  /** Moments kept per number of a parameter: their names in checkpoints by their bindings in the update shader. */
  readonly moments: Readonly<Record<string, string>>
  readonly decayNormAndBias: boolean
  /** Hyperparameters until a schedule sets them. */
  readonly firstHyperparameters: Hyperparameters
  /** Returns a row of `hyperparameters`, a multiple of four numbers. */
  hyperparameterRow(hyperparameters: Hyperparameters): readonly number[]
}

/** Rule of a parameter, packed in a u32 as shaders/lib/optimizer-factors.wgsl reads it. */
const RULE = {
  /** Bit that is set if the step changes the parameter. */
  moves: 1,
  /** Bit that is set if weight decay applies to the parameter. */
  decays: 2,
  /** First bit of the number of the parameter's group. */
  groupShift: 2,
} as const

/**
 * Optimizer that updates every number of a parameter by the same rule, in two launches per step: one with a thread per
 * parameter and one over all numbers (one per chunk, if they do not fit one binding).
 */
export class FlatOptimizer implements Optimizer {
  readonly replayable = true
  readonly groups: readonly (readonly Trainable[])[]
  private readonly algorithm: Algorithm
  private readonly flat: ParameterBuffers
  private readonly slots: readonly Slot[]
  private currentHyperparameters: readonly Hyperparameters[]
  /** Moments: binding, name in checkpoints, and one tensor per chunk. */
  private readonly moments: readonly (readonly [binding: string, saved: string, chunks: readonly Tensor[]])[]
  /** Number of steps per parameter, [P] u32; undefined if they are not counted. */
  private readonly steps: Tensor | undefined
  /** Rule of each parameter (see RULE), [P] u32. */
  private readonly rules: Tensor
  /** Factors of the current step, one row per parameter. */
  private readonly factors: Tensor
  /** Hyperparameters as the factor shader reads them, one row per group. */
  private readonly hyperparameterTable: Tensor
  /** Placeholder that is bound if there are no f16 copies. */
  private readonly noF16Copies: Tensor
  /** Overflow flag that is always 0, [] u32: steps in f32 are never skipped. */
  private readonly never: Tensor
  /** True if a step has used the current gradients. */
  private stepped = false
  /** True for each parameter that had a gradient at some step. */
  private readonly seen: boolean[]
  /** True for each parameter whose gradient may be other than zero. */
  private readonly dirty: boolean[]
  /** Rule of each parameter without RULE.moves. */
  private readonly fixedRules: readonly number[]
  /** Rules as last written to the GPU. */
  private writtenRules: readonly number[] = []

  constructor(groups: readonly (readonly Trainable[])[], algorithm: Algorithm) {
    this.groups = groups
    this.algorithm = algorithm
    this.flat = new ParameterBuffers(groups.flat())
    this.slots = this.flat.chunks.flatMap(({ slots }) => slots)
    const { count } = this.flat
    this.moments = Object.entries(algorithm.moments).map(([binding, saved]) => [binding, saved, this.flat.zerosAlike()])
    this.steps = algorithm.countsSteps ? keep(zeros([count], 'u32')) : undefined
    this.rules = keep(zeros([count], 'u32'))
    this.factors = keep(zeros([count, algorithm.factorCount]))
    this.hyperparameterTable = keep(
      zeros([groups.length, algorithm.hyperparameterRow(algorithm.firstHyperparameters).length]),
    )
    this.noF16Copies = keep(zeros([4]))
    this.never = keep(zeros([], 'u32'))
    this.fixedRules = groups.flatMap((group, i) =>
      group.map(({ kind }) => {
        const decays = kind === 'weight' || algorithm.decayNormAndBias
        return (i << RULE.groupShift) | (decays ? RULE.decays : 0)
      }),
    )
    this.seen = new Array<boolean>(count).fill(false)
    this.dirty = this.slots.map(({ parameter }) => parameter.leaf.hasGradient)
    this.currentHyperparameters = groups.map(() => algorithm.firstHyperparameters)
    this.writeHyperparameters()
  }

  get name(): string {
    return this.algorithm.name
  }

  get options(): Json {
    return this.algorithm.options
  }

  get hyperparameters(): readonly Hyperparameters[] {
    return this.currentHyperparameters
  }

  setHyperparameters(perGroup: readonly Partial<Hyperparameters>[]): void {
    if (perGroup.length !== this.groups.length) {
      throw new OptionError('setHyperparameters', 'there must be one entry per parameter group', {
        given: { entries: perGroup.length, groups: this.groups.length },
      })
    }
    const next = this.currentHyperparameters.map((hyperparameters, i) => ({ ...hyperparameters, ...perGroup[i] }))
    for (const hyperparameters of next) checkHyperparameters('setHyperparameters', hyperparameters)
    this.currentHyperparameters = next
    this.writeHyperparameters()
  }

  step(scaler: LossScaler): void {
    this.flat.requireAttached()
    this.updateRules()
    const { hyperparameterTable: hyperparameters, rules, steps, factors, algorithm, flat } = this
    const { scale, mixed } = scaler
    if (mixed) flat.checkOverflow()
    const foundInfinity = mixed ? flat.foundInfinity : this.never
    launch(
      algorithm.factorShader,
      { hyperparameters, rules, scale, foundInfinity, factors, ...(steps && { steps }) },
      { groups: Math.ceil(flat.count / 64), shape: { PARAMETERS: flat.count }, track: 'optimizer' },
    )
    flat.chunks.forEach(({ values, gradients, owners, f16Copies, blocks }, i) => {
      const moments = Object.fromEntries(this.moments.map(([binding, , chunks]) => [binding, chunks[i]]))
      launch(
        algorithm.updateShader,
        { gradients, owners, factors, values, f16Copies: f16Copies ?? this.noF16Copies, ...moments },
        {
          ...overBlocks(blocks),
          constants: { ...algorithm.constants, F16_COPIES: f16Copies !== undefined },
          dtype: f16Copies ? 'f16' : 'f32',
        },
      )
    })
    scaler.advance(flat.foundInfinity)
    this.stepped = true
  }

  zeroGradients(): void {
    // The flag of gradients that no step has used.
    if (!this.stepped && this.slots.some(({ parameter }) => parameter.leaf.hasGradient)) this.flat.clearOverflow()
    this.stepped = false
    for (const { index, parameter } of this.slots) {
      this.dirty[index] ||= parameter.leaf.hasGradient
      parameter.leaf.hasGradient = false
    }
  }

  freezeTo(n: number): void {
    const first = n < 0 ? this.groups.length + n : n
    const { length } = this.groups
    requireRange(
      'freezeTo',
      { n, groups: length },
      Number.isInteger(n) && first >= 0 && first <= length,
      'the number of a group',
    )
    this.groups.forEach((group, i) => {
      // Normalization stays trainable in frozen groups: fastai learner.py, train_bn.
      for (const { leaf, kind } of group) leaf.trainable = i >= first || kind === 'norm'
    })
  }

  clearState(): void {
    for (const made of this.kept()) clear(made)
    this.flat.clearOverflow()
  }

  keepF16Copies(): void {
    this.flat.keepF16Copies()
  }

  async state(): Promise<OptimizerState> {
    const steps = this.steps && (await read(this.steps))
    const state = new Map<string, { shape: Shape; data: Float32Array }>()
    for (const { slot, path, regions } of this.saved()) {
      if (steps) state.set(`${path}.step`, { shape: [1], data: Float32Array.of(steps[slot.index]) })
      for (const [name, average] of regions) {
        state.set(name, { shape: average.shape, data: Float32Array.from(await read(average)) })
      }
    }
    return state
  }

  checkState(state: OptimizerState): void {
    this.stateParts(state)
  }

  loadState(state: OptimizerState): void {
    const { steps, moments } = this.stateParts(state)
    for (const { average, data } of moments) upload(average, data)
    if (this.steps) upload(this.steps, steps)
  }

  /** Returns the parts of a saved state with the tensors that they belong to. @throws DataError  if it is that of another optimizer */
  private stateParts(state: OptimizerState) {
    const steps = new Uint32Array(this.flat.count)
    const saved = this.saved()
    requireNoOther(
      state,
      saved.flatMap(({ path, regions }) => [...(this.steps ? [`${path}.step`] : []), ...regions.map(([name]) => name)]),
    )
    const moments = saved.flatMap(({ slot, path, regions }) => {
      if (this.steps) steps[slot.index] = entryOf(state, `${path}.step`, [1])[0]
      return regions.map(([name, average]) => ({ average, data: entryOf(state, name, average.shape) }))
    })
    return { steps, moments }
  }

  close(): void {
    for (const made of [
      ...this.kept(),
      this.rules,
      this.factors,
      this.hyperparameterTable,
      this.noF16Copies,
      this.never,
    ]) {
      release(made)
    }
  }

  /** Returns the tensors that carry over from one step to the next. */
  private kept(): Tensor[] {
    return [...this.moments.flatMap(([, , chunks]) => chunks), ...(this.steps ? [this.steps] : [])]
  }

  /** Returns the moments of each parameter under fastai's names. */
  private saved(): { slot: Slot; path: string; regions: (readonly [name: string, average: Tensor])[] }[] {
    return this.flat.chunks.flatMap(({ slots }, i) =>
      slots.map((slot) => {
        const { path } = slot.parameter
        const regions = this.moments.map(([, saved, chunks]) => [`${path}.${saved}`, region(chunks[i], slot)] as const)
        return { slot, path, regions }
      }),
    )
  }

  /** Clears missing gradients and updates the rules on the GPU; writes nothing if they are those of the previous step. */
  private updateRules(): void {
    for (const slot of this.slots) {
      const { hasGradient } = slot.parameter.leaf
      if (hasGradient) this.seen[slot.index] = true
      else if (this.dirty[slot.index]) clearGradient(slot)
      this.dirty[slot.index] = hasGradient
    }
    const moves = ({ index, parameter }: Slot) => (this.seen[index] && parameter.leaf.trainable ? RULE.moves : 0)
    const rules = this.slots.map((slot) => this.fixedRules[slot.index] | moves(slot))
    if (rules.every((rule, i) => rule === this.writtenRules[i])) return
    upload(this.rules, rules)
    this.writtenRules = rules
  }

  private writeHyperparameters(): void {
    upload(
      this.hyperparameterTable,
      this.currentHyperparameters.flatMap((hyperparameters) => this.algorithm.hyperparameterRow(hyperparameters)),
    )
  }
}

/** Returns the numbers saved under a name. @throws DataError  if they are missing or have another shape */
export function entryOf(state: OptimizerState, name: string, shape: Shape): Float32Array {
  const entry = state.get(name)
  if (entry && sameShape(entry.shape, shape) && entry.data.length === elementCount(shape)) return entry.data
  throw new DataError('loadState', 'this is not the state of an optimizer of this model', {
    given: { [name]: entry ? `shape ${formatShape(entry.shape)}` : 'missing' },
    expected: `${name} of shape ${formatShape(shape)}`,
  })
}

/** Requires a state without other entries. @throws DataError  if it has entries of another kind of optimizer or another model */
function requireNoOther(state: OptimizerState, names: readonly string[]): void {
  const known = new Set(names)
  const other = [...state.keys()].find((name) => !known.has(name))
  if (other === undefined) return
  throw new DataError('loadState', 'this is the state of an optimizer of another kind, or of another model', {
    given: { entry: other },
    fix: 'create the optimizer with which it was saved, or load only the weights: { withOptimizer: false }',
  })
}
