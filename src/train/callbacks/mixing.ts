import { requireNumber } from '../../base/check.ts'
import { OptionError } from '../../base/errors.ts'
import type { Json } from '../../base/json.ts'
import { rng, type Rng } from '../../base/rng.ts'
import { checkArgument, NUMBER } from '../../base/options.ts'
import { keep, release } from '../../tensor/scope.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { upload, zeros } from '../../tensor/transfer.ts'
import type { Callback } from '../fit/callback.ts'
import { replayable } from '../fit/replayable.ts'

/** A batch of N pictures of P × Q pixels, as the network sees them. */
export interface MixShape {
  readonly N: number
  readonly P: number
  readonly Q: number
}

/** How a batch of N is mixed with itself in another order. */
export interface Mix {
  /** The item that each is mixed with, a permutation. */
  readonly partner: Uint32Array
  /** How much of each is itself, in [0,1]. */
  readonly weight: Float32Array
  /** Top, left, bottom and right of what is taken from the partner, the ends excluded; absent: all is blended. */
  readonly box?: Uint32Array
}

/** A mix on the GPU, always in the same tensors. */
export interface MixTensors {
  /** [N] u32 */
  readonly partner: Tensor
  /** [N] u32: the labels of the partners. */
  readonly labels: Tensor
  /** [N] f32 */
  readonly weight: Tensor
  /** [4] u32 */
  readonly box: Tensor
}

export interface Mixing {
  readonly name: string
  readonly options: Json
  /** Draws how a batch is mixed. */
  draw(random: Rng, batch: MixShape): Mix
  /** Records the launch that mixes the input, [N,P,Q,3]. @returns another tensor of its shape */
  apply(input: Tensor, tensors: MixTensors): Tensor
}

/**
 * A callback that trains on mixed batches: its pictures are put together from two each, and the loss is that of both
 * labels, each counting as much as its picture:
 *
 *   loss[n] = weight[n]·L(label[n]) + (1 − weight[n])·L(label[partner[n]])
 *
 * Validation sees pictures and loss as they are, so that the training loss is the higher of the two.
 *
 * @throws OptionError  at the beginning of a fit with batches of one, which have nobody to be mixed with
 * Source: fastai callback/mixup.py, MixHandler.
 */
export function mixing({ name, options, draw, apply }: Mixing): Callback {
  let tensors: MixTensors | undefined
  const forget = () => {
    if (tensors) for (const made of Object.values(tensors)) release(made)
    tensors = undefined
  }
  return replayable({
    name,
    options,
    order: 0,
    runsOn: 'train',
    beforeFit({ loaders }) {
      if (loaders.train.batchSize > 1) return
      throw new OptionError(name, 'a batch of one has nobody to be mixed with', {
        given: { batchSize: 1 },
        expected: 'batches of two or more',
      })
    },
    prepareBatch({ seed, epochsBegun }, batch) {
      const {
        P,
        Q,
        shape: { N },
      } = batch.draw.plan
      const mix = draw(rng(seed, name, epochsBegun, batch.index), { N, P, Q })
      if (tensors?.weight.shape[0] !== N) {
        forget()
        tensors = makeTensors(N)
      }
      upload(tensors.partner, mix.partner)
      upload(
        tensors.labels,
        mix.partner.map((other) => batch.labels[other]),
      )
      upload(tensors.weight, mix.weight)
      if (mix.box) upload(tensors.box, mix.box)
    },
    beforeBatch(_state, step) {
      if (!tensors) return
      const { input, targets } = step
      step.input = apply(input, tensors)
      step.targets = { a: targets.a, b: tensors.labels, mix: tensors.weight }
      release(input)
    },
    afterFit: forget,
  })
}

/** @throws OptionError unless Beta(alpha, alpha) is a distribution */
export function checkAlpha(name: string, alpha: number): void {
  checkArgument(name, 'alpha', alpha, NUMBER)
  requireNumber(name, 'alpha', alpha, { above: 0 })
}

function makeTensors(N: number): MixTensors {
  return {
    partner: keep(zeros([N], 'u32')),
    labels: keep(zeros([N], 'u32')),
    weight: keep(zeros([N])),
    box: keep(zeros([4], 'u32')),
  }
}
