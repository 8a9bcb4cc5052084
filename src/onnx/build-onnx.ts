import { NotFiniteError, OptionError, ShapeError } from '../base/errors.ts'
import {
  checkArgument,
  checkOptions,
  FLAG,
  listOf,
  NUMBER,
  objectWith,
  oneOf,
  oneOfTexts,
  TEXT,
  type Kind,
  type Kinds,
} from '../base/options.ts'
import { Module } from '../nn/module.ts'
import type { StateTensor } from '../nn/parameter.ts'
import { toTorch, torchShape } from '../nn/state-dict.ts'
import { halvesOf, isStoredInHalf, WEIGHT_PRECISION } from '../nn/weight-precision.ts'
import type { Shape } from '../tensor/shape.ts'
import { read } from '../tensor/read-write.ts'
import type { OnnxOptions } from './export-onnx.ts'
import { Graph, type Constant } from './graph.ts'
import { addOperation } from './operations.ts'
import { DATA_TYPES, encodeModel, type OnnxNode, type OnnxTensor } from './proto.ts'
import { traceModel } from './trace.ts'

const MODEL: Kind = { expected: 'a model, such as xresnet18()', is: (value) => value instanceof Module }
const KINDS: Kinds<OnnxOptions> = {
  size: oneOf(NUMBER, listOf(NUMBER)),
  channels: NUMBER,
  normalize: objectWith('{ mean, std }, such as imagenetStats'),
  labels: listOf(TEXT),
  precision: WEIGHT_PRECISION,
  activation: oneOfTexts('softmax', 'sigmoid', 'none'),
  logits: FLAG,
  metadata: objectWith('texts by their names'),
}

/** Versions of operators and of the file format that ONNX 1.12 of 2022 and everything since reads. */
const OPSET = 17
const IR_VERSION = 8

/** Names of the graph's input and outputs. */
const INPUT = 'image'
const PROBABILITIES = 'probabilities'
const VALUES = 'values'
const LOGITS = 'logits'
/** The axis of any size. */
const BATCH = 'batch'

/** Computes what `exportOnnx` returns. */
export async function buildOnnx(model: Module, options: OnnxOptions): Promise<Uint8Array> {
  checkArgument('exportOnnx', 'model', model, MODEL)
  checkOptions('exportOnnx', options, KINDS)
  const { labels, precision = 'f32', logits = false, metadata = {} } = options
  const [H, W, C] = imageSize(options)
  const { graph, outputs } = graphOf(model, [1, H, W, C], options)
  requireSameGraph(graph, graphOf(model, [2, H, W, C], options).graph)
  if (labels && labels.length > outputs) {
    throw new OptionError('exportOnnx', 'there are more labels than outputs', {
      given: { labels: labels.length, outputs },
      fix: 'build the model with as many outputs as there are labels',
    })
  }
  const initializers = [...graph.constants].map(([name, constant]) => constantTensor(name, constant))
  const casts: OnnxNode[] = []
  for (const [name, state] of graph.states) {
    const data = await stateNumbers(state)
    const dims = torchShape(state.shape)
    if (isStoredInHalf(dims, precision)) {
      const stored = `${name}/${precision}`
      initializers.push({ name: stored, dtype: 'f16', dims, bytes: bytesOf(halvesOf(name, data)) })
      casts.push({ name, opType: 'Cast', inputs: [stored], outputs: [name], attributes: { to: DATA_TYPES.f32 } })
    } else {
      initializers.push({ name, dtype: 'f32', dims, bytes: bytesOf(data) })
    }
  }
  const rows = [BATCH, outputs]
  return encodeModel({
    irVersion: IR_VERSION,
    opset: OPSET,
    producerName: 'wgrad',
    docString: description([H, W, C], outputs, options),
    graph: {
      name: model.architecture?.name ?? 'network',
      nodes: [...casts, ...graph.nodes],
      initializers,
      inputs: [{ name: INPUT, dims: [BATCH, C, H, W] }],
      outputs: [{ name: resultName(options), dims: rows }, ...(logits ? [{ name: LOGITS, dims: rows }] : [])],
    },
    metadata: { ...(labels ? { labels: JSON.stringify(labels) } : {}), ...metadata },
  })
}

/** Operators of the activations, their attributes, and the meaning of their results. */
const ACTIVATIONS = {
  softmax: ['Softmax', { axis: 1 }, 'of one class per image: their sum is 1'],
  sigmoid: ['Sigmoid', {}, 'of several labels per image: each by itself'],
  none: ['Identity', {}, 'the numbers that the network was trained for'],
} as const

/** Describes input and output of the graph in words, for programs that have only the file: shape, channels, range, meaning. */
function description([H, W, C]: readonly number[], outputs: number, options: OnnxOptions): string {
  const { normalize, activation = 'softmax' } = options
  const colors = C === 3 ? 'RGB' : C === 1 ? 'grey' : 'channels'
  const input = `${INPUT}: float32 [${BATCH},${C},${H},${W}], ${colors} from 0 to 1`
  const result = `${resultName(options)}: float32 [${BATCH},${outputs}], ${ACTIVATIONS[activation][2]}`
  return `${input}${normalize ? ', which the graph normalizes' : ''}; ${result}`
}

function resultName({ activation }: OnnxOptions): string {
  return activation === 'none' ? VALUES : PROBABILITIES
}

/** [H,W,C] of an image. @throws OptionError  when they are not positive whole numbers */
function imageSize({ size, channels = 3 }: OnnxOptions): readonly [number, number, number] {
  const [H, W, ...more] = typeof size === 'number' ? [size, size] : (size ?? [])
  const sides = [H, W, channels, ...more]
  if (sides.length !== 3 || !sides.every((side) => Number.isInteger(side) && side >= 1)) {
    throw new OptionError('exportOnnx', 'this is not the size of images', {
      given: { size, channels },
      expected: 'size as pixels or [height, width], and channels, all positive whole numbers',
    })
  }
  return [H, W, channels]
}

/** The graph of a network for a batch of that shape, which it does not depend on, and the outputs per image. */
function graphOf(
  model: Module,
  shape: Shape,
  options: OnnxOptions,
): { readonly graph: Graph; readonly outputs: number } {
  const { operations, input, output } = traceModel(model, shape)
  if (output.shape.length !== 2 || output.shape[0] !== shape[0]) {
    throw new ShapeError('exportOnnx', 'the network does not give one row of outputs per image', {
      given: { input: shape, output: output.shape },
      expected: `[${shape[0]},outputs]`,
      fix: 'end it with GlobalAvgPool (or flatten) and Linear',
    })
  }
  const graph = new Graph(model.states(), [INPUT, PROBABILITIES, VALUES, LOGITS])
  graph.bind(input, normalized(graph, options))
  for (const operation of operations) addOperation(graph, operation)
  const outputs = graph.valueOf(output, { name: 'softmax', path: '' })
  const { activation = 'softmax' } = options
  const [opType, attributes] = ACTIVATIONS[activation]
  graph.add(opType, [outputs], attributes, { output: resultName(options) })
  if (options.logits === true) graph.add('Identity', [outputs], {}, { output: LOGITS })
  return { graph, outputs: output.shape[1] }
}

/** The value that the network reads. @throws OptionError  when there is not one mean and deviation per channel */
function normalized(graph: Graph, { normalize, channels = 3 }: OnnxOptions): string {
  if (!normalize) return INPUT
  const { mean, std } = normalize
  const fits = (values: unknown): values is readonly number[] =>
    Array.isArray(values) && values.length === channels && values.every(Number.isFinite)
  if (!fits(mean) || !fits(std) || !std.every((deviation) => deviation > 0)) {
    throw new OptionError('exportOnnx', 'one mean and one deviation per channel are needed', {
      given: { mean, std, channels },
      expected: 'finite numbers, std > 0',
    })
  }
  const perChannel = (name: string, values: readonly number[]) =>
    graph.constant(name, { shape: [1, channels, 1, 1], data: Float32Array.from(values) })
  return graph.add('Div', [graph.add('Sub', [INPUT, perChannel('mean', mean)]), perChannel('std', std)])
}

/** @throws OptionError  when the graph of another batch size differs, so that one graph cannot stand for all sizes */
function requireSameGraph(one: Graph, other: Graph): void {
  // The names of constants say their numbers.
  const texts = [one, other].map(({ nodes }) => nodes.map((node) => JSON.stringify(node)))
  const at = texts[0].findIndex((text, i) => text !== texts[1][i])
  if (at < 0 && texts[0].length === texts[1].length) return
  throw new OptionError('exportOnnx', 'the network computes something else for another batch size', {
    given: { 'first difference': one.nodes[at]?.name ?? 'its end' },
    expected: 'the same operations for 1 and 2 images, and reshapes that keep the batch in the first axis',
  })
}

/** Numbers of a parameter or running statistic in ONNX's layout, which is PyTorch's. @throws NotFiniteError */
async function stateNumbers(state: StateTensor): Promise<Float32Array> {
  const data = toTorch(Float32Array.from(await read(state.value)), state.shape)
  const at = data.findIndex((value) => !Number.isFinite(value))
  if (at < 0) return data
  throw new NotFiniteError('exportOnnx', `${state.path} is not finite, so that no probability would be`, {
    given: { [`${state.path}[${at}]`]: data[at] },
    fix: 'the training has diverged: train again, with a lower learning rate',
  })
}

function constantTensor(name: string, { shape, data }: Constant): OnnxTensor {
  const whole = !(data instanceof Float32Array)
  const numbers = whole ? BigInt64Array.from(data, BigInt) : data
  return { name, dtype: whole ? 'i64' : 'f32', dims: shape, bytes: bytesOf(numbers) }
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength)
}
