import { rm } from 'node:fs/promises'

/**
 * Removes what a process has left that is gone. What cannot be removed, such as a file of another user, stays: it has no effect.
 *
 * @param options.recursive  true for folders too. Default false
 */
export async function removeLeft(path: string, { recursive = false } = {}): Promise<void> {
  await rm(path, { force: true, recursive }).catch(() => undefined)
}
