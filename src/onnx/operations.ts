import { OptionError, type ErrorDetails } from '../base/errors.ts'
import type { AvgPoolOptions } from '../ops/avg-pool.ts'
import type { BatchNormOptions } from '../ops/batch-norm.ts'
import type { Conv2dOptions } from '../ops/conv2d.ts'
import type { LayerNormOptions } from '../ops/layer-norm.ts'
import type { MaxPoolOptions } from '../ops/max-pool.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { Attributes, Graph } from './graph.ts'
import type { TracedOp } from './trace.ts'

/** One traced operation with short ways to write its nodes. */
interface Context {
  readonly op: TracedOp
  readonly graph: Graph
  /** Value of an input of the operation. */
  input(i: number): string
  /** Adds a node and returns its output. */
  node(opType: string, inputs: readonly string[], attributes?: Attributes): string
}

/** Writes the nodes that compute an operation, in operators of opset 17; the result is the name of its output. */
type Converter = (context: Context) => string

/** Height and width alike. */
const both = (size: number) => [size, size]

/** One dimension of a 3×3 blur. Source: ops/max-blur-pool.ts */
const BLUR = [1 / 4, 1 / 2, 1 / 4]

/** The converters by the names that operations have in `defineOp`. */
const CONVERTERS: Readonly<Record<string, Converter>> = {
  conv2d({ op, input, node }) {
    const { stride = 1, padding = 0, dilation = 1, groups = 1 } = op.options as Conv2dOptions
    const [, R, S] = shapeOf(op, 1)
    return node('Conv', withBias(op, input), {
      kernel_shape: [R, S],
      strides: both(stride),
      pads: [padding, padding, padding, padding],
      ...(dilation === 1 ? {} : { dilations: both(dilation) }),
      ...(groups === 1 ? {} : { group: groups }),
    })
  },

  linear({ op, graph, input, node }) {
    const rank = shapeOf(op, 0).length
    if (rank === 2) return node('Gemm', withBias(op, input), { transB: 1 })
    if (rank !== 4) {
      throw refused(op, 'linear of this shape cannot be exported', { expected: 'x as [N,C] or [N,H,W,C]' })
    }
    // Of every pixel: a 1×1 convolution, whose weight has two axes more.
    const [x, weight, ...bias] = withBias(op, input)
    const filters = node('Reshape', [weight, sizes(graph, [...shapeOf(op, 1), 1, 1])])
    return node('Conv', [x, filters, ...bias], { kernel_shape: both(1) })
  },

  batchNorm({ op, graph, input, node }) {
    const { runningMean, runningVar, training, eps = 1e-5, relu = false } = op.options as BatchNormOptions
    if (training) {
      throw refused(op, 'batchNorm uses the statistics of the batch, although the model is in evaluation', {
        fix: 'call it with { training: this.training }',
      })
    }
    const rank = shapeOf(op, 0).length
    if (rank !== 2 && rank !== 4) {
      throw refused(op, 'batchNorm of this shape cannot be exported', { expected: 'x as [N,C] or [N,H,W,C]' })
    }
    const statistics = [graph.valueOf(runningMean, op), graph.valueOf(runningVar, op)]
    const inputs = [input(0), input(1), input(2), ...statistics]
    let y = node('BatchNormalization', inputs, { epsilon: { float: eps } })
    if (op.inputs[3]) y = node('Add', [y, input(3)])
    return relu ? node('Relu', [y]) : y
  },

  layerNorm({ op, input, node }) {
    const { eps = 1e-5 } = op.options as LayerNormOptions
    return overLastAxis(op, input(0), node, (x) => {
      return node('LayerNormalization', [x, input(1), input(2)], { axis: -1, epsilon: { float: eps } })
    })
  },

  relu: ({ input, node }) => node('Relu', [input(0)]),

  sigmoid: ({ input, node }) => node('Sigmoid', [input(0)]),

  silu: ({ input, node }) => node('Mul', [input(0), node('Sigmoid', [input(0)])]),

  // Opset 20 has Gelu; 17 is read by more programs.
  gelu({ graph, input, node }) {
    const normal = node('Erf', [node('Mul', [input(0), number(graph, Math.SQRT1_2)])])
    const twice = node('Add', [normal, number(graph, 1)])
    return node('Mul', [node('Mul', [input(0), number(graph, 0.5)]), twice])
  },

  geluTanh({ graph, input, node }) {
    const square = node('Mul', [input(0), input(0)])
    const factor = node('Add', [node('Mul', [square, number(graph, 0.044715)]), number(graph, 1)])
    const argument = node('Mul', [node('Mul', [input(0), number(graph, Math.sqrt(2 / Math.PI))]), factor])
    const twice = node('Add', [node('Tanh', [argument]), number(graph, 1)])
    return node('Mul', [node('Mul', [input(0), number(graph, 0.5)]), twice])
  },

  hardSigmoid: ({ input, node }) => node('HardSigmoid', [input(0)], { alpha: { float: 1 / 6 }, beta: { float: 0.5 } }),

  hardSwish: ({ input, node }) => node('HardSwish', [input(0)]),

  relu6: ({ graph, input, node }) => node('Clip', [input(0), number(graph, 0), number(graph, 6)]),

  mul({ op, graph, input, node }) {
    const [a, b] = [shapeOf(op, 0), shapeOf(op, 1)]
    // Values of four axes have their channels second: a gate or a factor is given the axes that it stands for.
    if (a.length !== 4 || b.length === 4) {
      const rank = a.length > 2 && a.length !== 4 && a.length !== b.length
      if (rank) throw refused(op, 'mul of these shapes cannot be exported', { expected: 'a as [N,C] or [N,H,W,C]' })
      return node('Mul', [input(0), input(1)])
    }
    const axes = b.length === 1 ? [1, a[3], 1, 1] : [-1, a[3], 1, 1]
    return node('Mul', [input(0), node('Reshape', [input(1), sizes(graph, axes)])])
  },

  // Opset 18 has Mish; 17 is read by more programs.
  mish({ input, node }) {
    return node('Mul', [input(0), node('Tanh', [node('Softplus', [input(0)])])])
  },

  concat({ op, input, node }) {
    const rank = op.output.shape.length
    return node('Concat', [input(0), input(1)], { axis: rank === 4 ? 1 : rank - 1 })
  },

  add: ({ input, node }) => node('Add', [input(0), input(1)]),

  maxPool({ op, input, node }) {
    const { kernelSize, stride, padding = 0 } = op.options as MaxPoolOptions
    return node('MaxPool', [input(0)], {
      kernel_shape: both(kernelSize),
      strides: both(stride),
      pads: [padding, padding, padding, padding],
    })
  },

  // Padding that is not counted says exactly which pixels a window has, while runtimes read ceil_mode in several ways.
  avgPool({ op, input, node }) {
    const { kernelSize, stride } = op.options as AvgPoolOptions
    const overhang = [1, 2].map((axis) => {
      return Math.max(0, (op.output.shape[axis] - 1) * stride + kernelSize - shapeOf(op, 0)[axis])
    })
    return node('AveragePool', [input(0)], {
      kernel_shape: both(kernelSize),
      strides: both(stride),
      pads: [0, 0, ...overhang],
      count_include_pad: 0,
    })
  },

  maxBlurPool({ op, graph, input, node }) {
    const [, , , C] = shapeOf(op, 0)
    const taps = BLUR.flatMap((a) => BLUR.map((b) => a * b))
    const data = Float32Array.from({ length: 9 * C }, (_, i) => taps[i % 9])
    const blur = graph.constant(`blur of ${C} channels`, { shape: [C, 1, 3, 3], data })
    const largest = node('MaxPool', [input(0)], { kernel_shape: both(2), strides: both(1) })
    return node('Conv', [largest, blur], { group: C, kernel_shape: both(3), strides: both(2), pads: [1, 1, 1, 1] })
  },

  globalMaxPool: ({ input, node }) => node('Flatten', [node('GlobalMaxPool', [input(0)])], { axis: 1 }),

  globalAvgPool: ({ input, node }) => node('Flatten', [node('GlobalAveragePool', [input(0)])], { axis: 1 }),

  reshape({ op, graph, input, node }) {
    const [first, ...rest] = op.output.shape
    // The first axis holds the batch, whatever its size.
    const target = sizes(graph, first === undefined ? [] : [-1, ...rest])
    const x = shapeOf(op, 0).length === 4 ? node('Transpose', [input(0)], { perm: [0, 2, 3, 1] }) : input(0)
    const y = node('Reshape', [x, target])
    return op.output.shape.length === 4 ? node('Transpose', [y], { perm: [0, 3, 1, 2] }) : y
  },

  // Half precision is storage; the exported graph computes in float32.
  cast: ({ input }) => input(0),
}

/** Names of the operations that can be exported. */
export const EXPORTED_OPERATIONS: readonly string[] = Object.keys(CONVERTERS)

/**
 * Writes the nodes of one operation.
 *
 * @throws OptionError  that names operation and module, when the operation has no ONNX form here
 */
export function addOperation(graph: Graph, op: TracedOp): void {
  const { name, path, inputs, output } = op
  if (!Object.hasOwn(CONVERTERS, name)) {
    throw refused(op, `the operation '${name}' cannot be exported`, {
      expected: EXPORTED_OPERATIONS.join(', '),
      fix: 'write it with these, or export the network without it',
    })
  }
  const value = CONVERTERS[name]({
    op,
    graph,
    input: (i) => graph.valueOf(inputs[i] as Tensor, op),
    node: (opType, from, attributes) => graph.add(opType, from, attributes, { path }),
  })
  graph.bind(output, value)
}

/** Values of x, weight and, if there is one, bias. */
function withBias(op: TracedOp, input: Context['input']): readonly string[] {
  return op.inputs[2] ? [input(0), input(1), input(2)] : [input(0), input(1)]
}

/** Name of a constant number. */
function number(graph: Graph, value: number): string {
  return graph.constant(`number ${value}`, { shape: [], data: Float32Array.of(value) })
}

/** Name of a constant that holds the target of a reshape. */
function sizes(graph: Graph, shape: readonly number[]): string {
  return graph.constant(`shape [${shape.join(',')}]`, { shape: [shape.length], data: shape })
}

/** Applies nodes to a value whose channels are its last axis, as they are here. */
function overLastAxis(op: TracedOp, x: string, node: Context['node'], nodes: (x: string) => string): string {
  if (shapeOf(op, 0).length !== 4) return nodes(x)
  const y = nodes(node('Transpose', [x], { perm: [0, 2, 3, 1] }))
  return node('Transpose', [y], { perm: [0, 3, 1, 2] })
}

function shapeOf({ inputs }: TracedOp, i: number): Shape {
  return inputs[i]?.shape ?? []
}

function refused(
  { name, path, inputs, output }: TracedOp,
  what: string,
  advice: Pick<ErrorDetails, 'expected' | 'fix'>,
): OptionError {
  const shapes = inputs.map((input) => (input ? `[${input.shape.join(',')}]` : 'none'))
  return new OptionError('exportOnnx', what, {
    given: {
      operation: `${name}: ${shapes.join(' ')} → [${output.shape.join(',')}]`,
      module: path === '' ? 'the model itself' : path,
    },
    ...advice,
  })
}
