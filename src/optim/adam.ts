import { DataError, OptionError } from '../base/errors.ts'
import { clear, launch } from '../tensor/launcher.ts'
import { keep, release } from '../tensor/scope.ts'
import { elementCount, sameShape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { read, upload, zeros } from '../tensor/transfer.ts'
import { clearGradient, FlatParameters, region, type Slot } from './flat.ts'
import type { LossScaler } from './loss-scaler.ts'
import type { Hypers, Optimizer, OptimizerFactory, OptimizerState, Trainable } from './optimizer.ts'

/** Source of the defaults: fastai optimizer.py, Adam. */
export interface AdamOptions {
  /** How much of the averaged square stays at each step. Default 0.99 */
  readonly squareMomentum?: number
  /** Added to the root of the averaged square. Default 1e-5 */
  readonly epsilon?: number
  /** Fraction of lr by which weights shrink at each step. Default 0.01 */
  readonly weightDecay?: number
  /** Biases and normalisation shrink as well. Default false */
  readonly decayNormAndBias?: boolean
}

/** Before a schedule sets them. */
const FIRST_HYPERS = { lr: 1e-3, momentum: 0.9 }

/**
 * Adam with decoupled weight decay. For every parameter p with gradient g, t counting its steps:
 *
 *   p ← p·(1 − lr·weightDecay)            weights only, not biases or normalisation
 *   m ← momentum·m + (1 − momentum)·g
 *   v ← squareMomentum·v + (1 − squareMomentum)·g²
 *   p ← p − lr·(m / (1 − momentum^t)) / (√(v / (1 − squareMomentum^t)) + epsilon)
 *
 * momentum is that of the present step, also in momentum^t. All f32.
 *
 * @throws OptionError  when an option is out of range
 * Source: Kingma & Ba 2015, arXiv:1412.6980; Loshchilov & Hutter 2019, arXiv:1711.05101; fastai optimizer.py, Adam.
 */
export function adam(options: AdamOptions = {}): OptimizerFactory {
  const { squareMomentum = 0.99, epsilon = 1e-5, weightDecay = 0.01 } = options
  check('adam', { squareMomentum }, squareMomentum >= 0 && squareMomentum < 1, 'at least 0 and below 1')
  check('adam', { epsilon }, epsilon > 0, 'above 0')
  checkHypers('adam', { ...FIRST_HYPERS, weightDecay })
  return (groups) => new Adam(groups, { ...options, squareMomentum, epsilon, weightDecay })
}

class Adam implements Optimizer {
  readonly groups: readonly (readonly Trainable[])[]
  private readonly options: AdamOptions & Required<Omit<AdamOptions, 'decayNormAndBias'>>
  private readonly flat: FlatParameters
  private readonly slots: readonly Slot[]
  private currentHypers: Hypers[]
  /** Averages of the gradients and of their squares, a tensor a chunk. */
  private readonly means: readonly Tensor[]
  private readonly squares: readonly Tensor[]
  /** By parameter: steps made; how it is treated (see `fixedRules`); what the launches of this step compute with. */
  private readonly steps: Tensor
  private readonly rules: Tensor
  private readonly factors: Tensor
  /** By group: see shaders/optim/adam-factors.wgsl. */
  private readonly hyperTable: Tensor
  /** Bound where the f16 copies would be. */
  private readonly noHalves: Tensor
  /** By parameter: it had a gradient at some step; its gradient is not zero. */
  private readonly seen: boolean[]
  private readonly dirty: boolean[]
  /** By parameter: its group from bit 2 on, in bit 1 whether it decays; and with bit 0, whether it moves, as last written. */
  private readonly fixedRules: readonly number[]
  private writtenRules: readonly number[] = []

  constructor(groups: readonly (readonly Trainable[])[], options: Adam['options']) {
    this.groups = groups
    this.options = options
    this.flat = new FlatParameters(groups.flat())
    this.slots = this.flat.chunks.flatMap(({ slots }) => slots)
    this.means = this.flat.zerosAlike()
    this.squares = this.flat.zerosAlike()
    const { count } = this.flat
    this.steps = keep(zeros([count], 'u32'))
    this.rules = keep(zeros([count], 'u32'))
    this.factors = keep(zeros([count, 8]))
    this.hyperTable = keep(zeros([groups.length, 8]))
    this.noHalves = keep(zeros([4]))
    this.fixedRules = groups.flatMap((group, i) =>
      group.map(({ kind }) => i * 4 + (kind === 'weight' || options.decayNormAndBias ? 2 : 0)),
    )
    this.seen = new Array<boolean>(count).fill(false)
    this.dirty = this.slots.map(({ parameter }) => parameter.leaf.hasGradient)
    this.currentHypers = groups.map(() => ({ ...FIRST_HYPERS, weightDecay: options.weightDecay }))
    this.writeHypers()
  }

  get hypers(): readonly Hypers[] {
    return this.currentHypers
  }

  setHypers(perGroup: readonly Partial<Hypers>[]): void {
    if (perGroup.length !== this.groups.length) {
      throw new OptionError('setHypers', 'every group needs its hyper-parameters', {
        given: { 'hyper-parameters': perGroup.length, groups: this.groups.length },
      })
    }
    const next = this.currentHypers.map((hypers, i) => ({ ...hypers, ...perGroup[i] }))
    for (const hypers of next) checkHypers('setHypers', hypers)
    this.currentHypers = next
    this.writeHypers()
  }

  step(scaler: LossScaler): void {
    this.noticeGradients()
    const { hyperTable: hypers, rules, steps, factors } = this
    const { scale, foundInfinity } = scaler
    scaler.check(this.flat.chunks.map(({ gradients }) => gradients))
    launch(
      'optim/adam-factors',
      { hypers, rules, scale, foundInfinity, steps, factors },
      { groups: Math.ceil(this.flat.count / 64), shape: { PARAMETERS: this.flat.count } },
    )
    this.flat.chunks.forEach(({ values, gradients, owners, halves, blocks }, i) => {
      launch(
        'optim/adam',
        { gradients, owners, factors, values, means: this.means[i], squares: this.squares[i], halves: halves ?? this.noHalves },
        { groups: Math.ceil(blocks / 4), shape: { BLOCKS: blocks }, constants: { HALF: halves !== undefined }, dtype: halves ? 'f16' : 'f32' },
      )
    })
    scaler.advance()
  }

  zeroGradients(): void {
    for (const { parameter } of this.slots) parameter.leaf.hasGradient = false
  }

  freezeTo(n: number): void {
    const first = n < 0 ? this.groups.length + n : n
    check('freezeTo', { n, groups: this.groups.length }, Number.isInteger(n) && first >= 0 && first <= this.groups.length, 'the number of a group')
    this.groups.forEach((group, i) => {
      // Normalisation goes on learning where the rest is frozen: fastai learner.py, train_bn.
      for (const { leaf, kind } of group) leaf.trainable = i >= first || kind === 'norm'
    })
  }

  clearState(): void {
    for (const made of [...this.means, ...this.squares, this.steps]) clear(made)
  }

  keepHalves(): void {
    this.flat.keepHalves()
  }

  async state(): Promise<OptimizerState> {
    const steps = await read(this.steps)
    const state = new Map<string, { shape: readonly number[]; data: Float32Array }>()
    for (const { name, slot, average } of this.averages()) {
      const data = Float32Array.from(average ? await read(average) : [steps[slot.index]])
      state.set(name, { shape: average ? average.shape : [1], data })
    }
    return state
  }

  loadState(state: OptimizerState): void {
    const steps = new Uint32Array(this.flat.count)
    const entries = this.averages().map(({ name, slot, average }) => {
      const shape = average ? average.shape : [1]
      const entry = state.get(name)
      if (!entry || !sameShape(entry.shape, shape) || entry.data.length !== elementCount(shape)) {
        throw new DataError('loadState', 'this is not the state of an optimizer of this model', {
          given: { [name]: entry ? `shape [${entry.shape}]` : 'missing' },
          expected: `${name} of shape [${shape}]`,
        })
      }
      return { slot, average, data: entry.data }
    })
    for (const { slot, average, data } of entries) {
      if (average) upload(average, data)
      else steps[slot.index] = data[0]
    }
    upload(this.steps, steps)
  }

  close(): void {
    const { means, squares, steps, rules, factors, hyperTable, noHalves } = this
    for (const made of [...means, ...squares, steps, rules, factors, hyperTable, noHalves]) release(made)
  }

  /** What is saved of each parameter, under fastai's names: its steps (no tensor of its own) and its two averages. */
  private averages(): { name: string; slot: Slot; average: Tensor | undefined }[] {
    return this.flat.chunks.flatMap(({ slots }, i) =>
      slots.flatMap((slot) => [
        { name: `${slot.parameter.path}.step`, slot, average: undefined },
        { name: `${slot.parameter.path}.grad_avg`, slot, average: region(this.means[i], slot) },
        { name: `${slot.parameter.path}.sqr_avg`, slot, average: region(this.squares[i], slot) },
      ]),
    )
  }

  /** What the GPU must know of gradients that are not there. In steps like the one before nothing is written. */
  private noticeGradients(): void {
    for (const slot of this.slots) {
      const { hasGradient } = slot.parameter.leaf
      if (hasGradient) this.seen[slot.index] = true
      else if (this.dirty[slot.index]) clearGradient(slot)
      this.dirty[slot.index] = hasGradient
    }
    const rules = this.slots.map(({ index, parameter }) => this.fixedRules[index] | Number(this.seen[index] && parameter.leaf.trainable))
    if (rules.every((rule, i) => rule === this.writtenRules[i])) return
    upload(this.rules, rules)
    this.writtenRules = rules
  }

  private writeHypers(): void {
    const { squareMomentum, epsilon } = this.options
    const rows = this.currentHypers.flatMap(({ lr, momentum, weightDecay }) => [
      lr, 1 - lr * weightDecay, momentum, 1 - momentum, squareMomentum, 1 - squareMomentum, epsilon, 0,
    ])
    upload(this.hyperTable, rows)
  }
}

function checkHypers(where: string, { lr, momentum, weightDecay }: Hypers): void {
  check(where, { lr }, lr >= 0 && lr < Infinity, 'at least 0')
  check(where, { momentum }, momentum >= 0 && momentum < 1, 'at least 0 and below 1')
  check(where, { weightDecay }, weightDecay >= 0 && weightDecay < Infinity, 'at least 0')
}

function check(where: string, given: Readonly<Record<string, number>>, right: boolean, expected: string): void {
  if (!right) throw new OptionError(where, `${Object.keys(given)[0]} is out of range`, { given, expected })
}
