import { OptionError } from '../base/errors.ts'
import type { Json } from '../base/json.ts'
import { checkArgument } from '../base/options.ts'
import { loadWithGpu } from '../tensor/load-with-gpu.ts'
import { noGrad } from '../tensor/op.ts'
import { SHAPE, zeros } from '../tensor/read-write.ts'
import { scope } from '../tensor/scope.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { StateTensor, type Parameter } from './parameter.ts'
import { loadStateDict, stateDict, type StateDict } from './state-dict.ts'
import type * as Describing from './describe-run.ts'
import { inEvaluation } from './in-evaluation.ts'
import { summaryTable, type LayerRow } from './summary.ts'

/** Description by a run, which needs a GPU; undefined until one has been opened. */
let describing: typeof Describing | undefined

loadWithGpu(async () => {
  describing = await import('./describe-run.ts')
})

/** Name and options that a model was made with, from which an equal one can be made (see architectures.ts). */
export interface Architecture {
  readonly name: string
  readonly options: Json
}

/**
 * Layer, or a model of layers: it holds parameters and computes an output from an input.
 *
 * A module declares its contents once, in its constructor, with `addParameter`, `addBuffer` and `addChild`; the names
 * given there, joined with dots, are the paths in a checkpoint. A field alone, `this.conv = new Conv(…)`, does not declare a
 * layer, and is refused.
 */
export abstract class Module {
  /**
   * True if `forward` launches the same work for every batch of one shape and takes no decisions in TypeScript (by
   * random numbers, a count of calls, a schedule): training steps are then recorded once and replayed without calling
   * it. A subclass that adds code of its own does not inherit this and must set it again. Default false
   */
  static readonly replayable: boolean = false
  /** Set by the function that made the model, if it has a name. */
  architecture: Architecture | undefined
  private readonly ownParameters: Parameter[] = []
  private readonly ownBuffers: StateTensor[] = []
  private readonly ownChildren: (readonly [string, Module])[] = []
  /** Names of what was declared. */
  private readonly names = new Set<string>()
  private isTraining = true

  /** Launches the work that computes the output from x. Must be synchronous. */
  abstract forward(x: Tensor): Tensor

  /**
   * Returns one row per layer that would run on an input of a shape, in order; the output of the last row is the output
   * of this module. The library's layers need no GPU for it. A module that does not define it is run once on zeros, in
   * evaluation, and described by what it calls: its layers, and itself last.
   */
  describe(input: Shape): readonly LayerRow[] {
    return inEvaluation(this, () => {
      let rows: readonly LayerRow[] = []
      scope(() => {
        const x = zeros(input)
        noGrad(() => void (rows = describing?.describeRun(this, Module.prototype.describe, x).rows ?? []))
      })
      return rows
    })
  }

  /**
   * True in training mode, in which normalization uses and records the statistics of the batch; false in evaluation
   * mode. Initially true
   */
  get training(): boolean {
    return this.isTraining
  }

  /** Switches this module and all below to training mode. */
  train(): this {
    return this.setTraining(true)
  }

  /** Switches this module and all below to evaluation mode. */
  eval(): this {
    return this.setTraining(false)
  }

  /** Returns this module and all modules below it. */
  modules(): readonly Module[] {
    return [this, ...this.ownChildren.flatMap(([, child]) => child.modules())]
  }

  /** True if the class of this module is marked `replayable`; modules below it are not considered. */
  get replayable(): boolean {
    if (Object.hasOwn(this, 'forward')) return false
    for (
      let type = Object.getPrototypeOf(this) as object;
      type !== Module.prototype;
      type = Object.getPrototypeOf(type) as object
    ) {
      if (Object.hasOwn(type.constructor, 'replayable')) return (type.constructor as typeof Module).replayable
      // The class has code of its own, which may take decisions.
      if (Object.getOwnPropertyNames(type).some((name) => name !== 'constructor')) return false
    }
    return false
  }

  /** Returns the modules directly below, with their names. */
  children(): readonly (readonly [string, Module])[] {
    return this.ownChildren
  }

  /**
   * Returns the parameters of this module and all below, each once, in the order of a PyTorch checkpoint.
   *
   * @throws OptionError  if a field holds a layer, a parameter or a buffer that was not declared
   */
  parameters(): readonly Parameter[] {
    return this.collect(({ ownParameters }) => ownParameters)
  }

  /** Returns the running statistics of this module and all below. @throws  as `parameters` */
  buffers(): readonly StateTensor[] {
    return this.collect(({ ownBuffers }) => ownBuffers)
  }

  /**
   * Returns parameters and running statistics, in the order of a PyTorch checkpoint. Their paths then begin at this module, also
   * where another that holds some of its layers, such as one for features of a trained model, named them last.
   *
   * @throws  as `parameters`
   */
  states(): readonly StateTensor[] {
    this.putUnder('')
    return this.collect(({ ownStates }) => ownStates)
  }

  /** Reads all weights and running statistics by their paths from this module on, in PyTorch's layouts. */
  stateDict(): Promise<StateDict> {
    return stateDict(this.states())
  }

  /**
   * Replaces all weights and running statistics by those of a checkpoint.
   *
   * @throws DataError  if names or shapes differ; nothing is changed then
   */
  loadStateDict(dict: StateDict): void {
    loadStateDict(this.states(), dict)
  }

  /**
   * Formats a table of the layers: path, output shape, parameters, and MFLOP of a forward pass on an input [N,H,W,C].
   */
  summary(input: Shape): string {
    checkArgument('summary', 'input', input, SHAPE)
    return summaryTable(this.describe(input))
  }

  /** Declares a parameter of this module. @throws OptionError  if something was declared under its name before */
  protected addParameter(parameter: Parameter): Parameter {
    this.claim(parameter.path)
    this.ownParameters.push(parameter)
    return parameter
  }

  /**
   * Declares a tensor that is saved with this module but not trained, such as a running statistic.
   *
   * @throws  as `addParameter`
   */
  protected addBuffer(buffer: StateTensor): StateTensor {
    this.claim(buffer.path)
    this.ownBuffers.push(buffer)
    return buffer
  }

  /** Declares a layer of this module; the paths of what it holds then begin with the name. @throws  as `addParameter` */
  protected addChild<Child extends Module>(name: string, child: Child): Child {
    this.claim(name)
    this.ownChildren.push([name, child])
    child.putUnder(`${name}.`)
    return child
  }

  private get ownStates(): readonly StateTensor[] {
    return [...this.ownParameters, ...this.ownBuffers]
  }

  /** Gives everything that this module holds its path, which begins with a prefix such as `layer1.`. */
  private putUnder(prefix: string): void {
    for (const state of this.ownStates) state.putUnder(prefix)
    for (const [name, child] of this.ownChildren) child.putUnder(`${prefix}${name}.`)
  }

  /** @throws OptionError  if something was declared under this name: a checkpoint would hold one of both */
  private claim(name: string): void {
    if (this.names.has(name)) throw new OptionError(this.constructor.name, `${name} is declared twice`)
    this.names.add(name)
  }

  /** Returns something of each module, each once: a layer may stand in several places. @throws  as `parameters` */
  private collect<Of>(of: (module: Module) => readonly Of[]): readonly Of[] {
    const all = this.modules()
    const declared = new Set<unknown>(all.flatMap((one) => [one, ...one.ownStates]))
    for (const one of all) {
      for (const [field, value] of Object.entries(one)) {
        const held: readonly unknown[] = Array.isArray(value) ? value : [value]
        const lost = held.find((part) => isContent(part) && !declared.has(part))
        if (lost !== undefined) throw undeclared(one, field, lost)
      }
    }
    return [...new Set(all.flatMap(of))]
  }

  private setTraining(training: boolean): this {
    this.isTraining = training
    for (const [, child] of this.ownChildren) child.setTraining(training)
    return this
  }
}

function isContent(value: unknown): boolean {
  return value instanceof Module || value instanceof StateTensor
}

function undeclared({ constructor: { name } }: Module, field: string, lost: unknown): OptionError {
  const how =
    lost instanceof Module ? `addChild('${field}', layer), a list as a Sequential` : 'addParameter or addBuffer'
  return new OptionError(name, `the field ${field} is not declared, so it would not be trained and saved`, {
    fix: `this.${how}; or #${field} for what is not a part of it`,
  })
}
