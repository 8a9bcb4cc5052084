import type { Json } from '../base/json.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { Parameter, StateTensor } from './parameter.ts'
import { loadStateDict, stateDict, type StateDict } from './state-dict.ts'
import { summaryTable, type LayerRow } from './summary.ts'

/** How a model was made, so that another can be made alike: see architectures.ts. */
export interface Architecture {
  readonly name: string
  readonly options: Json
}

/**
 * A layer, or a model of layers: it holds parameters and calls operations.
 *
 * What belongs to it is said once, in its constructor, with `addParameter`, `addBuffer` and `addChild`; the names given
 * there, joined with dots, are the paths of a checkpoint.
 */
export abstract class Module {
  /**
   * True if `forward` launches the same work for every batch of a shape and decides nothing in TypeScript (by random
   * numbers, a count of calls, a schedule): then training steps are recorded once and replayed without calling it. Not
   * inherited by classes that add code of their own: such a class says so itself. Default false
   */
  static readonly replayable: boolean = false
  /** Given by the function that made it, where it has a name. */
  architecture: Architecture | undefined
  private readonly ownParameters: Parameter[] = []
  private readonly ownBuffers: StateTensor[] = []
  private readonly ownChildren: (readonly [string, Module])[] = []
  private isTraining = true

  /** Records the work that turns x into the output; waits for nothing. */
  abstract forward(x: Tensor): Tensor

  /** The layers that would run on an input of that shape, in order; the last one's output is this module's. No GPU is needed. */
  abstract describe(input: Shape): readonly LayerRow[]

  /** Whether normalisation uses the batch (and remembers it) or what it remembers. True until `eval`. */
  get training(): boolean {
    return this.isTraining
  }

  train(): this {
    return this.setTraining(true)
  }

  eval(): this {
    return this.setTraining(false)
  }

  /** This module and all below. */
  modules(): readonly Module[] {
    return [this, ...this.ownChildren.flatMap(([, child]) => child.modules())]
  }

  /** True if the code of this module, without those below, is that of a `replayable` class. */
  get replayable(): boolean {
    if (Object.hasOwn(this, 'forward')) return false
    for (
      let type = Object.getPrototypeOf(this) as object;
      type !== Module.prototype;
      type = Object.getPrototypeOf(type) as object
    ) {
      if (Object.hasOwn(type.constructor, 'replayable')) return (type.constructor as typeof Module).replayable
      // Code of its own, which may decide.
      if (Object.getOwnPropertyNames(type).some((name) => name !== 'constructor')) return false
    }
    return false
  }

  /** Modules directly below, with their names. */
  children(): readonly (readonly [string, Module])[] {
    return this.ownChildren
  }

  /** Parameters of this module and all below, in the order of a PyTorch checkpoint. */
  parameters(): readonly Parameter[] {
    return [...this.ownParameters, ...this.ownChildren.flatMap(([, child]) => child.parameters())]
  }

  /** Running statistics of this module and all below. */
  buffers(): readonly StateTensor[] {
    return [...this.ownBuffers, ...this.ownChildren.flatMap(([, child]) => child.buffers())]
  }

  /** Parameters and running statistics, in the order of a PyTorch checkpoint. */
  states(): readonly StateTensor[] {
    return [...this.ownParameters, ...this.ownBuffers, ...this.ownChildren.flatMap(([, child]) => child.states())]
  }

  /** Every number of the model under its path, in PyTorch's layouts. */
  stateDict(): Promise<StateDict> {
    return stateDict(this.states())
  }

  /** Takes over the numbers of a checkpoint. @throws DataError when names or shapes do not fit; nothing is changed then. */
  loadStateDict(dict: StateDict): void {
    loadStateDict(this.states(), dict)
  }

  /** A table of the layers: path, output shape, parameters and MFLOP of a forward pass on that input, [N,H,W,C]. */
  summary(input: Shape): string {
    return summaryTable(this.describe(input))
  }

  protected addParameter(parameter: Parameter): Parameter {
    this.ownParameters.push(parameter)
    return parameter
  }

  protected addBuffer(buffer: StateTensor): StateTensor {
    this.ownBuffers.push(buffer)
    return buffer
  }

  protected addChild<Child extends Module>(name: string, child: Child): Child {
    this.ownChildren.push([name, child])
    for (const state of child.states()) state.putUnder(name)
    return child
  }

  private setTraining(training: boolean): this {
    this.isTraining = training
    for (const [, child] of this.ownChildren) child.setTraining(training)
    return this
  }
}
