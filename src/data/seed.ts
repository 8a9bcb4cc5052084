import { requireRange } from '../base/check.ts'
import type { Platform } from '../platform/platform.ts'

/** The seed of a run that names none; `randomSplitter` has the same. */
const DEFAULT_SEED = 42

/** Returns the setting SEED, or the default seed without it. @throws OptionError  if it is not a whole number */
export function seedSetting(platform: Platform): number {
  const text = platform.env('SEED')
  if (text === undefined) return DEFAULT_SEED
  const seed = Number(text)
  requireRange('setting', { SEED: text }, Number.isInteger(seed) && seed >= 0, 'a whole number from 0 on')
  return seed
}
