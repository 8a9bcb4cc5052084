import { BatchNorm } from '../../src/nn/batch-norm.ts'
import { Gelu, HardSigmoid, HardSwish, Relu6, Silu } from '../../src/nn/activations.ts'
import { Conv, type ConvOptions } from '../../src/nn/conv.ts'
import { ConvLayer } from '../../src/nn/conv-layer.ts'
import { Init } from '../../src/nn/init.ts'
import { LayerNorm } from '../../src/nn/layer-norm.ts'
import { LayerScale } from '../../src/nn/layer-scale.ts'
import { Linear } from '../../src/nn/linear.ts'
import { MaxBlurPool } from '../../src/nn/max-blur-pool.ts'
import { Module } from '../../src/nn/module.ts'
import { AvgPool, GlobalAvgPool, MaxPool } from '../../src/nn/pool.ts'
import { Sequential } from '../../src/nn/sequential.ts'
import { SqueezeExcite } from '../../src/nn/squeeze-excite.ts'
import { StochasticDepth } from '../../src/nn/stochastic-depth.ts'
import { ResBlock } from '../../src/nn/xresnet.ts'
import { mish, sigmoid } from '../../src/ops/activations.ts'
import { add } from '../../src/ops/add.ts'
import { avgPool } from '../../src/ops/avg-pool.ts'
import { globalAvgPool } from '../../src/ops/global-avg-pool.ts'
import { maxPool } from '../../src/ops/max-pool.ts'
import { mul } from '../../src/ops/mul.ts'
import { relu } from '../../src/ops/relu.ts'
import { concat } from '../../src/ops/concat.ts'
import { flatten, reshape } from '../../src/ops/reshape.ts'
import type { Tensor } from '../../src/tensor/tensor.ts'
import { toTorch } from '../../src/nn/state-dict.ts'
import { hashParameter } from '../helpers/golden.ts'
import { hashUniform } from '../../src/testing/hash-uniform.ts'

/** Gives every number of a network a value of its own, running statistics too: nothing in it is 0 or the identity. */
export function scramble<Model extends Module>(model: Model, seed = 1): Model {
  for (const [i, state] of model.states().entries()) {
    const { path, shape, count } = state
    if (path.endsWith('running_var')) state.write(hashUniform(count, seed + i, 0.5, 1.5))
    else if (path.endsWith('running_mean')) state.write(hashUniform(count, seed + i, -0.2, 0.2))
    else state.write(toTorch(hashParameter(path, shape, seed + i), shape))
  }
  return model
}

/** Layers one after the other, with windows and channels that nothing divides. */
export function oddLayers(): Sequential {
  const init = new Init(0)
  const block = { expansion: 1, width: 9, activation: 'mish', init } as const
  return new Sequential([
    new ConvLayer({ inChannels: 3, outChannels: 7, kernelSize: 5, stride: 2, activation: 'mish', init }),
    new MaxBlurPool(),
    new ResBlock({ ...block, inChannels: 7, stride: 2 }),
    new ResBlock({ ...block, inChannels: 9, stride: 1 }),
    new AvgPool(3),
    new MaxPool({ kernelSize: 3, stride: 2, padding: 1 }),
    ['between', new Conv({ inChannels: 9, outChannels: 6, kernelSize: 1, init })],
    ['norm', new BatchNorm(6)],
    new GlobalAvgPool(),
    ['head', new Linear(6, 5, init)],
  ])
}

/** Two branches, their sum and reshapes in a `forward` of its own, for images of 13×18. */
export class Branches extends Module {
  readonly left: ConvLayer
  readonly right: Sequential
  readonly norm: BatchNorm
  readonly head: Linear

  constructor() {
    super()
    const init = new Init(0)
    this.left = this.addChild('left', new ConvLayer({ inChannels: 3, outChannels: 8, stride: 2, init }))
    const narrow = new Conv({ inChannels: 3, outChannels: 8, kernelSize: 1, init })
    this.right = this.addChild('right', new Sequential([new AvgPool(2), narrow]))
    this.norm = this.addChild('norm', new BatchNorm(96))
    this.head = this.addChild('head', new Linear(96, 7, init))
  }

  forward(x: Tensor): Tensor {
    const sum = relu(add(this.left.forward(x), this.right.forward(x)))
    const largest = maxPool(sum, { kernelSize: 2, stride: 1 })
    // [N,6,8,8] → [N,3,4,8], the last windows overhanging by one row and one column.
    const pooled = avgPool(largest, { kernelSize: 3, stride: 2, ceilMode: true })
    const turned = maxPool(reshape(pooled, [x.shape[0], 4, 3, 8]), { kernelSize: 2, stride: 1 })
    const joined = concat(turned, mish(turned))
    return this.head.forward(mish(this.norm.forward(flatten(joined))))
  }
}

/** Every layer that networks for telephones and of patches have, in groups, dilated and with even windows, for images of 16×20. */
export class Modern extends Module {
  readonly stem: Sequential
  readonly blocks: Sequential
  readonly scale: LayerScale
  readonly wide: Linear
  readonly gate: Linear
  readonly head: Linear

  constructor() {
    super()
    const init = new Init(0)
    const conv = (inChannels: number, outChannels: number, more: Partial<ConvOptions>) =>
      new Conv({ inChannels, outChannels, bias: true, init, ...more })
    this.stem = this.addChild(
      'stem',
      new Sequential([conv(3, 10, { kernelSize: 2, stride: 2 }), new LayerNorm(10, { eps: 1e-3 }), new Gelu()]),
    )
    this.blocks = this.addChild(
      'blocks',
      new Sequential([
        conv(10, 10, { groups: 10, kernelSize: 5 }),
        new Silu(),
        conv(10, 15, { groups: 5, stride: 2, padding: 2, dilation: 2 }),
        new Gelu({ approximate: 'tanh' }),
        new SqueezeExcite({ channels: 15, squeezed: 4, activation: new HardSwish(), gate: new HardSigmoid(), init }),
        new Relu6(),
        new StochasticDepth(0.5),
      ]),
    )
    this.scale = this.addChild('scale', new LayerScale(15))
    this.wide = this.addChild('wide', new Linear(15, 8, init))
    this.gate = this.addChild('gate', new Linear(8, 8, init))
    this.head = this.addChild('head', new Linear(8, 6, init))
  }

  forward(x: Tensor): Tensor {
    const y = this.wide.forward(this.scale.forward(this.blocks.forward(this.stem.forward(x))))
    const gated = mul(y, sigmoid(this.gate.forward(globalAvgPool(mul(y, y)))))
    const norm = globalAvgPool(gated)
    return this.head.forward(mul(norm, sigmoid(norm)))
  }
}
