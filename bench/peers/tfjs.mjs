// TensorFlow.js with its WebGPU backend, f32 (it has no other type). Layouts: x and y [N,H,W,C], weight [R,S,C,O].
import { adapterUsed, counts, patiently } from './dawn.mjs'
import { numbers, permuted } from './numbers.mjs'
import { serve } from './serve.mjs'
const tf = await import('@tensorflow/tfjs')
await import('@tensorflow/tfjs-backend-webgpu')

if (!(await tf.setBackend('webgpu'))) throw new Error('TensorFlow.js finds no WebGPU')
await tf.ready()
const backend = tf.backend()

/** Waits for the GPU. The backend batches commands, so pending ones are submitted first. */
async function finished() {
  if (backend.commandEncoder) {
    backend.endComputePassEncoder()
    backend.submitQueue()
  }
  await backend.device.queue.onSubmittedWorkDone()
}

const tensor = (operand) => tf.tensor(numbers(operand), operand.shape)

/** Converts a filter bank: [O,R,S,C] → [R,S,C,O]. */
function filter(operand) {
  const order = [1, 2, 3, 0]
  return tf.tensor(
    permuted(numbers(operand), operand.shape, order),
    order.map((axis) => operand.shape[axis]),
  )
}

function operation({ pass, operands, stride, pad, shape }) {
  const { a, b, x, weight, dy } = Object.fromEntries(
    Object.entries(operands).map(([name, operand]) => [name, name === 'weight' ? filter(operand) : tensor(operand)]),
  )
  const options = { strides: stride, pad, dataFormat: 'NHWC' }
  const launch = {
    matmul: () => tf.matMul(a, b),
    forward: () => tf.conv2d(x, weight, stride, pad),
    // Calls the gradient kernels directly: tf.grad would compute the forward pass as well.
    input: () =>
      tf.engine().runKernel('Conv2DBackpropInput', { dy, filter: weight }, { ...options, inputShape: x.shape }),
    weight: () => tf.engine().runKernel('Conv2DBackpropFilter', { x, dy }, { ...options, filterShape: weight.shape }),
  }[pass]
  return {
    run: (times) =>
      patiently(
        (async () => {
          const results = Array.from({ length: times }, launch)
          await finished()
          tf.dispose(results)
        })(),
      ),
    async values() {
      const result = launch()
      const data = await result.data()
      result.dispose()
      const [O, R, S, C] = shape
      return pass === 'weight' ? permuted(data, [R, S, C, O], [3, 0, 1, 2]) : data
    },
  }
}

function training(network, optimizer) {
  const parameters = Object.fromEntries(
    network.parameters.map((operand) => [
      operand.path,
      tf.variable(operand.shape.length === 4 ? filter(operand) : tensor(operand)),
    ]),
  )
  const running = Object.fromEntries(
    network.parameters
      .filter(({ path }) => path.endsWith('.1.weight'))
      .map(({ path, shape }) => [
        path.slice(0, -'.weight'.length),
        { mean: tf.variable(tf.zeros(shape), false), variance: tf.variable(tf.ones(shape), false) },
      ]),
  )
  const unit = (x, { conv, norm, stride, pad, relu }) => {
    const y = tf.conv2d(x, parameters[conv], stride, pad)
    const { mean, variance } = tf.moments(y, [0, 1, 2])
    for (const [average, value] of [
      [running[norm].mean, mean],
      [running[norm].variance, variance],
    ]) {
      average.assign(tf.add(tf.mul(average, 1 - network.normMomentum), tf.mul(value, network.normMomentum)))
    }
    const z = tf.batchNorm(y, mean, variance, parameters[`${norm}.bias`], parameters[`${norm}.weight`], network.epsilon)
    return relu ? tf.relu(z) : z
  }
  const forward = (x) => {
    let h = network.stem.reduce(unit, x)
    h = tf.maxPool(h, 3, 2, 1)
    for (const { a, b, shortcut } of network.blocks) {
      const straight = shortcut ? unit(tf.avgPool(h, 2, 2, 'valid'), shortcut) : h
      h = tf.relu(tf.add(unit(unit(h, a), b), straight))
    }
    const logits = tf.matMul(tf.mean(h, [1, 2]), parameters[`${network.head}.weight`], false, true)
    return tf.add(logits, parameters[`${network.head}.bias`])
  }
  const update = {
    adam: () => tf.train.adam(optimizer.learningRate, optimizer.momentum, optimizer.squareMomentum, optimizer.epsilon),
    sgd: () => tf.train.momentum(optimizer.learningRate, optimizer.momentum),
  }[optimizer.name]()
  const x = tensor(network.x)
  const targets = tf.oneHot(tf.tensor1d(network.labels, 'int32'), network.classes).toFloat()
  const variables = Object.values(parameters)
  return () =>
    patiently(
      (async () => {
        const loss = update.minimize(() => tf.losses.softmaxCrossEntropy(targets, forward(x)), true, variables)
        const [value] = await loss.data()
        loss.dispose()
        await finished()
        return value
      })(),
    )
}

await serve({ hello: { version: tf.version.tfjs, ...adapterUsed }, operation, training, counts })
