import { requireInteger } from '../base/check.ts'
import { OptionError } from '../base/errors.ts'
import type { Json } from '../base/json.ts'
import { checkArgument, checkOptions, NUMBER, objectWith, type Kind, type Kinds } from '../base/options.ts'
import type { Backbone } from './backbone.ts'
import { BatchNorm } from './batch-norm.ts'
import { Dropout } from './dropout.ts'
import type { Init } from './init.ts'
import { Linear } from './linear.ts'
import type { Module } from './module.ts'
import type { Parameter } from './parameter.ts'
import { ConcatPool } from './concat-pool.ts'
import { Relu } from './relu.ts'
import { Sequential } from './sequential.ts'
import { SigmoidRange, type OutputRange } from './sigmoid-range.ts'

/** Options of `visionModel`. */
export interface VisionModelOptions {
  /** Classes that the head tells apart. */
  readonly outputs: number
  /** Width of the head's hidden layer. Default 512 */
  readonly hidden?: number
  /** Probability of dropout before the last layer; half of it before the hidden one. Default 0.5 */
  readonly dropout?: number
  /**
   * Range of the outputs where they are numbers, such as `[0, 100]`, or `[[0, 0], [224, 180]]` of two: see `SigmoidRange`. Default:
   * the outputs are any numbers
   */
  readonly yRange?: OutputRange
  /** Options of the backbone, such as `{ channels: 1, seed: 3 }`. Default none */
  readonly body?: Readonly<Record<string, Json | undefined>>
}

/** Checks of the options of `visionModel`. */
export const VISION_MODEL_KINDS: Kinds<VisionModelOptions> = {
  outputs: NUMBER,
  hidden: NUMBER,
  dropout: NUMBER,
  yRange: { expected: 'a range, such as [0, 100]', is: (value) => Array.isArray(value) && value.length === 2 },
  body: objectWith('{ … }'),
}

/** Check of an argument that must be a backbone. */
export const BACKBONE: Kind = {
  expected: 'an architecture, such as resnet34 or xresnet50',
  fix: 'hand over the function itself, resnet34, and not a model that it made',
  is: (value) => typeof value === 'function' && 'body' in value,
}

/** Bias with which a batch norm of fastai begins. Source: fastai layers.py, _get_norm. */
const NORM_BIAS = 1e-3

/**
 * A network for transfer learning: the body of an architecture, and fastai's head.
 *
 *   head: maximum and mean of each channel → batch norm → dropout p/2 → linear (hidden) → ReLU → batch norm → dropout p → linear
 *         → with `yRange` the logistic function, stretched to it
 *
 * x [N,H,W,channels] f16 | f32 → logits [N,outputs] as x. The names of its state are those of fastai's `vision_learner`:
 * `0.…` the body, `1.2`, `1.4`, `1.6`, `1.8` the layers of the head that have weights.
 * Source: fastai vision/learner.py, create_body, create_head and create_vision_model.
 *
 * @param backbone  resnet18 and its siblings, or xresnet18 and its siblings
 * @throws OptionError  when an option is out of range
 */
export function visionModel(backbone: Backbone, options: VisionModelOptions): Sequential {
  checkArgument('visionModel', 'backbone', backbone, BACKBONE)
  checkOptions('visionModel', options, VISION_MODEL_KINDS)
  const { outputs, hidden = 512, dropout = 0.5, yRange, body: bodyOptions = {} } = options
  requireInteger('visionModel', 'outputs', outputs, { from: 1 })
  requireInteger('visionModel', 'hidden', hidden, { from: 1 })
  const { body, features, init } = backbone.body(bodyOptions)
  const model = new Sequential([body, visionHead(features, { outputs, hidden, dropout, yRange }, init)])
  model.architecture = {
    name: 'visionModel',
    options: { backbone: backbone.name, outputs, hidden, dropout, ...(yRange && { yRange }), body: bodyOptions },
  }
  return model
}

/** The head, its layers numbered as fastai's, where flattening has a number too. */
function visionHead(
  features: number,
  {
    outputs,
    hidden,
    dropout,
    yRange,
  }: Required<Omit<VisionModelOptions, 'body' | 'yRange'>> & { readonly yRange: OutputRange | undefined },
  init: Init,
): Sequential {
  return new Sequential([
    ['0', new ConcatPool()],
    ['2', new BatchNorm(2 * features, { bias: NORM_BIAS })],
    ['3', new Dropout(dropout / 2)],
    ['4', new Linear(2 * features, hidden, init, { bias: false })],
    ['5', new Relu()],
    ['6', new BatchNorm(hidden, { bias: NORM_BIAS })],
    ['7', new Dropout(dropout)],
    ['8', new Linear(hidden, outputs, init, { bias: false })],
    ...(yRange ? [['9', new SigmoidRange(outputs, yRange)] as const] : []),
  ])
}

/**
 * The parameters of a `visionModel` in three groups: first layers, other layers of the body, head.
 *
 * @param firstGroup  layers of the body in the first group: `backbone.body().firstGroup`
 * @throws OptionError  when the model has not two parts
 * Source: fastai vision/learner.py, _resnet_split and _xresnet_split.
 */
export function visionGroups(model: Module, firstGroup: number): readonly (readonly Parameter[])[] {
  const parts = model.children()
  if (parts.length !== 2) {
    throw new OptionError('visionGroups', 'the model must have a body and a head', {
      given: { layers: parts.map(([name]) => name) },
      expected: 'a model of visionModel(…)',
    })
  }
  const [[, body], [, head]] = parts
  const layers = body.children().map(([, layer]) => layer.parameters())
  return [layers.slice(0, firstGroup).flat(), layers.slice(firstGroup).flat(), head.parameters()]
}
