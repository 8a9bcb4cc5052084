import { OptionError } from '../base/errors.ts'
import type { StateTensor } from '../nn/parameter.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { OnnxAttribute, OnnxNode } from './proto.ts'
import type { TracedOp } from './trace.ts'

/** A constant of the graph that is no weight. The numbers of a list are whole ones, stored as int64. */
export interface Constant {
  readonly shape: Shape
  readonly data: Float32Array | readonly number[]
}

/**
 * An ONNX graph in the making: nodes in order, and the constants and weights that they read.
 *
 * Values of four axes are [N,C,H,W], as ONNX has them, where the library has [N,H,W,C]; convolution weights likewise
 * [O,C,R,S] for [O,R,S,C]. Values of other ranks are the same in both.
 */
export class Graph {
  readonly nodes: OnnxNode[] = []
  readonly constants = new Map<string, Constant>()
  /** Weights and running statistics that nodes read, by their names in the graph. */
  readonly states = new Map<string, StateTensor>()
  private readonly names = new Set<string>()
  private readonly values = new Map<Tensor, string>()
  private readonly namesOfStates = new Map<StateTensor, string>()
  private readonly owners: ReadonlyMap<Tensor, StateTensor>

  constructor(states: readonly StateTensor[], reserved: readonly string[]) {
    this.owners = new Map(states.map((state) => [state.value, state]))
    for (const name of reserved) this.names.add(name)
  }

  /** Adds one operator and returns the name of its output, which is also the node's: `5.0.convpath.0.0/Conv`. */
  add(
    opType: string,
    inputs: readonly string[],
    attributes: OnnxNode['attributes'] = {},
    { path = '', output = this.unique(path === '' ? opType : `${path}/${opType}`) }: NodeNames = {},
  ): string {
    this.nodes.push({ name: output, opType, inputs, outputs: [output], attributes })
    return output
  }

  /** Name of a constant; the same name stands for the same numbers. */
  constant(name: string, constant: Constant): string {
    if (!this.constants.has(name)) {
      this.names.add(name)
      this.constants.set(name, constant)
    }
    return name
  }

  /** Sets the value of the graph that a tensor of the trace is. */
  bind(tensor: Tensor, value: string): void {
    this.values.set(tensor, value)
  }

  /**
   * Name of the value that a tensor of the trace is.
   *
   * @throws OptionError  when neither an operation nor the model made it
   */
  valueOf(tensor: Tensor, { name, path }: Pick<TracedOp, 'name' | 'path'>): string {
    const value = this.values.get(tensor)
    if (value !== undefined) return value
    const state = this.owners.get(tensor)
    if (state) return this.stateName(state)
    throw new OptionError('exportOnnx', 'a tensor comes neither from the input nor from a parameter of the model', {
      given: { 'read by': name, module: path === '' ? 'the model itself' : path, tensor },
      expected: 'tensors made by operations (see `defineOp`), parameters and buffers that the module has added',
      fix: 'add it with addParameter or addBuffer; what launches kernels by itself must become an operation',
    })
  }

  private stateName(state: StateTensor): string {
    const known = this.namesOfStates.get(state)
    if (known !== undefined) return known
    const name = this.unique(state.path)
    this.namesOfStates.set(state, name)
    this.states.set(name, state)
    return name
  }

  private unique(wanted: string): string {
    let name = wanted
    for (let i = 1; this.names.has(name); i++) name = `${wanted}_${i}`
    this.names.add(name)
    return name
  }
}

interface NodeNames {
  /** Path of the module that the node belongs to. */
  readonly path?: string
  /** Name of the output. Default: a new one of path and operator */
  readonly output?: string
}

export type Attributes = Readonly<Record<string, OnnxAttribute>>
