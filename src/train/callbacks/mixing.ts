import { requireNumber } from '../../base/check.ts'
import { OptionError } from '../../base/errors.ts'
import type { Json } from '../../base/json.ts'
import { rng, type Rng } from '../../base/rng.ts'
import { checkArgument, NUMBER } from '../../base/options.ts'
import { keep, release } from '../../tensor/scope.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { upload, zeros } from '../../tensor/read-write.ts'
import type { Callback } from '../fit/callback.ts'
import { replayable } from '../fit/replayable.ts'
import type { FitState } from '../fit/state.ts'

/** Shape of a batch of N images of P × Q pixels, as the network receives them. */
export interface MixShape {
  readonly N: number
  readonly P: number
  readonly Q: number
}

/** Mixture of a batch of N images with a permutation of itself. */
export interface Mix {
  /** Number of the image that each image is mixed with; a permutation of 0 … N − 1. */
  readonly partner: Uint32Array
  /** Weight of each image itself, in [0,1]. */
  readonly weight: Float32Array
  /**
   * Box taken from the partner as top, left, bottom, right with exclusive ends. Absent: the whole images are blended.
   */
  readonly box?: Uint32Array
}

/** Mixture on the GPU, uploaded to the same tensors for every batch. */
export interface MixTensors {
  /** Number of each image's partner, [N] u32. */
  readonly partner: Tensor
  /** Class of each image's partner, [N] u32, or mixed targets, [N,columns] f32. */
  readonly labels: Tensor
  /** Weight of each image itself, [N] f32. */
  readonly weight: Tensor
  /** Box taken from the partner: top, left, bottom, right, [4] u32. */
  readonly box: Tensor
}

/** Definition of a callback that trains on mixed batches. */
export interface Mixing {
  readonly name: string
  readonly options: Json
  /** Draws the mixture of one batch. */
  draw(random: Rng, batch: MixShape): Mix
  /** Launches the mixing of the input, [N,P,Q,C], and returns a new tensor of the same shape. */
  apply(input: Tensor, tensors: MixTensors): Tensor
}

/**
 * Makes a callback that trains on mixed batches: each image is a mixture of two, and its loss is the mixture of the
 * losses of both labels:
 *
 *   loss[n] = weight[n]·L(label[n]) + (1 − weight[n])·L(label[partner[n]])
 *
 * Targets that are numbers, such as several labels per image, are mixed themselves:
 *
 *   target[n] ← target[partner] + weight·(target[n] − target[partner])
 *
 * Validation uses the images and the loss unchanged, so the training loss is the higher of the two.
 *
 * @throws OptionError  at the beginning of a fit with a batch size of 1, since mixing needs two images; in its first step, if
 *   the loss leaves the second labels out, or the batch is mixed already
 * Source: fastai callback/mixup.py, MixHandler.
 */
export function mixing({ name, options, draw, apply }: Mixing): Callback {
  // Tensors of each learner's fit: several may share one callback, and a fit that failed leaves its own on a GPU that may be gone.
  const kept = new WeakMap<FitState, MixTensors>()
  const forget = (state: FitState) => {
    for (const made of Object.values(kept.get(state) ?? {})) release(made as Tensor)
    kept.delete(state)
  }
  /** True once the loss has looked at the second labels of the step. */
  let seen = true
  return replayable({
    name,
    options,
    order: 0,
    runsOn: 'train',
    beforeFit({ loaders }) {
      if (loaders.train.batchSize > 1) return
      throw new OptionError(name, 'mixing needs at least two images per batch', {
        given: { batchSize: 1 },
        expected: 'a batchSize of 2 or more',
      })
    },
    prepareBatch(state, batch) {
      const { seed, epochsBegun } = state
      const {
        P,
        Q,
        shape: { N },
      } = batch.draw.plan
      const mix = draw(rng(seed, name, epochsBegun, batch.index), { N, P, Q })
      const isClass = batch.labels instanceof Uint32Array
      if (kept.get(state)?.weight.shape[0] !== N) {
        forget(state)
        kept.set(state, makeTensors(N, isClass ? undefined : batch.labels.length / N))
      }
      const tensors = kept.get(state)
      if (!tensors) return
      upload(tensors.partner, mix.partner)
      upload(tensors.labels, isClass ? mix.partner.map((other) => batch.labels[other]) : mixedRows(batch.labels, mix))
      upload(tensors.weight, mix.weight)
      if (mix.box) upload(tensors.box, mix.box)
    },
    beforeBatch(state, step) {
      const tensors = kept.get(state)
      if (!tensors) return
      const { input, targets, batch } = step
      if (targets !== batch.targets) {
        throw new OptionError(name, 'another callback has changed the targets of the batch', {
          fix: 'use one of mixUp() and cutMix()',
        })
      }
      step.input = apply(input, tensors)
      const isClass = tensors.labels.dtype === 'u32'
      seen = !isClass
      const { labels, weight: mix } = tensors
      step.targets = isClass
        ? {
            a: targets.a,
            mix,
            get b() {
              seen = true
              return labels
            },
          }
        : { a: labels }
      release(input)
    },
    afterLoss({ loss }) {
      if (seen) return
      throw new OptionError(name, `the loss ${loss.name} does not look at the second labels of mixed images`, {
        expected: 'mix·L(outputs, a) + (1 − mix)·L(outputs, b), where the targets { a, b, mix } of a batch have b',
        fix: 'compute that in its `mean`, or pass the targets on to softmaxCrossEntropy',
      })
    },
    afterFit: forget,
  })
}

/** @throws OptionError  unless alpha is a valid parameter of Beta(alpha, alpha): positive and finite */
export function checkAlpha(name: string, alpha: number): void {
  checkArgument(name, 'alpha', alpha, NUMBER)
  requireNumber(name, 'alpha', alpha, { above: 0 })
}

/** Mixes rows of numbers. Source: fastai callback/mixup.py, MixUp.before_batch (torch.lerp). */
function mixedRows(rows: ArrayLike<number>, { partner, weight }: Mix): Float32Array {
  const columns = rows.length / partner.length
  return Float32Array.from(rows, (own, i) => {
    const n = Math.floor(i / columns)
    const other = rows[partner[n] * columns + (i % columns)]
    return other + weight[n] * (own - other)
  })
}

function makeTensors(N: number, columns: number | undefined): MixTensors {
  return {
    partner: keep(zeros([N], 'u32')),
    labels: keep(columns === undefined ? zeros([N], 'u32') : zeros([N, columns])),
    weight: keep(zeros([N])),
    box: keep(zeros([4], 'u32')),
  }
}
