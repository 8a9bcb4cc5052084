import { OptionError } from '../base/errors.ts'

/**
 * Level of debugging output; each level includes all lower ones:
 *
 *   1  the adapter, its features and limits; a warning about too many kernels; the buffers in use when the GPU is closed
 *   2  one line per launch (gpu/trace.ts)
 *   3  statistics of all tensors that launches write, and the launches that first write Inf or NaN
 *   4  the WGSL of every kernel as it is compiled, except those that the tuner tries
 */
export type DebugLevel = 0 | 1 | 2 | 3 | 4

/**
 * Returns the level that the setting DEBUG selects. Words are ignored, since many programs read the same variable as a
 * list of names (npm's `debug`).
 *
 * @throws OptionError  if the setting is another number
 */
export function debugLevel(setting: string | undefined): DebugLevel {
  const text = setting?.trim() ?? ''
  if (text === '' || Number.isNaN(Number(text))) return 0
  const level = ([1, 2, 3, 4] as const).find((known) => String(known) === text)
  if (level !== undefined) return level
  throw new OptionError('openGpu', 'DEBUG asks for an unknown level', {
    given: { DEBUG: text },
    expected: '1 (adapter), 2 (and launches), 3 (and their numbers) or 4 (and their WGSL)',
    fix: 'unset DEBUG for silence',
  })
}
