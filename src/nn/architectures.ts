import { DataError } from '../base/errors.ts'
import { isRecord, type Json } from '../base/json.ts'
import type { Backbone } from './backbone.ts'
import type { Module } from './module.ts'
import * as resnets from './resnet.ts'
import { visionModel, type VisionModelOptions } from './vision-model.ts'
import * as xresnets from './xresnet.ts'

/** Function that makes a model from the options stored with its architecture. */
export type ModelMaker = (options: Json) => Module

/** Architectures that transfer learning can take the body of, by name. */
export const backbones: Readonly<Record<string, Backbone>> = Object.fromEntries(
  [
    xresnets.xresnet18,
    xresnets.xresnet34,
    xresnets.xresnet50,
    xresnets.xresnet101,
    xresnets.xresnet152,
    xresnets.xresnet18Deep,
    xresnets.xresnet34Deep,
    xresnets.xresnet50Deep,
    xresnets.xresnet18Deeper,
    xresnets.xresnet34Deeper,
    xresnets.xresnet50Deeper,
    resnets.resnet18,
    resnets.resnet34,
    resnets.resnet50,
    resnets.resnet101,
    resnets.resnet152,
  ].map((backbone) => [backbone.name, backbone]),
)

/** Built-in models by name, which is also the `architecture.name` of the models they make. */
export const architectures: Readonly<Record<string, ModelMaker>> = {
  ...Object.fromEntries(
    Object.entries(backbones).map(([name, backbone]) => [name, (options: Json) => backbone(record(name, options))]),
  ),
  visionModel(given) {
    const { backbone, ...options } = record('visionModel', given)
    if (typeof backbone === 'string' && Object.hasOwn(backbones, backbone)) {
      return visionModel(backbones[backbone], options as unknown as VisionModelOptions)
    }
    throw new DataError('visionModel', 'its body is of an unknown architecture', {
      given: { backbone },
      expected: Object.keys(backbones).join(', '),
    })
  },
}

function record(name: string, options: Json): Readonly<Record<string, unknown>> {
  if (isRecord(options)) return options
  throw new DataError(name, 'its options must be an object', { given: { options } })
}
