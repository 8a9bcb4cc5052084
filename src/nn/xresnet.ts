import { requireInteger, requireNumber } from '../base/check.ts'
import { OptionError } from '../base/errors.ts'
import { ANY, checkOptions, FLAG, NUMBER, TEXT, type Kinds } from '../base/options.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { backbone, type Backbone } from './backbone.ts'
import { ConvLayer, type Activation } from './conv-layer.ts'
import { Init } from './init.ts'
import { Linear } from './linear.ts'
import { MaxBlurPool } from './max-blur-pool.ts'
import { Module } from './module.ts'
import type { Parameter } from './parameter.ts'
import { AvgPool, GlobalAvgPool, MaxPool } from './pool.ts'
import { runLayers, Sequential } from './sequential.ts'
import { rowsUnder, type LayerRow } from './summary.ts'

/** Options of an xresnet. */
export interface XResNetOptions {
  /** Number of outputs of the head. Default 1000, as in fastai, regardless of the data */
  readonly outputs?: number
  /** Channels of an input image. Default 3 */
  readonly channels?: number
  /** Activation after every convolution and every block. Default 'relu' */
  readonly activation?: Exclude<Activation, 'none'>
  /** Pooling after the stem: 'max' is a 3×3 max pool, 'maxBlur' blurs before it downsamples. Default 'max' */
  readonly pool?: keyof typeof POOLS
  /**
   * Factor of the widths of the stages: 0.5 makes an xresnet18 of a quarter of the parameters. The stem keeps its widths.
   * Default 1
   */
  readonly widen?: number
  /** Seed of the initial weights. Default 0 */
  readonly seed?: number
  /**
   * Keep only the inputs of the stem and of each residual block, and compute the rest again in backward: less memory
   * for about a third more time, with bit-identical numbers. Default false
   */
  readonly recompute?: boolean
}

const KINDS: Kinds<XResNetOptions> = {
  outputs: NUMBER,
  channels: NUMBER,
  activation: TEXT,
  pool: TEXT,
  widen: NUMBER,
  seed: NUMBER,
  recompute: FLAG,
}

const BLOCK_KINDS = {
  expansion: NUMBER,
  inChannels: NUMBER,
  width: NUMBER,
  stride: NUMBER,
  activation: TEXT,
  init: ANY,
}

/** Layers that halve the stem's output. */
const POOLS = {
  max: () => new MaxPool({ kernelSize: 3, stride: 2, padding: 1 }),
  maxBlur: () => new MaxBlurPool(),
}

/** Widths of the three convolutions of the stem. Source: fastai vision/models/xresnet.py, XResNet. */
const STEM_WIDTHS = [32, 32, 64] as const
/** Widths of the first four stages. Source: fastai vision/models/xresnet.py, XResNet. */
const STAGE_WIDTHS = [64, 128, 256, 512] as const
/** Width of further stages. */
const EXTRA_STAGE_WIDTH = 256

/**
 * Residual block of ResNet-D.
 *
 *   y = activation(convpath(x) + idpath(x))
 *
 * convpath: 3×3, 3×3, or with expansion 4 the bottleneck 1×1, 3×3, 1×1; the first 3×3 has the stride, and the weight of
 * the last batch norm starts at 0. idpath: x itself; with a stride, an average pool first; if the widths differ, a 1×1
 * convolution (arXiv:1812.01187, ResNet-D).
 * Source: fastai layers.py, ResBlock.
 */
export class ResBlock extends Module {
  static override readonly replayable: boolean = true
  readonly convpath: Sequential
  readonly idpath: Sequential
  private readonly before: readonly ConvLayer[]
  private readonly last: ConvLayer

  constructor(options: {
    expansion: number
    inChannels: number
    width: number
    stride: number
    activation: Activation
    init: Init
  }) {
    super()
    checkOptions('ResBlock', options, BLOCK_KINDS)
    const { expansion, inChannels, width, stride, activation, init } = options
    const outChannels = width * expansion
    this.before =
      expansion === 1
        ? [new ConvLayer({ inChannels, outChannels: width, stride, activation, init })]
        : [
            new ConvLayer({ inChannels, outChannels: width, kernelSize: 1, activation, init }),
            new ConvLayer({ inChannels: width, outChannels: width, stride, activation, init }),
          ]
    const kernelSize = expansion === 1 ? 3 : 1
    this.last = new ConvLayer({ inChannels: width, outChannels, kernelSize, normWeight: 0, activation, init })
    this.convpath = this.addChild('convpath', new Sequential([...this.before, this.last]))
    this.idpath = this.addChild(
      'idpath',
      new Sequential([
        ...(stride === 1 ? [] : [new AvgPool(stride)]),
        ...(inChannels === outChannels
          ? []
          : [new ConvLayer({ inChannels, outChannels, kernelSize: 1, activation: 'none', init })]),
      ]),
    )
  }

  forward(x: Tensor): Tensor {
    return this.last.forwardOnto(this.idpath.forward(x), runLayers(this.before, x))
  }

  override describe(input: Shape): readonly LayerRow[] {
    return [
      ...rowsUnder('idpath', this.idpath.describe(input)),
      ...rowsUnder('convpath', this.convpath.describe(input)),
    ]
  }
}

/**
 * Makes the network of the Imagenette lessons: a ResNet with a stem of three 3×3 convolutions and average pools on the
 * shortcuts, initialized so that every block starts as the identity.
 *
 * Layers 0-2 stem, 3 pool, then the stages, global average pool, (flatten and dropout, which do nothing here but keep
 * their numbers), linear. x [N,H,W,channels] f16 | f32 → logits [N,outputs] of the same type.
 * Source: fastai vision/models/xresnet.py, XResNet; He et al. 2018, arXiv:1812.01187.
 *
 * @param expansion  ratio of a block's output width to its inner width: 1, or 4 for bottlenecks
 * @param blocks     number of residual blocks in each stage
 * @throws OptionError  if an option is out of range
 */
export function xresnet(expansion: 1 | 4, blocks: readonly number[], options: XResNetOptions = {}): Sequential {
  const { outputs = 1000, recompute = false } = options
  requireInteger('xresnet', 'outputs', outputs, { from: 1 })
  const { layers, features, init } = bodyLayers(expansion, blocks, options)
  const head = new Linear(features, outputs, init)
  // Flatten and dropout have a number each.
  return new Sequential([...layers, new GlobalAvgPool(), [String(layers.length + 3), head]], {
    recomputed: recompute ? STEM : [],
  })
}

/** Runs of layers whose activations are computed again: the stem with its pool, the first layers and most of what is kept. */
const STEM = [[0, STEM_WIDTHS.length + 1]] as const

/** Layers before the global pool, the channels of their output, and the stream that later weights begin with. */
function bodyLayers(
  expansion: 1 | 4,
  blocks: readonly number[],
  options: XResNetOptions,
): { readonly layers: readonly Module[]; readonly features: number; readonly init: Init } {
  const { channels = 3, activation = 'relu', pool = 'max', widen = 1, seed = 0, recompute = false } = options
  checkOptions('xresnet', options, KINDS)
  requireInteger('xresnet', 'channels', channels, { from: 1 })
  requireNumber('xresnet', 'widen', widen, { from: 1 / STAGE_WIDTHS[0], to: 16 })
  if (!Object.hasOwn(POOLS, pool)) {
    throw new OptionError('xresnet', 'unknown pool', {
      given: { pool },
      expected: Object.keys(POOLS).join(', '),
    })
  }
  const init = new Init(seed)
  const stem = STEM_WIDTHS.map((outChannels, i) => {
    return new ConvLayer({
      inChannels: i === 0 ? channels : STEM_WIDTHS[i - 1],
      outChannels,
      stride: i === 0 ? 2 : 1,
      activation,
      init,
    })
  })
  let inChannels: number = STEM_WIDTHS[2]
  const stages = blocks.map((count, i) => {
    // Rounded down, as fastai does.
    const width = Math.floor(widen * (STAGE_WIDTHS[i] ?? EXTRA_STAGE_WIDTH))
    return new Sequential(
      Array.from({ length: count }, (_, j) => {
        const block = new ResBlock({ expansion, inChannels, width, stride: i > 0 && j === 0 ? 2 : 1, activation, init })
        inChannels = width * expansion
        return block
      }),
      { recomputed: recompute ? Array.from({ length: count }, (_, j) => [j, j + 1] as const) : [] },
    )
  })
  return { layers: [...stem, POOLS[pool](), ...stages], features: inChannels, init }
}

/**
 * Divides the parameters of an xresnet into stem, stages and head, for `new Learner(loaders, model, { groups:
 * xresnetGroups })`, so that they can be frozen and have learning rates of their own.
 *
 * @throws OptionError  if the model is not an xresnet
 * Source: fastai vision/learner.py, _xresnet_split.
 */
export function xresnetGroups(model: Module): readonly (readonly Parameter[])[] {
  const layers = model.children().map(([, layer]) => layer.parameters())
  const groups = [layers.slice(0, STEM_WIDTHS.length), layers.slice(STEM_WIDTHS.length, -1), layers.slice(-1)].map(
    (some) => some.flat(),
  )
  if (groups.every((group) => group.length > 0)) return groups
  throw new OptionError('xresnetGroups', 'the model is not an xresnet', {
    given: { 'parameters of stem, stages and head': groups.map((group) => group.length) },
    expected: 'parameters in all three',
  })
}

/** Makes the constructor of an xresnet with a name, whole or without its head. */
function named(name: string, expansion: 1 | 4, blocks: readonly number[]): Backbone<XResNetOptions> {
  return backbone(name, {
    whole: (options: XResNetOptions) => xresnet(expansion, blocks, options),
    body(options: XResNetOptions) {
      const { layers, features, init } = bodyLayers(expansion, blocks, options)
      const body = new Sequential(layers, { recomputed: options.recompute === true ? STEM : [] })
      return { body, features, firstGroup: STEM_WIDTHS.length, init }
    },
  })
}

/** Makes an xresnet18, which has 11.7 million parameters with 1000 outputs (see `xresnet`). */
export const xresnet18 = named('xresnet18', 1, [2, 2, 2, 2])
/** Makes an xresnet34 (see `xresnet`). */
export const xresnet34 = named('xresnet34', 1, [3, 4, 6, 3])
/** Makes an xresnet50, with bottleneck blocks (see `xresnet`). */
export const xresnet50 = named('xresnet50', 4, [3, 4, 6, 3])
/** Makes an xresnet101, with bottleneck blocks (see `xresnet`). */
export const xresnet101 = named('xresnet101', 4, [3, 4, 23, 3])
/** Makes an xresnet152, with bottleneck blocks (see `xresnet`). */
export const xresnet152 = named('xresnet152', 4, [3, 8, 36, 3])
/** Makes an xresnet18 with two more stages, for small images. */
export const xresnet18Deep = named('xresnet18Deep', 1, [2, 2, 2, 2, 1, 1])
/** Makes an xresnet34 with two more stages, for small images. */
export const xresnet34Deep = named('xresnet34Deep', 1, [3, 4, 6, 3, 1, 1])
/** Makes an xresnet50 with two more stages, for small images. */
export const xresnet50Deep = named('xresnet50Deep', 4, [3, 4, 6, 3, 1, 1])
/** Makes an xresnet18 with four more stages, for small images. */
export const xresnet18Deeper = named('xresnet18Deeper', 1, [2, 2, 1, 1, 1, 1, 1, 1])
/** Makes an xresnet34 with four more stages, for small images. */
export const xresnet34Deeper = named('xresnet34Deeper', 1, [3, 4, 6, 3, 1, 1, 1, 1])
/** Makes an xresnet50 with four more stages, for small images. */
export const xresnet50Deeper = named('xresnet50Deeper', 4, [3, 4, 6, 3, 1, 1, 1, 1])
