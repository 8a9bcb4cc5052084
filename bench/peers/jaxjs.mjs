// jax-js on WebGPU, jitted, f32: its casts have no gradient, so it cannot train in f16. Layouts: x and y [N,C,H,W],
// weight [O,C,R,S]. Arrays are consumed by their use; `.ref` keeps one for later.
import './float16-array.mjs'
import { adapterUsed, counts, patiently } from './dawn.mjs'
import { numbers, permuted } from './numbers.mjs'
import { serve } from './serve.mjs'
import { blockUntilReady, defaultDevice, grad, init, jit, lax, nn, numpy as np, valueAndGrad } from '@jax-js/jax'
import { readFileSync } from 'node:fs'

if (!(await init('webgpu')).includes('webgpu')) throw new Error('jax-js finds no WebGPU')
defaultDevice('webgpu')

/** Converts layouts: [N,H,W,C] → [N,C,H,W], and [O,R,S,C] → [O,C,R,S]. */
function array(operand) {
  const { shape } = operand
  if (shape.length !== 4) return np.array(numbers(operand), { shape, dtype: np.float32 })
  const order = [0, 3, 1, 2]
  return np.array(permuted(numbers(operand), shape, order), {
    shape: order.map((axis) => shape[axis]),
    dtype: np.float32,
  })
}

const convolution = (x, weight, stride, pad) =>
  lax.convGeneralDilated(
    x,
    weight,
    [stride, stride],
    [
      [pad, pad],
      [pad, pad],
    ],
  )

function operation({ pass, operands, stride, pad, shape }) {
  const arrays = Object.fromEntries(Object.entries(operands).map(([name, operand]) => [name, array(operand)]))
  // A convolution is linear in both operands, so the gradient of Σ y·dy reduces to the wanted product.
  const product = (x, weight, dy) => convolution(x, weight, stride, pad).mul(dy).sum()
  const [compute, names] = {
    matmul: [jit((a, b) => np.matmul(a, b)), ['a', 'b']],
    forward: [jit((x, weight) => convolution(x, weight, stride, pad)), ['x', 'weight']],
    input: [jit(grad(product)), ['x', 'weight', 'dy']],
    weight: [jit(grad(product, { argnums: 1 })), ['x', 'weight', 'dy']],
  }[pass]
  const launch = () => compute(...names.map((name) => arrays[name].ref))
  return {
    run: (times) =>
      patiently(
        (async () => {
          const results = Array.from({ length: times }, launch)
          await blockUntilReady(results)
          for (const result of results) result.dispose()
        })(),
      ),
    async values() {
      const data = await launch().data()
      if (shape.length !== 4) return data
      const [first, rows, columns, last] = shape
      return permuted(data, [first, last, rows, columns], [0, 2, 3, 1])
    },
  }
}

function training(network, optimizer) {
  const refs = (arrays) => Object.fromEntries(Object.entries(arrays).map(([name, made]) => [name, made.ref]))
  const map = (names, make) => Object.fromEntries(names.map((name) => [name, make(name)]))
  const paths = network.parameters.map(({ path }) => path)
  const channelwise = (made, length) => made.reshape([length, 1, 1])

  const unit = (parameters, statistics, x, { conv, norm, stride, pad, relu }) => {
    const y = convolution(x, parameters[conv].ref, stride, pad)
    const axes = [0, 2, 3]
    const mean = np.mean(y.ref, axes, { keepdims: true })
    const centred = y.sub(mean.ref)
    const variance = np.mean(centred.ref.mul(centred.ref), axes, { keepdims: true })
    const [channels] = network.parameters.find(({ path }) => path === conv).shape
    statistics[`${norm}.mean`] = mean.reshape([channels])
    statistics[`${norm}.variance`] = variance.ref.reshape([channels])
    const scale = np.reciprocal(np.sqrt(variance.add(network.epsilon)))
    const z = centred
      .mul(scale)
      .mul(channelwise(parameters[`${norm}.weight`].ref, channels))
      .add(channelwise(parameters[`${norm}.bias`].ref, channels))
    return relu ? nn.relu(z) : z
  }
  // Inputs follow a ReLU and are at least 0, so padding with 0 equals padding with -∞.
  const maxPool = (x) =>
    lax.reduceWindow(
      np.pad(x, [
        [0, 0],
        [0, 0],
        [1, 1],
        [1, 1],
      ]),
      (window) => np.max(window),
      [3, 3],
      [2, 2],
    )
  const avgPool = (x) => {
    const [N, C, H, W] = x.shape
    return np.mean(x.reshape([N, C, H / 2, 2, W / 2, 2]), [3, 5])
  }
  const lossOf = (parameters, x, targets) => {
    const statistics = {}
    let h = network.stem.reduce((input, layer) => unit(parameters, statistics, input, layer), x)
    h = maxPool(h)
    for (const { a, b, shortcut } of network.blocks) {
      const straight = shortcut ? unit(parameters, statistics, avgPool(h.ref), shortcut) : h.ref
      h = nn.relu(unit(parameters, statistics, unit(parameters, statistics, h, a), b).add(straight))
    }
    const weight = np.transpose(parameters[`${network.head}.weight`].ref)
    const logits = np.matmul(np.mean(h, [2, 3]), weight).add(parameters[`${network.head}.bias`].ref)
    const loss = nn
      .logSoftmax(logits, 1)
      .mul(targets)
      .sum()
      .mul(-1 / network.batch)
    for (const path of paths) parameters[path].dispose()
    return [loss, statistics]
  }

  const { learningRate, momentum, squareMomentum, epsilon } = optimizer
  const updates = {
    /** corrections: 1 / (1 − momentum^t) and 1 / (1 − squareMomentum^t), each [1] */
    adam(parameter, gradient, [mean, square], [first, second]) {
      const newMean = mean.mul(momentum).add(gradient.ref.mul(1 - momentum))
      const newSquare = square.mul(squareMomentum).add(gradient.ref.mul(gradient).mul(1 - squareMomentum))
      const direction = newMean.ref.mul(first.ref).div(np.sqrt(newSquare.ref.mul(second.ref)).add(epsilon))
      return [parameter.sub(direction.mul(learningRate)), [newMean, newSquare]]
    },
    sgd(parameter, gradient, [velocity]) {
      const next = velocity.mul(momentum).add(gradient)
      return [parameter.sub(next.ref.mul(learningRate)), [next]]
    },
  }
  const stateCount = { adam: 2, sgd: 1 }[optimizer.name]
  const step = jit((parameters, states, running, corrections, x, targets) => {
    const [[loss, statistics], gradients] = valueAndGrad(lossOf, { hasAux: true })(refs(parameters), x, targets)
    const updated = map(paths, (path) =>
      updates[optimizer.name](parameters[path], gradients[path], states[path], corrections),
    )
    for (const correction of corrections) correction.dispose()
    const averages = map(Object.keys(running), (name) =>
      running[name].mul(1 - network.normMomentum).add(statistics[name].mul(network.normMomentum)),
    )
    return [map(paths, (path) => updated[path][0]), map(paths, (path) => updated[path][1]), averages, loss]
  })

  let parameters = Object.fromEntries(network.parameters.map((operand) => [operand.path, array(operand)]))
  let states = map(paths, (path) => Array.from({ length: stateCount }, () => np.zeros(parameters[path].shape)))
  const norms = [
    ...network.stem,
    ...network.blocks.flatMap(({ a, b, shortcut }) => [a, b, ...(shortcut ? [shortcut] : [])]),
  ]
  let running = Object.fromEntries(
    norms.flatMap(({ norm }) => {
      const { shape } = parameters[`${norm}.weight`]
      return [
        [`${norm}.mean`, np.zeros(shape)],
        [`${norm}.variance`, np.ones(shape)],
      ]
    }),
  )
  const x = array(network.x)
  const oneHot = Float32Array.from({ length: network.batch * network.classes }, (_, i) =>
    Number(network.labels[Math.floor(i / network.classes)] === i % network.classes),
  )
  const targets = np.array(oneHot, { shape: [network.batch, network.classes], dtype: np.float32 })
  let t = 0
  return () =>
    patiently(
      (async () => {
        t++
        const corrections =
          optimizer.name === 'adam'
            ? [momentum, squareMomentum].map((decay) =>
                np.array(new Float32Array([1 / (1 - decay ** t)]), { shape: [1], dtype: np.float32 }),
              )
            : []
        let loss
        ;[parameters, states, running, loss] = step(parameters, states, running, corrections, x.ref, targets.ref)
        const [value] = await loss.data()
        await blockUntilReady([parameters, states, running])
        return value
      })(),
    )
}

// The package does not say; ours asks for exactly one.
const { dependencies } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))
await serve({ hello: { version: dependencies['@jax-js/jax'], ...adapterUsed }, operation, training, counts })
