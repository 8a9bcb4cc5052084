/**
 * ConvNeXt (Liu et al. 2022, arXiv:2201.03545), written with the package's layers: patches, 7×7 depthwise convolutions, layer
 * norm of every pixel, and linear layers in place of 1×1 convolutions. The names of its state are torchvision's; only a layer
 * scale is [C] here and [C,1,1] there, see `fromTorchvision`.
 */
import {
  Conv,
  Flatten,
  Gelu,
  GlobalAvgPool,
  Init,
  LayerNorm,
  Linear,
  Module,
  Parameter,
  Sequential,
  StochasticDepth,
  type StateDict,
} from 'wgrad/nn'
import { add, mul, type Tensor } from 'wgrad/tensor'

export interface ConvNextOptions {
  readonly outputs?: number
  /** Blocks of each stage. Default: those of ConvNeXt-Tiny */
  readonly depths?: readonly number[]
  /** Channels of each stage. Default: those of ConvNeXt-Tiny */
  readonly widths?: readonly number[]
  /** Probability of leaving out the last block; those before have less. Default 0.1 */
  readonly dropPath?: number
  /** Initial layer scale. Default 1e-6 */
  readonly layerScale?: number
  readonly seed?: number
}

const EPSILON = { eps: 1e-6 }

/** y = x + scale·linear(gelu(linear(norm(depthwise(x))))). x [N,H,W,C] → as x. */
class Block extends Module {
  static override readonly replayable = true
  private readonly scale: Parameter
  private readonly block: Sequential
  private readonly depth: StochasticDepth

  constructor(channels: number, layerScale: number, dropPath: number, init: Init) {
    super()
    this.scale = this.addParameter(
      new Parameter('layer_scale', [channels], 'bias', () => Array(channels).fill(layerScale)),
    )
    this.block = this.addChild(
      'block',
      // Numbered as torchvision's, whose permutations have numbers too.
      new Sequential([
        [
          '0',
          new Conv({
            inChannels: channels,
            outChannels: channels,
            kernelSize: 7,
            groups: channels,
            bias: true,
            start: 'normal',
            init,
          }),
        ],
        ['2', new LayerNorm(channels, EPSILON)],
        ['3', new Linear(channels, 4 * channels, init, { start: 'normal' })],
        ['4', new Gelu()],
        ['5', new Linear(4 * channels, channels, init, { start: 'normal' })],
      ]),
    )
    this.depth = this.addChild('stochastic_depth', new StochasticDepth(dropPath))
  }

  forward(x: Tensor): Tensor {
    return add(x, this.depth.forward(mul(this.block.forward(x), this.scale.value)))
  }
}

/** x [N,H,W,3], H and W from 4·2^(stages − 1) on → logits [N,outputs]. */
export function convNext(options: ConvNextOptions = {}): Sequential {
  const { depths = [3, 3, 9, 3], widths = [96, 192, 384, 768] } = options
  const { outputs = 1000, dropPath = 0.1, layerScale = 1e-6, seed = 0 } = options
  const init = new Init(seed)
  const patches = (inChannels: number, outChannels: number, size: number) =>
    new Conv({ inChannels, outChannels, kernelSize: size, stride: size, bias: true, start: 'normal', init })
  const features: Module[] = [new Sequential([patches(3, widths[0], 4), new LayerNorm(widths[0], EPSILON)])]
  const blocks = depths.reduce((sum, depth) => sum + depth, 0)
  let made = 0
  for (const [stage, depth] of depths.entries()) {
    const width = widths[stage]
    if (stage > 0) {
      const before = widths[stage - 1]
      features.push(new Sequential([new LayerNorm(before, EPSILON), patches(before, width, 2)]))
    }
    const stageBlocks = Array.from({ length: depth }, () => {
      return new Block(width, layerScale, blocks > 1 ? (dropPath * made++) / (blocks - 1) : 0, init)
    })
    features.push(new Sequential(stageBlocks))
  }
  const last = widths[depths.length - 1]
  const model = new Sequential([
    ['features', new Sequential(features)],
    ['avgpool', new GlobalAvgPool()],
    [
      'classifier',
      new Sequential([
        new LayerNorm(last, EPSILON),
        new Flatten(),
        new Linear(last, outputs, init, { start: 'normal' }),
      ]),
    ],
  ])
  model.architecture = { name: 'convNext', options: { ...options, depths: [...depths], widths: [...widths] } }
  return model
}

/** Weights of torchvision's ConvNeXt in the shapes that this one has. */
export function fromTorchvision(weights: StateDict): StateDict {
  return new Map(
    [...weights].map(([name, { shape, data }]) => [
      name,
      { shape: name.endsWith('.layer_scale') ? [shape[0]] : shape, data },
    ]),
  )
}
