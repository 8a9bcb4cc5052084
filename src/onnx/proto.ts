/**
 * The part of ONNX's file format that exported networks use: its messages as plain objects, and their bytes.
 *
 * Names and numbers of the fields are those of onnx/onnx.proto3 of ONNX 1.12 (https://github.com/onnx/onnx); a name here
 * is the one there, in camel case.
 */
import { PbfWriter } from '../vendor/pbf-writer.js'

/** A network with everything that a runtime needs to compute it. */
export interface OnnxModel {
  readonly irVersion: number
  readonly producerName: string
  readonly docString: string
  readonly graph: OnnxGraph
  /** Version of the standard operators, which have the empty domain. */
  readonly opset: number
  readonly metadata: Readonly<Record<string, string>>
}

/** Nodes in the order of their computation, connected by the names of values. */
export interface OnnxGraph {
  readonly name: string
  readonly nodes: readonly OnnxNode[]
  readonly initializers: readonly OnnxTensor[]
  readonly inputs: readonly OnnxValue[]
  readonly outputs: readonly OnnxValue[]
}

/** One operator applied to values. */
export interface OnnxNode {
  readonly name: string
  readonly opType: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: Readonly<Record<string, OnnxAttribute>>
}

/** Value of an attribute: a whole number, a list of them, or a float. */
export type OnnxAttribute = number | readonly number[] | { readonly float: number }

/** Element types by the names of WebGPU. Source: onnx.proto3, TensorProto.DataType. */
export const DATA_TYPES = { f32: 1, i64: 7, f16: 10 } as const

/** A constant. Its bytes are the numbers row by row, little endian. */
export interface OnnxTensor {
  readonly name: string
  readonly dtype: keyof typeof DATA_TYPES
  readonly dims: readonly number[]
  readonly bytes: Uint8Array
}

/** A float32 input or output of a graph; an axis given by a name may have any size. */
export interface OnnxValue {
  readonly name: string
  readonly dims: readonly (number | string)[]
}

/** Kinds of attributes. Source: onnx.proto3, AttributeProto.AttributeType. */
const ATTRIBUTE_TYPES = { float: 1, int: 2, ints: 7 } as const

/** Bytes of a file beyond its tensors, names included, per node or tensor: a first guess, the writer grows when it is more. */
const OVERHEAD_BYTES = 512

/** The bytes of an ONNX file. */
export function encodeModel(model: OnnxModel): Uint8Array {
  const { initializers, nodes } = model.graph
  const tensorBytes = initializers.reduce((sum, { bytes }) => sum + bytes.length, 0)
  const pbf = new PbfWriter(new Uint8Array(tensorBytes + OVERHEAD_BYTES * (initializers.length + nodes.length + 8)))
  writeModel(model, pbf)
  return pbf.finish()
}

function writeModel(model: OnnxModel, pbf: PbfWriter): void {
  pbf.writeVarintField(1, model.irVersion)
  pbf.writeStringField(2, model.producerName)
  pbf.writeStringField(6, model.docString)
  pbf.writeMessage(7, writeGraph, model.graph)
  pbf.writeMessage(8, writeOpset, model.opset)
  for (const entry of Object.entries(model.metadata)) pbf.writeMessage(14, writeEntry, entry)
}

function writeOpset(version: number, pbf: PbfWriter): void {
  pbf.writeStringField(1, '')
  pbf.writeVarintField(2, version)
}

function writeEntry([key, value]: readonly [string, string], pbf: PbfWriter): void {
  pbf.writeStringField(1, key)
  pbf.writeStringField(2, value)
}

function writeGraph({ name, nodes, initializers, inputs, outputs }: OnnxGraph, pbf: PbfWriter): void {
  for (const node of nodes) pbf.writeMessage(1, writeNode, node)
  pbf.writeStringField(2, name)
  for (const tensor of initializers) pbf.writeMessage(5, writeTensor, tensor)
  for (const value of inputs) pbf.writeMessage(11, writeValue, value)
  for (const value of outputs) pbf.writeMessage(12, writeValue, value)
}

function writeNode({ name, opType, inputs, outputs, attributes }: OnnxNode, pbf: PbfWriter): void {
  for (const input of inputs) pbf.writeStringField(1, input)
  for (const output of outputs) pbf.writeStringField(2, output)
  pbf.writeStringField(3, name)
  pbf.writeStringField(4, opType)
  for (const attribute of Object.entries(attributes)) pbf.writeMessage(5, writeAttribute, attribute)
}

function writeAttribute([name, value]: readonly [string, OnnxAttribute], pbf: PbfWriter): void {
  pbf.writeStringField(1, name)
  if (typeof value === 'number') {
    pbf.writeVarintField(3, value)
    pbf.writeVarintField(20, ATTRIBUTE_TYPES.int)
  } else if ('float' in value) {
    pbf.writeFloatField(2, value.float)
    pbf.writeVarintField(20, ATTRIBUTE_TYPES.float)
  } else {
    pbf.writePackedVarint(8, [...value])
    pbf.writeVarintField(20, ATTRIBUTE_TYPES.ints)
  }
}

function writeTensor({ name, dtype, dims, bytes }: OnnxTensor, pbf: PbfWriter): void {
  pbf.writePackedVarint(1, [...dims])
  pbf.writeVarintField(2, DATA_TYPES[dtype])
  pbf.writeStringField(8, name)
  pbf.writeBytesField(9, bytes)
}

function writeValue({ name, dims }: OnnxValue, pbf: PbfWriter): void {
  pbf.writeStringField(1, name)
  pbf.writeMessage(2, writeType, dims)
}

/** TypeProto, TypeProto.Tensor and TensorShapeProto, one within the other. */
function writeType(dims: OnnxValue['dims'], pbf: PbfWriter): void {
  pbf.writeMessage(1, writeTensorType, dims)
}

function writeTensorType(dims: OnnxValue['dims'], pbf: PbfWriter): void {
  pbf.writeVarintField(1, DATA_TYPES.f32)
  pbf.writeMessage(2, writeShape, dims)
}

function writeShape(dims: OnnxValue['dims'], pbf: PbfWriter): void {
  for (const dim of dims) pbf.writeMessage(1, writeDimension, dim)
}

function writeDimension(dim: number | string, pbf: PbfWriter): void {
  if (typeof dim === 'number') pbf.writeVarintField(1, dim)
  else pbf.writeStringField(2, dim)
}
