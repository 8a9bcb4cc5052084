import { DataError } from '../../base/errors.ts'
import type { Platform } from '../../platform/platform.ts'

/**
 * Runs work that writes a file during a fit. A failure, as of a disk that is full, is logged and the fit goes on, because
 * the training is worth more than the file.
 *
 * @param what  noun for the file, such as 'checkpoint'
 * @returns true if the file was written
 */
export async function tryToWrite(
  { log }: Pick<Platform, 'log'>,
  what: string,
  write: () => Promise<void>,
): Promise<boolean> {
  try {
    await write()
    return true
  } catch (error) {
    if (!(error instanceof DataError)) throw error
    log(`no ${what} was written, and training goes on: ${error.message}`)
    return false
  }
}
