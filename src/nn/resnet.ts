import { requireInteger } from '../base/check.ts'
import { OptionError } from '../base/errors.ts'
import { checkOptions, FLAG, NUMBER, type Kinds } from '../base/options.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { backbone, type Backbone } from './backbone.ts'
import { BatchNorm } from './batch-norm.ts'
import { Conv } from './conv.ts'
import { Init } from './init.ts'
import { Linear } from './linear.ts'
import { Module } from './module.ts'
import type { Parameter } from './parameter.ts'
import { GlobalAvgPool, MaxPool } from './pool.ts'
import { describeLayers, runLayers, Sequential } from './sequential.ts'
import { rowsUnder, type LayerRow } from './summary.ts'

/** Options of `resnet18` and its siblings. */
export interface ResNetOptions {
  /** Classes that the head tells apart. Default 1000, as torchvision's. */
  readonly outputs?: number
  /** Channels of an image. Default 3. */
  readonly channels?: number
  /** Seed of the initial weights. Default 0. */
  readonly seed?: number
  /** Keep only the input of the stem and of each residual block, and compute the rest again in backward. Default false */
  readonly recompute?: boolean
}

const KINDS: Kinds<ResNetOptions> = { outputs: NUMBER, channels: NUMBER, seed: NUMBER, recompute: FLAG }

const STEM_WIDTH = 64
const STAGE_WIDTHS = [64, 128, 256, 512] as const
/** Convolution, norm and pool before the stages. */
const STEM_LAYERS = 3
/** Layers before the third stage, where fastai divides the network. Source: fastai vision/learner.py, _resnet_split. */
const FIRST_GROUP = STEM_LAYERS + 2

/** Sizes of a residual block, and the stream of its initial weights. */
interface BlockOptions {
  /** Ratio of the width of the output to that of the middle: 1, or 4 for a bottleneck. */
  readonly expansion: 1 | 4
  readonly inChannels: number
  readonly width: number
  readonly stride: number
  readonly init: Init
}

/**
 * A residual block.
 *
 *   y = relu(path(x) + shortcut(x))
 *
 * path: 3×3, 3×3, or with expansion 4 the bottleneck 1×1, 3×3, 1×1, each with a batch norm; the first 3×3 steps by
 * `stride`. shortcut: x itself, or a 1×1 convolution of that stride with a batch norm where the shapes differ.
 * Source: torchvision models/resnet.py, BasicBlock and Bottleneck (version 1.5 of the network).
 */
class ResNetBlock extends Module {
  static override readonly replayable: boolean = true
  private readonly path: readonly (readonly [conv: Conv, norm: BatchNorm])[]
  private readonly downsample: Sequential | undefined

  constructor({ expansion, inChannels, width, stride, init }: BlockOptions) {
    super()
    const outChannels = width * expansion
    const convs =
      expansion === 1
        ? [
            { inChannels, outChannels: width, stride },
            { inChannels: width, outChannels },
          ]
        : [
            { inChannels, outChannels: width, kernelSize: 1 },
            { inChannels: width, outChannels: width, stride },
            { inChannels: width, outChannels, kernelSize: 1 },
          ]
    this.path = convs.map((conv, i) => [
      this.addChild(`conv${i + 1}`, new Conv({ ...conv, init, fan: 'out' })),
      this.addChild(`bn${i + 1}`, new BatchNorm(conv.outChannels, { relu: i < convs.length - 1 })),
    ])
    if (stride === 1 && inChannels === outChannels) return
    const shortcut = new Conv({ inChannels, outChannels, kernelSize: 1, stride, init, fan: 'out' })
    this.downsample = this.addChild('downsample', new Sequential([shortcut, new BatchNorm(outChannels)]))
  }

  forward(x: Tensor): Tensor {
    const layers = this.path.flat()
    const last = this.path[this.path.length - 1][1]
    const residual = this.downsample ? this.downsample.forward(x) : x
    return last.forward(runLayers(layers.slice(0, -1), x), { residual, relu: true })
  }

  override describe(input: Shape): readonly LayerRow[] {
    const path = this.children().filter(([, layer]) => layer !== this.downsample)
    // The shortcut first, so that the last row has the shape of the block's output.
    const shortcut = this.downsample ? rowsUnder('downsample', this.downsample.describe(input)) : []
    return [...shortcut, ...describeLayers(path, input)]
  }
}

/** Layers before the global pool, the channels of their output, and the stream that later weights begin with. */
function bodyLayers(expansion: 1 | 4, blocks: readonly number[], options: ResNetOptions) {
  checkOptions('resnet', options, KINDS)
  const { channels = 3, seed = 0, recompute = false } = options
  requireInteger('resnet', 'channels', channels, { from: 1 })
  const init = new Init(seed)
  const conv = new Conv({ inChannels: channels, outChannels: STEM_WIDTH, kernelSize: 7, stride: 2, init, fan: 'out' })
  const norm = new BatchNorm(STEM_WIDTH, { relu: true })
  const pool = new MaxPool({ kernelSize: 3, stride: 2, padding: 1 })
  let inChannels = STEM_WIDTH
  const stages = blocks.map((count, stage) => {
    const width = STAGE_WIDTHS[stage]
    const layers = Array.from({ length: count }, (_, i) => {
      const block = new ResNetBlock({ expansion, inChannels, width, stride: stage > 0 && i === 0 ? 2 : 1, init })
      inChannels = width * expansion
      return block
    })
    return new Sequential(layers, { recomputed: recompute ? layers.map((_, i) => [i, i + 1] as const) : [] })
  })
  return { stem: [conv, norm, pool], stages, features: inChannels, init }
}

const recomputedStem = ({ recompute }: ResNetOptions) => (recompute === true ? ([[0, STEM_LAYERS]] as const) : [])

/**
 * The residual network of torchvision, and timm's by the same name: a 7×7 convolution of stride 2, max pool, four stages
 * of residual blocks, global average pool, linear layer. Names and layouts of its state are torchvision's.
 *
 * x [N,H,W,channels] f16 | f32 → logits [N,outputs] as x. Weights begin as PyTorch's: convolutions normal by their outputs,
 * the linear layer uniform.
 * Source: He et al. 2015, arXiv:1512.03385; torchvision models/resnet.py, ResNet.
 *
 * @param expansion  ratio of a block's output width to its inner width: 1, or 4 for bottlenecks
 * @param blocks     number of residual blocks in each of the (at most four) stages
 * @throws OptionError  when an option is out of range
 */
export function resnet(expansion: 1 | 4, blocks: readonly number[], options: ResNetOptions = {}): Sequential {
  const { outputs = 1000 } = options
  if (blocks.length > STAGE_WIDTHS.length) {
    throw new OptionError('resnet', 'there are too many stages', {
      given: { blocks },
      expected: `${STAGE_WIDTHS.length} at most`,
    })
  }
  requireInteger('resnet', 'outputs', outputs, { from: 1 })
  const {
    stem: [conv, norm, pool],
    stages,
    features,
    init,
  } = bodyLayers(expansion, blocks, options)
  return new Sequential(
    [
      ['conv1', conv],
      ['bn1', norm],
      ['maxpool', pool],
      ...stages.map((stage, i) => [`layer${i + 1}`, stage] as const),
      ['avgpool', new GlobalAvgPool()],
      ['fc', new Linear(features, outputs, init, { start: 'uniform' })],
    ],
    { recomputed: recomputedStem(options) },
  )
}

/**
 * The parameters of a resnet in three groups, for `new Learner(loaders, model, { groups: resnetGroups })`: stem and first
 * two stages, the other stages, the head.
 *
 * @throws OptionError  when the model is not a resnet
 * Source: fastai vision/learner.py, _resnet_split.
 */
export function resnetGroups(model: Module): readonly (readonly Parameter[])[] {
  const layers = model.children()
  if (layers[0]?.[0] === 'conv1' && layers.at(-1)?.[0] === 'fc') {
    const groups = [layers.slice(0, FIRST_GROUP), layers.slice(FIRST_GROUP, -1), layers.slice(-1)]
    return groups.map((some) => some.flatMap(([, layer]) => layer.parameters()))
  }
  throw new OptionError('resnetGroups', 'the model is not a resnet', {
    given: { layers: layers.map(([name]) => name) },
    expected: 'a model of resnet18 or one of its siblings',
  })
}

/** A network of that name, whole or without its head. */
function named(name: string, expansion: 1 | 4, blocks: readonly number[]): Backbone<ResNetOptions> {
  return backbone(name, {
    whole: (options: ResNetOptions) => resnet(expansion, blocks, options),
    body(options: ResNetOptions) {
      const { stem, stages, features, init } = bodyLayers(expansion, blocks, options)
      // fastai counts the ReLU, which is one pass with the norm here.
      const names = ['0', '1', '3', ...stages.map((_, i) => String(i + 4))]
      const layers = [...stem, ...stages].map((layer, i) => [names[i], layer] as const)
      const body = new Sequential(layers, { recomputed: recomputedStem(options) })
      return { body, features, firstGroup: FIRST_GROUP, init }
    },
  })
}

/** ResNet-18: 11.7 million parameters with 1000 outputs. See `resnet`. */
export const resnet18 = named('resnet18', 1, [2, 2, 2, 2])
/** ResNet-34: 21.8 million parameters with 1000 outputs. See `resnet`. */
export const resnet34 = named('resnet34', 1, [3, 4, 6, 3])
/** ResNet-50: 25.6 million parameters with 1000 outputs. See `resnet`. */
export const resnet50 = named('resnet50', 4, [3, 4, 6, 3])
/** ResNet-101: 44.5 million parameters with 1000 outputs. See `resnet`. */
export const resnet101 = named('resnet101', 4, [3, 4, 23, 3])
/** ResNet-152: 60.2 million parameters with 1000 outputs. See `resnet`. */
export const resnet152 = named('resnet152', 4, [3, 8, 36, 3])
