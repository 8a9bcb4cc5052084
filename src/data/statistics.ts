import { ShapeError } from '../base/errors.ts'
import { release, scope } from '../tensor/scope.ts'
import { read } from '../tensor/read-write.ts'
import { normalize, type ChannelStats, type NormalizeByBatchTransform } from './augment/normalize.ts'
import type { BatchTransform } from './augment/transforms.ts'
import type { Loader, EpochOptions } from './loader.ts'

/**
 * Mean and standard deviation of red, green and blue over all pixels of some pictures.
 *
 *   mean[c] = Σ x[i,c] / n,  std[c] = √(Σ (x[i,c] − mean[c])² / (n − 1))
 *
 * @param values  [...,3], e.g. a batch [N,H,W,3]
 * @throws ShapeError  when it is not threes of numbers, two of them or more
 * Source: torch.Tensor.std, which divides by n − 1; the lesson's `x.mean(dim=[0,2,3]), x.std(dim=[0,2,3])`.
 */
export function channelStats(values: ArrayLike<number>): ChannelStats {
  const n = values.length / 3
  if (!Number.isInteger(n) || n < 2) {
    throw new ShapeError('channelStats', 'two pixels of three channels, or more, are needed', {
      given: { numbers: values.length },
    })
  }
  const sumOver = (term: (value: number, c: number) => number): [number, number, number] => {
    const sums: [number, number, number] = [0, 0, 0]
    for (let i = 0; i < values.length; i++) sums[i % 3] += term(values[i], i % 3)
    return sums
  }
  const [red, green, blue] = sumOver((value) => value)
  const mean: ChannelStats['mean'] = [red / n, green / n, blue / n]
  const [r, g, b] = sumOver((value, c) => (value - mean[c]) ** 2)
  return { mean, std: [Math.sqrt(r / (n - 1)), Math.sqrt(g / (n - 1)), Math.sqrt(b / (n - 1))] }
}

/** Mean and standard deviation per channel of a first batch after all transforms: near 0 and 1 if it is normalized well. */
export async function batchStats(loader: Loader, pass: EpochOptions = {}): Promise<ChannelStats> {
  const batch = await loader.oneBatch(pass)
  const input = scope(() => batch.input('f32'))
  try {
    return channelStats(await read(input))
  } finally {
    release(input)
    batch.release()
  }
}

/** Keeps a channel that is the same everywhere finite. Source: fastai data/transforms.py, Normalize.setups. */
const STD_FLOOR = 1e-7

/**
 * Gives a `normalize()` that has no statistics those of a first batch, as the other transforms leave it.
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
  const {
    mean,
    std: [r, g, b],
  } = await batchStats(loaderOf(others))
  const measured = normalize({ mean, std: [r + STD_FLOOR, g + STD_FLOOR, b + STD_FLOOR] })
  return transforms.map((transform) => (transform.kind === 'normalizeByBatch' ? measured : transform))
}
