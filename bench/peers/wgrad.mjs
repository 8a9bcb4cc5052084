// wgrad itself, from its build in ../../dist. Operations are timed by their kernels, as those of the peers are; the
// training step is written as a user of the library would write it.
import {
  backward,
  cast,
  empty,
  item,
  keep,
  linear,
  noGrad,
  read,
  release,
  scope,
  softmaxCrossEntropy,
  tensor,
} from '../../dist/src/exports/tensor.js'
import { LossScaler } from '../../dist/src/exports/train.js'
import { adam, openGpu, xresnet18 } from '../../dist/src/node.js'
import { convolve, convolveBackwardInput, convolveBackwardWeight } from '../../dist/src/ops/convolution/passes.js'
import { count, numbers, permuted } from './numbers.mjs'
import { sizesOf } from './problems.mjs'
import { serve, settings } from './serve.mjs'

const mixed = settings.precision === 'mixed'
const dtype = mixed ? 'f16' : 'f32'
const gpu = await openGpu()

const made = (operand) => keep(tensor(numbers(operand), operand.shape, dtype))

function operation({ pass, operands, shape, ...problem }) {
  const launch = pass === 'matmul' ? matmul(operands) : convolution(pass, shape, { operands, ...problem })
  return {
    async run(times) {
      for (let i = 0; i < times; i++) scope(() => void launch())
      await gpu.queue.finished()
    },
    async values() {
      const result = scope(launch)
      const values = await read(result)
      release(result)
      return values
    },
  }
}

/** Computes a matrix product; `linear` multiplies by the transpose of its second operand, [O,C]. */
function matmul({ a, b }) {
  const x = made(a)
  const weight = keep(tensor(permuted(numbers(b), b.shape, [1, 0]), [b.shape[1], b.shape[0]], dtype))
  return () => noGrad(() => linear(x, weight))
}

function convolution(pass, shape, problem) {
  const { stride: STRIDE, pad: PAD, ...letters } = sizesOf(problem)
  const sizes = { ...letters, STRIDE, PAD, dtype }
  const { x, weight, dy } = Object.fromEntries(
    Object.entries(problem.operands).map(([name, operand]) => [name, made(operand)]),
  )
  const result = () => empty({ shape, dtype: pass === 'weight' ? 'f32' : dtype })
  const kernels = {
    forward: (y) => convolve(sizes, x, weight, y),
    input: (dx) => convolveBackwardInput(sizes, dy, weight, dx),
    weight: (dw) => convolveBackwardWeight(sizes, x, dy, dw),
  }
  return () => {
    const out = result()
    kernels[pass](out)
    return out
  }
}

function training(network, options) {
  const model = xresnet18({ outputs: network.classes })
  const initial = new Map(network.parameters.map((operand) => [operand.path, operand]))
  for (const parameter of model.parameters()) {
    const operand = initial.get(parameter.path)
    if (operand === undefined || count(operand.shape) !== parameter.count) {
      throw new Error(`the network's description has no ${parameter.path}`)
    }
    parameter.write(numbers(operand))
  }
  const { learningRate: lr, momentum, squareMomentum, epsilon } = options
  const optimizer = adam({ squareMomentum, eps: epsilon, weightDecay: 0 })([model.parameters()])
  if (mixed) optimizer.keepF16Copies()
  const scaler = new LossScaler({ mixed })
  const x = made(network.x)
  const a = keep(tensor(network.labels, [network.batch], 'u32'))
  return async () => {
    optimizer.setHyperparameters([{ lr, momentum }])
    const loss = scope(() => {
      const mean = softmaxCrossEntropy(cast(model.forward(x), 'f32'), { a })
      backward(mean, scaler.scale)
      optimizer.step(scaler)
      optimizer.zeroGradients()
      return mean
    })
    const value = await item(loss)
    release(loss)
    await gpu.queue.finished()
    return value
  }
}

const counts = {
  get pipelines() {
    return gpu.pipelines.count
  },
  get dispatches() {
    return gpu.queue.counts.launches
  },
  get submits() {
    return gpu.queue.counts.submits
  },
}
await serve({ hello: { adapter: gpu.name, software: gpu.software }, operation, training, counts })
