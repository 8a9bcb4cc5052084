import { DataError } from '../base/errors.ts'
import { isRecord, type Json } from '../base/json.ts'
import type { Module } from './module.ts'
import * as xresnets from './xresnet.ts'

/** Makes a model with the options that its architecture was written down with. */
export type ModelMaker = (options: Json) => Module

/** The models that have a name: `architecture.name` of what such a function makes is its own. */
export const architectures: Readonly<Record<string, ModelMaker>> = Object.fromEntries(
  [
    'xresnet18',
    'xresnet34',
    'xresnet50',
    'xresnet101',
    'xresnet152',
    'xresnet18Deep',
    'xresnet34Deep',
    'xresnet50Deep',
    'xresnet18Deeper',
    'xresnet34Deeper',
    'xresnet50Deeper',
  ].map((name) => [
    name,
    (options: Json) => {
      if (!isRecord(options)) throw new DataError(name, 'its options are not { … }', { given: { options } })
      return xresnets[name as 'xresnet18'](options)
    },
  ]),
)
