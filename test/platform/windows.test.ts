// File operations with the refusals of Windows, on whichever system runs the tests.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type * as SyncFileSystem from 'node:fs'
import type * as FileSystem from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create } from 'tar'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { getImageFiles } from '../../src/data/items.ts'
import { datasets } from '../../src/platform/node/archive.ts'
import { nodeFiles } from '../../src/platform/node/files.ts'
import { nodePlatform } from '../../src/platform/node/index.ts'

/** Codes with which each function refuses its next calls. */
const refusals = vi.hoisted(() => ({ rename: [] as string[], link: [] as string[], unlink: [] as string[] }))

/** True while files have no numbers. */
const unnumbered = vi.hoisted(() => ({ on: false }))

vi.mock('node:fs', async (original) => {
  const system = await original<typeof SyncFileSystem>()
  const withoutNumber = <Stats extends object>(stats: Stats): Stats => {
    if (unnumbered.on) Object.assign(stats, { ino: 0n })
    return stats
  }
  return {
    ...system,
    statSync: (path: string, options: { bigint: true }) => withoutNumber(system.statSync(path, options)),
    fstatSync: (file: number, options: { bigint: true }) => withoutNumber(system.fstatSync(file, options)),
  }
})

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
  unnumbered.on = false
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

test('an image moves over no other one, also where there are no second names', async () => {
  for (const name of ['1.jpg', 'cat/1.jpg']) {
    mkdirSync(join(folder, 'cat'), { recursive: true })
    writeFileSync(join(folder, name), name)
  }
  refusals.link.push('EISDIR')
  await expect(nodeFiles.move?.(join(folder, '1.jpg'), join(folder, 'cat', '1.jpg'))).rejects.toThrow(
    'as there is a file of that name already',
  )
  expect(readFileSync(join(folder, 'cat', '1.jpg'), 'utf8')).toBe('cat/1.jpg')
  expect(readFileSync(join(folder, '1.jpg'), 'utf8')).toBe('1.jpg')
  expect(new Set(readdirSync(folder, { recursive: true, encoding: 'utf8' }))).toEqual(
    new Set(['1.jpg', 'cat', join('cat', '1.jpg')]),
  )
})

test('an image that somebody else has taken away while it moved is where it was moved to', async () => {
  writeFileSync(join(folder, '1.jpg'), 'image')
  refusals.unlink.push('ENOENT')
  await nodeFiles.move?.(join(folder, '1.jpg'), join(folder, 'cat', '1.jpg'))
  expect(readFileSync(join(folder, 'cat', '1.jpg'), 'utf8')).toBe('image')
})

test('a file that another program keeps open is not replaced, with the likely reason', async () => {
  refusals.rename.push(...Array.from({ length: 6 }, () => 'EPERM'))
  const history = join(folder, 'history.csv')
  await expect(nodeFiles.write(history, 'text')).rejects.toThrow(
    `${history}: not permitted, or another program has it open`,
  )
  expect(readdirSync(folder)).toEqual([])
})

test('files and folders of a file system that numbers none are not taken for one', async () => {
  for (const name of ['cat', 'dog']) {
    mkdirSync(join(folder, name))
    writeFileSync(join(folder, name, '1.jpg'), 'image')
  }
  unnumbered.on = true
  const { identify, glance } = nodeFiles
  expect(await identify?.(join(folder, 'cat'))).not.toBe(await identify?.(join(folder, 'dog')))
  const ids = ['cat', 'dog'].map(async (name) => (await glance?.(join(folder, name, '1.jpg'), 4))?.id)
  expect(new Set(await Promise.all(ids)).size).toBe(2)
  expect(await getImageFiles(folder, { platform: nodePlatform })).toHaveLength(2)
})

test.each(['linked', 'copied'])('an image that was %s and cannot be removed is in no second folder', async (how) => {
  writeFileSync(join(folder, '1.jpg'), 'image')
  if (how === 'copied') refusals.link.push('EXDEV')
  refusals.unlink.push('EBUSY')
  await expect(nodeFiles.move?.(join(folder, '1.jpg'), join(folder, 'cat', '1.jpg'))).rejects.toThrow('cannot be moved')
  expect(readdirSync(folder, { recursive: true })).toEqual(['1.jpg', 'cat'])
})
