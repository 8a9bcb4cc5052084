import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { onnx as Schema } from '../../node_modules/onnxruntime-web/lib/onnxjs/ort-schema/protobuf/onnx.js'

const require = createRequire(import.meta.url)

/** ONNX's own schema, as ONNX Runtime's package has it compiled: no number of a field here is ours. */
const { onnx } = require(
  join(dirname(require.resolve('onnxruntime-web')), '../lib/onnxjs/ort-schema/protobuf/onnx.js'),
) as { onnx: typeof Schema }

export type Model = Schema.ModelProto
type Node = Schema.INodeProto
type Attribute = Schema.IAttributeProto
type Tensor = Schema.ITensorProto

const { AttributeProto, TensorProto } = onnx
const { AttributeType } = AttributeProto

export function decodeOnnx(bytes: Uint8Array): Model {
  return onnx.ModelProto.decode(bytes)
}

/** An operator: its inputs at least and at most, and the types of its attributes, those that it needs in capitals. */
interface Operator {
  readonly inputs: readonly [number, number]
  readonly attributes?: Readonly<Record<string, 'INT' | 'INTS' | 'FLOAT' | 'STRING'>>
  readonly required?: readonly string[]
}

const WINDOW = { auto_pad: 'STRING', kernel_shape: 'INTS', pads: 'INTS', strides: 'INTS' } as const

/** The operators of opset 17 that exported graphs may use. Source: ONNX 1.12, docs/Operators.md. */
const OPERATORS: Readonly<Record<string, Operator>> = {
  Add: { inputs: [2, 2] },
  AveragePool: {
    inputs: [1, 1],
    attributes: { ...WINDOW, ceil_mode: 'INT', count_include_pad: 'INT' },
    required: ['kernel_shape'],
  },
  BatchNormalization: { inputs: [5, 5], attributes: { epsilon: 'FLOAT', momentum: 'FLOAT', training_mode: 'INT' } },
  Cast: { inputs: [1, 1], attributes: { to: 'INT' }, required: ['to'] },
  Clip: { inputs: [1, 3] },
  Concat: { inputs: [1, Infinity], attributes: { axis: 'INT' }, required: ['axis'] },
  Conv: { inputs: [2, 3], attributes: { ...WINDOW, dilations: 'INTS', group: 'INT' } },
  Div: { inputs: [2, 2] },
  Erf: { inputs: [1, 1] },
  Flatten: { inputs: [1, 1], attributes: { axis: 'INT' } },
  Gemm: { inputs: [2, 3], attributes: { alpha: 'FLOAT', beta: 'FLOAT', transA: 'INT', transB: 'INT' } },
  GlobalAveragePool: { inputs: [1, 1] },
  GlobalMaxPool: { inputs: [1, 1] },
  HardSigmoid: { inputs: [1, 1], attributes: { alpha: 'FLOAT', beta: 'FLOAT' } },
  HardSwish: { inputs: [1, 1] },
  Identity: { inputs: [1, 1] },
  LayerNormalization: { inputs: [2, 3], attributes: { axis: 'INT', epsilon: 'FLOAT', stash_type: 'INT' } },
  MaxPool: {
    inputs: [1, 1],
    attributes: { ...WINDOW, ceil_mode: 'INT', dilations: 'INTS', storage_order: 'INT' },
    required: ['kernel_shape'],
  },
  Mul: { inputs: [2, 2] },
  Relu: { inputs: [1, 1] },
  Reshape: { inputs: [2, 2], attributes: { allowzero: 'INT' } },
  Sigmoid: { inputs: [1, 1] },
  Softmax: { inputs: [1, 1], attributes: { axis: 'INT' } },
  Softplus: { inputs: [1, 1] },
  Sub: { inputs: [2, 2] },
  Tanh: { inputs: [1, 1] },
  Transpose: { inputs: [1, 1], attributes: { perm: 'INTS' } },
}

/** Bytes of a number, by TensorProto.DataType. */
const NUMBER_BYTES: Readonly<Record<number, number>> = {
  [TensorProto.DataType.FLOAT]: 4,
  [TensorProto.DataType.FLOAT16]: 2,
  [TensorProto.DataType.INT64]: 8,
}

/**
 * What is wrong with a model by the rules of ONNX's checker (onnx/checker.cc of ONNX 1.12), and what is superfluous in
 * it: [] for a good one.
 */
export function faultsOf(model: Model): string[] {
  const faults: string[] = []
  const must = (holds: boolean, what: string) => void (holds || faults.push(what))
  const { graph } = model
  must(Number(model.irVersion) === 8, `IR version ${model.irVersion}`)
  must(
    model.opsetImport.length === 1 && model.opsetImport[0].domain === '' && Number(model.opsetImport[0].version) === 17,
    'opset 17 of the standard domain is imported, once',
  )
  const keys = model.metadataProps.map(({ key }) => key)
  must(new Set(keys).size === keys.length && keys.every((key) => Boolean(key)), 'metadata keys are distinct texts')
  if (!graph) return [...faults, 'there is no graph']
  const { name, node = [], initializer = [], input = [], output = [] } = graph
  must(Boolean(name), 'the graph has a name')

  const defined = new Set<string>()
  const define = (value: string | null | undefined) => {
    must(Boolean(value), 'a value has a name')
    must(!defined.has(value ?? ''), `${value} is defined once`)
    defined.add(value ?? '')
  }
  const read = new Set<string>()
  for (const value of [...(input ?? []), ...(output ?? [])]) {
    const type = value.type?.tensorType
    must(type?.elemType === TensorProto.DataType.FLOAT, `${value.name} is a tensor of floats`)
    for (const dim of type?.shape?.dim ?? []) {
      must(Number(dim.dimValue) > 0 !== Boolean(dim.dimParam), `an axis of ${value.name} has a size or a name`)
    }
    must((type?.shape?.dim ?? []).length > 0, `${value.name} has a shape`)
  }
  for (const value of input ?? []) define(value.name)
  for (const tensor of initializer ?? []) {
    define(tensor.name)
    faults.push(...tensorFaults(tensor))
  }
  const nodeNames = (node ?? []).map((one) => one.name)
  must(new Set(nodeNames).size === nodeNames.length && nodeNames.every(Boolean), 'nodes have names of their own')
  for (const one of node ?? []) {
    faults.push(...nodeFaults(one))
    for (const value of one.input ?? []) {
      must(value === '' || defined.has(value), `${one.name} reads ${value} before it is defined`)
      read.add(value)
    }
    for (const value of one.output ?? []) define(value)
  }
  for (const { name: value } of output ?? []) {
    must(defined.has(value ?? ''), `the output ${value} is computed`)
    read.add(value ?? '')
  }
  for (const value of defined) must(read.has(value), `${value} is used`)
  return faults
}

function tensorFaults({ name, dims, dataType, rawData, floatData, int64Data }: Tensor): string[] {
  const bytes = NUMBER_BYTES[dataType ?? 0]
  if (bytes === undefined) return [`${name} is of type ${dataType}`]
  const count = (dims ?? []).reduce((product: number, dim) => product * Number(dim), 1)
  if ((floatData?.length ?? 0) + (int64Data?.length ?? 0) > 0) return [`${name} has its numbers twice`]
  return rawData?.length === count * bytes ? [] : [`${name} has ${rawData?.length} bytes, not ${count * bytes}`]
}

function nodeFaults({ name, opType, input, output, attribute, domain }: Node): string[] {
  const known = Object.hasOwn(OPERATORS, opType ?? '') ? OPERATORS[opType ?? ''] : undefined
  if (!known || domain) return [`${name} is an operator ${domain ?? ''} ${opType} that the standard has not`]
  const faults: string[] = []
  const [least, most] = known.inputs
  const inputs = (input ?? []).length
  if (inputs < least || inputs > most) faults.push(`${name} has ${inputs} inputs`)
  if ((output ?? []).length !== 1) faults.push(`${name} has ${(output ?? []).length} outputs`)
  const names = (attribute ?? []).map((one) => one.name ?? '')
  if (new Set(names).size < names.length) faults.push(`${name} has an attribute twice`)
  for (const needed of known.required ?? []) if (!names.includes(needed)) faults.push(`${name} needs ${needed}`)
  for (const one of attribute ?? []) {
    const type = known.attributes?.[one.name ?? '']
    if (type === undefined) faults.push(`${opType} has no attribute ${one.name}`)
    else if (one.type !== AttributeType[type] || !holdsOnly(one, type)) faults.push(`${name}: ${one.name} is ${type}`)
  }
  return faults
}

/** True if the value of an attribute stands in the field for its type and in no other. */
function holdsOnly(attribute: Attribute, type: 'INT' | 'INTS' | 'FLOAT' | 'STRING'): boolean {
  const fields = { INT: 'i', INTS: 'ints', FLOAT: 'f', STRING: 's' } as const
  return (['i', 'ints', 'f', 's'] as const).every((field) => {
    const value = attribute[field]
    const there = Object.hasOwn(attribute, field) && !(Array.isArray(value) && value.length === 0)
    return there === (field === fields[type])
  })
}
