/**
 * MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381), written with the package's layers: depthwise convolutions between narrow
 * ones. The names of its state are torchvision's, so that weights of mobilenet_v2 load as they are.
 */
import { Conv, ConvLayer, BatchNorm, Dropout, GlobalAvgPool, Init, Linear, Module, Relu6, Sequential } from 'wgrad/nn'
import { add, type Tensor } from 'wgrad/tensor'

/** Residual blocks of one width: expansion, channels, number, and step of the first. */
export type Stage = readonly [expansion: number, channels: number, blocks: number, stride: number]

export interface MobileNetV2Options {
  readonly outputs?: number
  /** Factor of every width. Default 1 */
  readonly width?: number
  readonly stages?: readonly Stage[]
  readonly dropout?: number
  readonly seed?: number
}

const STAGES: readonly Stage[] = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
]

/** The nearest multiple of eight that is not smaller by more than a tenth. Source: torchvision ops/misc.py, _make_divisible. */
function multipleOf8(channels: number): number {
  const nearest = Math.max(8, Math.floor((channels + 4) / 8) * 8)
  return nearest < 0.9 * channels ? nearest + 8 : nearest
}

/** A 1×1 convolution that widens, a depthwise one, and a 1×1 that narrows, around which the input passes if it can. */
class InvertedResidual extends Module {
  static override readonly replayable = true
  private readonly path: Sequential
  private readonly isResidual: boolean

  constructor(inChannels: number, outChannels: number, stride: number, expansion: number, init: Init) {
    super()
    const wide = inChannels * expansion
    const common = () => ({ init, fan: 'out' as const, activation: new Relu6() })
    const widen = new ConvLayer({ ...common(), inChannels, outChannels: wide, kernelSize: 1 })
    this.path = this.addChild(
      'conv',
      new Sequential([
        ...(expansion === 1 ? [] : [widen]),
        new ConvLayer({ ...common(), inChannels: wide, outChannels: wide, stride, groups: wide }),
        new Conv({ inChannels: wide, outChannels, kernelSize: 1, init, fan: 'out' }),
        new BatchNorm(outChannels),
      ]),
    )
    this.isResidual = stride === 1 && inChannels === outChannels
  }

  forward(x: Tensor): Tensor {
    const y = this.path.forward(x)
    return this.isResidual ? add(x, y) : y
  }
}

/** x [N,H,W,3] → logits [N,outputs]. */
export function mobileNetV2(options: MobileNetV2Options = {}): Sequential {
  const { outputs = 1000, width = 1, stages = STAGES, dropout = 0.2, seed = 0 } = options
  const init = new Init(seed)
  let channels = multipleOf8(32 * width)
  const features: Module[] = [
    new ConvLayer({ inChannels: 3, outChannels: channels, stride: 2, activation: new Relu6(), init, fan: 'out' }),
  ]
  for (const [expansion, given, blocks, stride] of stages) {
    const out = multipleOf8(given * width)
    for (let i = 0; i < blocks; i++) {
      features.push(new InvertedResidual(channels, out, i === 0 ? stride : 1, expansion, init))
      channels = out
    }
  }
  const last = multipleOf8(1280 * Math.max(1, width))
  features.push(
    new ConvLayer({
      inChannels: channels,
      outChannels: last,
      kernelSize: 1,
      activation: new Relu6(),
      init,
      fan: 'out',
    }),
  )
  const model = new Sequential([
    ['features', new Sequential(features)],
    ['pool', new GlobalAvgPool()],
    ['classifier', new Sequential([new Dropout(dropout), new Linear(last, outputs, init, { start: 'normal' })])],
  ])
  // What loadLearner makes an equal one of.
  model.architecture = { name: 'mobileNetV2', options: { ...options, stages: stages.map((stage) => [...stage]) } }
  return model
}
