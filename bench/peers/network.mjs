// The training step: xresnet18 for ten classes, its initial weights, its batch, and the losses of the first steps.
import { count } from './numbers.mjs'

const CLASSES = 10

/**
 * Hyperparameters, and the losses of the first steps in double precision. `adam` is used by wgrad's lessons (fastai's
 * defaults, without weight decay); the losses are PyTorch's, see README.md for the command.
 */
export const optimizers = {
  adam: {
    name: 'adam',
    learningRate: 1e-3,
    momentum: 0.9,
    squareMomentum: 0.99,
    epsilon: 1e-5,
    losses: [2.3938474, 0.1724454, 0.0200579],
  },
  sgd: { name: 'sgd', learningRate: 0.01, momentum: 0.9, losses: [2.3938474, 0.9669473, 0.3883551] },
}

/**
 * A step for a software adapter in a browser: an eighth of the arithmetic. From so few pixels Adam learns so fast that rounded
 * weights would change the third loss by a sixth, hence the smaller learning rate.
 */
export const small = { batch: 8, size: 32 }
export const smallOptimizer = { ...optimizers.adam, learningRate: 1e-5, losses: [2.4390027, 1.8008192, 1.3475452] }

/**
 * Returns xresnet18 as built by wgrad and fastai, as a description sent to the peers as JSON.
 *
 * A unit is a 3×3 or 1×1 convolution, batch normalization and, unless `relu` is false, ReLU: parameters `<conv>`,
 * `<norm>.weight` and `<norm>.bias`. stem: units, then max pool 3×3 / 2. A block: y = ReLU(b(a(x)) + shortcut(x)), the
 * shortcut being x, or, if `shortcut` is given, an average pool 2×2 / 2 and that unit. Then the mean over all pixels,
 * and `<head>.weight`, `<head>.bias`.
 * Source: fastai vision/models/xresnet.py; He et al. 2018, arXiv:1812.01187.
 */
export function network({ batch = 16, size = 64 } = {}) {
  const parameters = []
  let flops = 0
  let side = size
  const add = (path, shape, numbers) => parameters.push({ path, shape, seed: 100 + parameters.length, ...numbers })
  const unit = (path, inChannels, outChannels, window, stride, relu = true) => {
    const fanIn = inChannels * window * window
    add(`${path}.0.weight`, [outChannels, window, window, inChannels], { spread: Math.sqrt(6 / fanIn) })
    add(`${path}.1.weight`, [outChannels], { centre: 1, spread: 0.2 })
    add(`${path}.1.bias`, [outChannels], { spread: 0.1 })
    // Forward and two gradients; the images need no gradient.
    flops += (path === '0' ? 2 : 3) * 2 * batch * (side / stride) ** 2 * outChannels * fanIn
    return { conv: `${path}.0.weight`, norm: `${path}.1`, pad: (window - 1) / 2, stride, relu }
  }
  const stem = [
    [3, 32],
    [32, 32],
    [32, 64],
  ].map(([inChannels, outChannels], i) => {
    const made = unit(`${i}`, inChannels, outChannels, 3, i === 0 ? 2 : 1)
    if (i === 0) side /= 2
    return made
  })
  side /= 2
  const blocks = [64, 128, 256, 512].flatMap((width, stage) =>
    [0, 1].map((block) => {
      const path = `${4 + stage}.${block}`
      const steps = stage > 0 && block === 0
      const inChannels = steps ? width / 2 : width
      const a = unit(`${path}.convpath.0`, inChannels, width, 3, steps ? 2 : 1)
      if (steps) side /= 2
      const b = unit(`${path}.convpath.1`, width, width, 3, 1, false)
      const shortcut = steps ? unit(`${path}.idpath.1`, inChannels, width, 1, 1, false) : undefined
      return { a, b, shortcut }
    }),
  )
  const spread = 1 / Math.sqrt(512)
  add('11.weight', [CLASSES, 512], { spread })
  add('11.bias', [CLASSES], { spread })
  flops += 3 * 2 * batch * CLASSES * 512
  return {
    name: `step, xresnet18, batch ${batch} at ${size} px`,
    flops,
    parameterCount: parameters.reduce((sum, { shape }) => sum + count(shape), 0),
    batch,
    classes: CLASSES,
    x: { shape: [batch, size, size, 3], seed: 6, spread: 1 },
    labels: Array.from({ length: batch }, (_, i) => i % CLASSES),
    parameters,
    stem,
    blocks,
    head: '11',
    // PyTorch's momentum: the running averages move by a tenth of the way.
    normMomentum: 0.1,
    epsilon: 1e-5,
  }
}

/**
 * Tolerance of the losses of the first steps, relative to the reference. In f32, initial weights that are off by half a unit
 * of f16 (2⁻¹¹) move the second loss by up to 1.4% and the third, which is 0.02, by up to 2.2% (two seeds, lavapipe,
 * 2026-11-26); a wrong gradient or optimizer changes them by far more.
 */
const ALLOWED = { f32: 3e-3, mixed: 3e-2 }

/** @throws Error  if a peer does not compute this network, its gradients or the optimizer's step */
export function proveTraining(losses, precision, optimizer) {
  optimizer.losses.forEach((expected, i) => {
    const deviation = Math.abs(losses[i] - expected) / expected
    // Negated, so that NaN fails as well.
    if (!(deviation <= ALLOWED[precision])) {
      throw new Error(
        `the loss of step ${i + 1} is ${losses[i]}, expected ${expected} (off by ${deviation.toExponential(1)}, allowed ${ALLOWED[precision]})`,
      )
    }
  })
}
