import { ShapeError } from '../base/errors.ts'
import { release, scope } from '../tensor/scope.ts'
import { read } from '../tensor/read-write.ts'
import { normalize, type ChannelStats, type NormalizeByBatchTransform } from './augment/normalize.ts'
import { NORMALIZED } from './augment/own.ts'
import type { BatchTransform } from './augment/transforms.ts'
import type { Loader, EpochOptions } from './loader.ts'

/**
 * Mean and standard deviation of red, green and blue, or of grey, over all pixels of some images.
 *
 *   mean[c] = Σ x[i,c] / n,  std[c] = √(Σ (x[i,c] − mean[c])² / (n − 1))
 *
 * @param values  [...,channels], e.g. a batch [N,H,W,3]
 * @param channels  3, or 1 for grey images. Default 3
 * @throws ShapeError  when it is not as many numbers for each pixel, or of fewer than two pixels
 * Source: torch.Tensor.std, which divides by n − 1; the lesson's `x.mean(dim=[0,2,3]), x.std(dim=[0,2,3])`.
 */
export function channelStats(values: ArrayLike<number>, channels: 1 | 3 = 3): ChannelStats {
  const n = values.length / channels
  if (!Number.isInteger(n) || n < 2) {
    throw new ShapeError('channelStats', 'two pixels of three channels, or more, are needed', {
      given: { numbers: values.length, channels },
    })
  }
  const sumOver = (term: (value: number, c: number) => number): number[] => {
    const sums = new Array<number>(channels).fill(0)
    for (let i = 0; i < values.length; i++) sums[i % channels] += term(values[i], i % channels)
    return sums
  }
  const mean = sumOver((value) => value).map((sum) => sum / n)
  const std = sumOver((value, c) => (value - mean[c]) ** 2).map((sum) => Math.sqrt(sum / (n - 1)))
  return { mean, std } as unknown as ChannelStats
}

/** Mean and standard deviation per channel of a first batch after all transforms: near 0 and 1 if it is normalized well. */
export async function batchStats(loader: Loader, pass: EpochOptions = {}): Promise<ChannelStats> {
  const batch = await loader.oneBatch(pass)
  const input = scope(() => batch.input('f32'))
  try {
    return channelStats(await read(input), loader.channels)
  } finally {
    release(input)
    batch.release()
  }
}

/** Keeps a channel that is the same everywhere finite. Source: fastai data/transforms.py, Normalize.setups. */
const STD_FLOOR = 1e-7

/**
 * Gives a `normalize()` that has no statistics those of a first batch, as the transforms before it leave it: the noise of
 * `randomErasing`, which comes after it, does not count.
 *
 * @param loaderOf  a loader with these transforms
 * Source: fastai data/transforms.py, Normalize.setups.
 */
export async function withBatchStats(
  transforms: readonly (BatchTransform | NormalizeByBatchTransform)[],
  loaderOf: (others: readonly BatchTransform[]) => Loader,
): Promise<readonly BatchTransform[]> {
  const others = transforms.filter((transform) => transform.kind !== 'normalizeByBatch')
  if (others.length === transforms.length) return others
  const { mean, std } = await batchStats(loaderOf(others.filter(({ order }) => order < NORMALIZED)))
  const floored = std.map((deviation) => deviation + STD_FLOOR) as unknown as ChannelStats['std']
  const measured = normalize({ mean, std: floored })
  return transforms.map((transform) => (transform.kind === 'normalizeByBatch' ? measured : transform))
}
