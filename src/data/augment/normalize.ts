import { OptionError } from '../../base/errors.ts'

/** Mean and standard deviation of red, green and blue in [0,1]. */
export interface ChannelStats {
  readonly mean: readonly [number, number, number]
  readonly std: readonly [number, number, number]
}

/** Of ImageNet. Source: fastai vision/core.py, imagenet_stats. */
export const imagenetStats: ChannelStats = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
/** Of CIFAR-10. Source: fastai vision/core.py, cifar_stats. */
export const cifarStats: ChannelStats = { mean: [0.491, 0.482, 0.447], std: [0.247, 0.243, 0.261] }

/** The last transform of a batch, in training and validation. */
export interface NormalizeTransform extends ChannelStats {
  readonly kind: 'normalize'
  readonly order: 99
}

/** A `normalize()` without statistics: `DataBlock.loaders` measures them, and puts a `NormalizeTransform` in its place. */
export interface NormalizeByBatchTransform {
  readonly kind: 'normalizeByBatch'
  readonly order: 99
}

/**
 * Brings every channel to about mean 0 and deviation 1: y = (x − mean) / std.
 *
 * @param stats  Default: those of the first training batch, as the other transforms leave it
 * @throws OptionError  when they are not finite numbers, or a deviation is not above 0
 * Source: fastai data/transforms.py, Normalize.
 */
export function normalize(): NormalizeByBatchTransform
export function normalize(stats: ChannelStats): NormalizeTransform
export function normalize(stats?: ChannelStats): NormalizeTransform | NormalizeByBatchTransform {
  if (!stats) return { kind: 'normalizeByBatch', order: 99 }
  const { mean, std } = stats
  if (!isTriple(mean) || !isTriple(std) || !std.every((deviation) => deviation > 0)) {
    throw new OptionError('normalize', 'three means and three deviations are needed', {
      given: { mean, std },
      expected: 'finite numbers, std > 0',
    })
  }
  return { kind: 'normalize', order: 99, mean, std }
}

function isTriple(values: unknown): boolean {
  return Array.isArray(values) && values.length === 3 && values.every(Number.isFinite)
}
