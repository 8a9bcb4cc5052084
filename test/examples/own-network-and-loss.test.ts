/**
 * A network and a loss of your own, trained by a learner: a module with a residual path, and the squared error between
 * outputs and one-hot labels, which needs two shaders of its own.
 */
import { accuracy, Learner, type Loss } from 'wgrad'
import {
  ConvLayer,
  GlobalAvgPool,
  Init,
  layerRow,
  Linear,
  Module,
  rowsUnder,
  Sequential,
  type LayerRow,
} from 'wgrad/nn'
import { add, defineOp, empty, item, launch, read, registerShader, relu, sum, tensor } from 'wgrad/tensor'
import type { Shape, Tensor } from 'wgrad/tensor'
import { expect, test } from 'vitest'
import { drawnImages, openQuietGpu } from './drawn-images.ts'

const platform = await openQuietGpu()

/** Two convolutions around which the input passes: y = relu(x + second(first(x))). x [N,H,W,C] → the same shape. */
class Residual extends Module {
  // The same work for every batch of a shape, so that training steps may be recorded once and replayed.
  static override readonly replayable: boolean = true
  private readonly path: Sequential

  constructor(channels: number, init: Init) {
    super()
    const sizes = { inChannels: channels, outChannels: channels, init }
    this.path = this.addChild(
      'path',
      new Sequential([new ConvLayer(sizes), new ConvLayer({ ...sizes, activation: 'none' })]),
    )
  }

  forward(x: Tensor): Tensor {
    return relu(add(x, this.path.forward(x)))
  }

  override describe(input: Shape): readonly LayerRow[] {
    return [...rowsUnder('path', this.path.describe(input)), { ...layerRow('add, relu', input, []), path: 'add' }]
  }
}

function residualNetwork(outputs: number): Sequential {
  const init = new Init(1)
  return new Sequential([
    new ConvLayer({ inChannels: 3, outChannels: 16, stride: 2, init }),
    new Residual(16, init),
    new GlobalAvgPool(),
    new Linear(16, outputs, init),
  ])
}

// each[n] = SCALE·Σ_k (x[n,k] − t[n,k])²,  t[n,k] = 1 where k is the label of item n, else 0
// x [N,K], stored with K padded to K4·4 zeros; each [N], likewise padded, with zeros; one thread per number of `each`
const forwardShader = registerShader(
  'example/squared-error-forward',
  /* wgsl */ `
// @shape N K K4
// @const SCALE:f32
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read_write> each: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let n = workgroupIndex(group) * 64u + thread;
  if (n >= (shape.N + 3u) / 4u * 4u) { return; }
  var total = 0.0;
  if (n < shape.N) {
    for (var k = 0u; k < shape.K; k++) {
      let difference = x[n * shape.K4 * 4u + k] - select(0.0, 1.0, k == labels[n]);
      total += difference * difference;
    }
  }
  each[n] = SCALE * total;
}`,
)

// dx[n,k] = 2·SCALE·dy[n]·(x[n,k] − t[n,k]), and 0 in the padding; one thread per stored number of x
const backwardShader = registerShader(
  'example/squared-error-backward',
  /* wgsl */ `
// @shape N K K4
// @const SCALE:f32
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let i = workgroupIndex(group) * 64u + thread;
  let n = i / (shape.K4 * 4u);
  let k = i % (shape.K4 * 4u);
  if (n >= shape.N) { return; }
  let slope = 2.0 * SCALE * dy[n] * (x[i] - select(0.0, 1.0, k == labels[n]));
  dx[i] = select(0.0, slope, k < shape.K);
}`,
)

const squares = defineOp<
  readonly [Tensor, Tensor],
  { readonly scale: number },
  Record<'N' | 'K' | 'K4' | 'scale', number>
>({
  name: 'squaredError',
  required: 2,
  plan([{ shape }], { scale }) {
    const [N, K] = shape
    return { N, K, K4: Math.ceil(K / 4), scale }
  },
  forward({ scale, ...shape }, [x, labels]) {
    const each = empty({ shape: [shape.N], dtype: 'f32' }, 'squared errors')
    const groups = Math.ceil((shape.N + 3) / 64)
    launch(forwardShader, { x, labels, each }, { groups, shape, constants: { SCALE: scale } })
    return each
  },
  backward({ scale, ...shape }, dy, { inputs: [x, labels] }, _needs, target) {
    const dx = target(0)
    const groups = Math.ceil((shape.N * shape.K4 * 4) / 64)
    launch(backwardShader, { x, labels, dy, dx }, { groups, shape, constants: { SCALE: scale } })
    return [dx, undefined]
  },
})

/** Squared error between outputs and one-hot labels. Source: Hui & Belkin 2020, arXiv:2006.07322. */
const squaredError: Loss = {
  name: 'squaredError',
  replayable: true,
  mean: (outputs, targets) => sum(squares([outputs, targets.a], { scale: 1 / outputs.shape[0] })),
  each: (outputs, targets) => squares([outputs, targets.a], { scale: 1 }),
  activation: 'softmax',
}

test('the loss is the formula', async () => {
  const outputs = tensor([1, 0, 0, 0.5, 0.5, 0, 0, 0, 2, 2, 0, 0, 0, 0, 3], [3, 5])
  const targets = { a: tensor([0, 1, 4], [3], 'u32') }
  expect([...(await read(squaredError.each(outputs, targets)))]).toEqual([0.5, 9, 4])
  expect(await item(squaredError.mean(outputs, targets))).toBeCloseTo(13.5 / 3, 5)
})

test('a learner trains the network with that loss', async () => {
  const loaders = await drawnImages(platform)
  const model = residualNetwork(loaders.vocab.length)
  expect(model.summary([20, 24, 24, 3])).toContain('add, relu')
  const learner = new Learner(loaders, model, { loss: squaredError, metrics: [accuracy] })
  await learner.fitOneCycle(4, 1e-2)
  const { losses, rows } = learner.recorder
  expect(losses.at(-1)).toBeLessThan(0.7 * losses[0])
  expect(rows.map(({ metrics }) => Object.keys(metrics))).toEqual([
    ['accuracy'],
    ['accuracy'],
    ['accuracy'],
    ['accuracy'],
  ])
})
