import { access, mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isCode } from './error-code.ts'

/**
 * Makes a folder, and those around it that are missing.
 *
 * Node says ENOENT of a file system that is read-only where it makes several folders (v20.20); the first of them is then
 * tried alone, which says the reason. Windows says EPERM of the root of a drive or a share, which is there.
 *
 * @param make  makes one folder, or with `recursive` all that are missing. Default: Node's
 */
export async function makeFolder(
  folder: string,
  make: (folder: string, options?: { readonly recursive: true }) => Promise<unknown> = mkdir,
): Promise<void> {
  try {
    await make(folder, { recursive: true })
  } catch (error) {
    const there = await stat(folder).catch(() => undefined)
    if (there?.isDirectory()) return
    if (isCode(error, 'ENOENT')) await make(await firstMissing(folder))
    throw error
  }
}

/** Returns the outermost of a folder and those around it that is not there. */
async function firstMissing(folder: string): Promise<string> {
  const around = dirname(folder)
  const isThere = await access(around).then(
    () => true,
    () => false,
  )
  return isThere || around === folder ? folder : firstMissing(around)
}
