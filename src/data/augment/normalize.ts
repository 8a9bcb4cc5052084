import { OptionError } from '../../base/errors.ts'
import { ANY, checkOptions } from '../../base/options.ts'

/** One number for each of red, green and blue, or one for grey. */
export type PerChannel = readonly [number, number, number] | readonly [number]

/** Mean and standard deviation of the red, green and blue channels, in [0,1], or of grey. */
export interface ChannelStats {
  readonly mean: PerChannel
  readonly std: PerChannel
}

/** Statistics that change nothing. */
export function identityStats(channels: number): ChannelStats {
  return channels === 1 ? { mean: [0], std: [1] } : { mean: [0, 0, 0], std: [1, 1, 1] }
}

/** Statistics of ImageNet. Source: fastai vision/core.py, imagenet_stats. */
export const imagenetStats: ChannelStats = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
/** Statistics of CIFAR-10. Source: fastai vision/core.py, cifar_stats. */
export const cifarStats: ChannelStats = { mean: [0.491, 0.482, 0.447], std: [0.247, 0.243, 0.261] }

/** Statistics of MNIST, whose images are grey. Source: fastai vision/core.py, mnist_stats. */
export const mnistStats: ChannelStats = { mean: [0.131], std: [0.308] }

/** Transform that normalizes a batch; the last one, in training and validation. */
export interface NormalizeTransform extends ChannelStats {
  readonly kind: 'normalize'
  readonly order: 99
}

/**
 * Placeholder for a `normalize()` without statistics: `DataBlock.loaders` measures them and replaces it by a
 * `NormalizeTransform`.
 */
export interface NormalizeByBatchTransform {
  readonly kind: 'normalizeByBatch'
  readonly order: 99
}

/**
 * Makes a transform that normalizes every channel to about mean 0 and standard deviation 1: y = (x − mean) / std.
 * Without statistics, it uses those of the first training batch after the transforms before it.
 *
 * @throws OptionError  if the statistics are not finite, are neither three nor one, or a deviation is not above 0
 * Source: fastai data/transforms.py, Normalize.
 */
export function normalize(): NormalizeByBatchTransform
export function normalize(stats: ChannelStats): NormalizeTransform
export function normalize(stats?: ChannelStats): NormalizeTransform | NormalizeByBatchTransform {
  if (!stats) return { kind: 'normalizeByBatch', order: 99 }
  checkOptions('normalize', stats, { mean: ANY, std: ANY })
  const { mean, std } = stats
  if (!isPerChannel(mean) || !isPerChannel(std, mean.length) || !std.every((deviation) => deviation > 0)) {
    throw new OptionError('normalize', 'three means and three deviations are needed, or one of grey images', {
      given: { mean, std },
      expected: 'finite numbers, std > 0',
    })
  }
  return { kind: 'normalize', order: 99, mean, std }
}

function isPerChannel(values: unknown, count?: number): values is readonly number[] {
  if (!Array.isArray(values) || !values.every(Number.isFinite)) return false
  return count === undefined ? values.length === 1 || values.length === 3 : values.length === count
}

/** True if two statistics of the same channels differ by no more than a tolerance. */
export function sameStats(a: ChannelStats, b: ChannelStats, tolerance: number): boolean {
  const far = (x: number, i: number, others: readonly number[]) => Math.abs(x - others[i]) > tolerance
  return !a.mean.some((x, i) => far(x, i, b.mean)) && !a.std.some((x, i) => far(x, i, b.std))
}

/** Formats statistics for a message. */
export function statsText({ mean, std }: ChannelStats): string {
  return `mean ${mean.join(' ')}, std ${std.join(' ')}`
}
