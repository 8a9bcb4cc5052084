import type { TunedTable } from './tuned-file.ts'

/**
 * What the tuner found on adapters that we could measure, so that a first run on one is good at once: the contents of
 * the file that `tune` wrote there (see `tunedFile`), one a device. Nothing has been measured on a GPU yet.
 */
export const SHIPPED: readonly TunedTable[] = []
