// File operations with the refusals of Windows, on whichever system runs the tests.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type * as FileSystem from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create } from 'tar'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { datasets } from '../../src/platform/node/archive.ts'
import { nodeFiles } from '../../src/platform/node/files.ts'

/** Codes with which each function refuses its next calls. */
const refusals = vi.hoisted(() => ({ rename: [] as string[], link: [] as string[], unlink: [] as string[] }))

vi.mock('node:fs/promises', async (original) => {
  const system = await original<typeof FileSystem>()
  const refused = (code: string) => Object.assign(new Error(`${code}: refused`), { code })
  const refusing =
    <Args extends unknown[]>(codes: string[], work: (...args: Args) => Promise<void>) =>
    (...args: Args) => {
      const code = codes.shift()
      return code === undefined ? work(...args) : Promise.reject(refused(code))
    }
  return {
    ...system,
    rename: refusing(refusals.rename, system.rename),
    link: refusing(refusals.link, system.link),
    unlink: refusing(refusals.unlink, system.unlink),
    // Source: FlushFileBuffers of Win32, whose handle must have the right to write.
    open: async (path: string, flags = 'r') => {
      const file = await system.open(path, flags)
      if (flags === 'r') file.sync = () => Promise.reject(refused('EPERM'))
      return file
    },
  }
})

const platform = process.platform
let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wgrad-windows-'))
  Object.defineProperty(process, 'platform', { value: 'win32' })
})
afterEach(() => {
  Object.defineProperty(process, 'platform', { value: platform })
  for (const codes of Object.values(refusals)) codes.length = 0
  rmSync(folder, { recursive: true })
})

test('a download is stored for good and renamed, while a virus scanner has it open', async () => {
  const server = createServer((_, response) => response.end('archive'))
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as AddressInfo
  refusals.rename.push('EBUSY')
  await datasets
    .download(`http://127.0.0.1:${port}/a.tgz`, join(folder, 'a.tgz'), { pauseMs: 1 })
    .finally(() => server.close())
  expect(readFileSync(join(folder, 'a.tgz'), 'utf8')).toBe('archive')
  expect(readdirSync(folder)).toEqual(['a.tgz'])
})

test('a folder that was unpacked gets its name, while a virus scanner has its files open', async () => {
  mkdirSync(join(folder, 'shapes'))
  writeFileSync(join(folder, 'shapes', '1.jpg'), 'image')
  await create({ file: join(folder, 'a.tgz'), cwd: folder, gzip: true }, ['shapes'])
  refusals.rename.push('EPERM', 'EACCES')
  await datasets.extract(join(folder, 'a.tgz'), join(folder, 'unpacked'), {})
  expect(readdirSync(join(folder, 'unpacked'))).toEqual(['1.jpg'])
})

test('an image moves on a card of a camera, whose file system has no second names', async () => {
  writeFileSync(join(folder, '1.jpg'), 'image')
  refusals.link.push('EISDIR')
  await nodeFiles.move?.(join(folder, '1.jpg'), join(folder, 'cat', '1.jpg'))
  expect(readFileSync(join(folder, 'cat', '1.jpg'), 'utf8')).toBe('image')
  expect(readdirSync(folder)).toEqual(['cat'])
})

test.each(['linked', 'copied'])('an image that was %s and cannot be removed is in no second folder', async (how) => {
  writeFileSync(join(folder, '1.jpg'), 'image')
  if (how === 'copied') refusals.link.push('EXDEV')
  refusals.unlink.push('EBUSY')
  await expect(nodeFiles.move?.(join(folder, '1.jpg'), join(folder, 'cat', '1.jpg'))).rejects.toThrow('cannot be moved')
  expect(readdirSync(folder, { recursive: true })).toEqual(['1.jpg', 'cat'])
})
