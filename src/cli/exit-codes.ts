import { DataError, DeviceError, OptionError } from '../base/errors.ts'

/** Exit codes of the command `wgrad`, as its help explains them. */
export const EXIT = { good: 0, notGood: 1, usage: 2, data: 3, device: 4, interrupted: 130 } as const

/** Explanation of the exit codes, for `--help`. */
export const EXIT_CODES = `Exit codes
  0    done, and nothing to complain about
  1    done, but the result is not good: check found something, an accuracy is below --at-least,
       a training diverged, a file could not be written; or an error inside wgrad
  2    the command line is wrong
  3    the images or a file cannot be used as they are
  4    no graphics adapter, or it failed
  130  interrupted (Ctrl-C)
`

/** Returns the exit code of an error. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof OptionError) return EXIT.usage
  if (error instanceof DataError) return EXIT.data
  if (error instanceof DeviceError) return EXIT.device
  return EXIT.notGood
}
