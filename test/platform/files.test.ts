import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdtempSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DataError } from '../../src/base/errors.ts'
import { datasets } from '../../src/platform/node/archive.ts'
import { requireRoom } from '../../src/platform/node/download.ts'
import { lock } from '../../src/platform/node/lock.ts'
import { makeFolder } from '../../src/platform/node/make-folder.ts'
import { markOf, ownMark } from '../../src/platform/node/process-mark.ts'
import { fileError, nodeFiles, renameOver } from '../../src/platform/node/files.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wgrad-files-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

const at = (...parts: string[]): string => nodeFiles.join(folder, ...parts)
const message = async (work: Promise<unknown>): Promise<string> => {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(DataError)
  return error instanceof DataError ? error.message.replace(folder, '…') : ''
}

describe('writing', () => {
  test('on Windows waits for programs that have the file open, elsewhere for none', async () => {
    const trying = (codes: readonly string[], system: string) => {
      const tries: string[] = []
      const once = async (_from: string, to: string) => {
        tries.push(to)
        const code = codes[tries.length - 1]
        if (code !== undefined) throw Object.assign(new Error(code), { code })
      }
      const done = renameOver('a', 'b', system, once).then(
        () => 'done',
        (error: Error) => error.message,
      )
      return done.then((end) => [end, tries.length])
    }
    expect(await trying(['EPERM', 'EBUSY', 'EACCES'], 'win32')).toEqual(['done', 4])
    expect(await trying(['EPERM', 'EPERM', 'EPERM', 'EPERM', 'EPERM', 'EPERM'], 'win32')).toEqual(['EPERM', 6])
    expect(await trying(['ENOSPC'], 'win32')).toEqual(['ENOSPC', 1])
    expect(await trying(['EPERM'], 'linux')).toEqual(['EPERM', 1])
  })

  test('makes folders, and what is written can be read', async () => {
    await nodeFiles.write(at('a', 'b', 'text.txt'), 'grün')
    await nodeFiles.write(at('a', 'bytes'), Uint8Array.of(1, 2, 255))
    expect(await nodeFiles.readText(at('a', 'b', 'text.txt'))).toBe('grün')
    expect(await nodeFiles.read(at('a', 'bytes'))).toEqual(Uint8Array.of(1, 2, 255))
    expect(await nodeFiles.exists(at('a', 'bytes'))).toBe(true)
    expect(await nodeFiles.exists(at('a', 'nothing'))).toBe(false)
  })

  test('replaces at once: whoever reads meanwhile sees one whole version', async () => {
    const versions = ['x', 'y'].map((letter) => letter.repeat(1 << 20))
    await nodeFiles.write(at('f'), versions[0])
    let done = false
    const writing = Promise.all([1, 0, 1, 0, 1].map((i) => nodeFiles.write(at('f'), versions[i]))).then(() => {
      done = true
    })
    while (!done) expect(versions.includes(await nodeFiles.readText(at('f')))).toBe(true)
    await writing
    expect(readdirSync(folder)).toEqual(['f'])
  })

  test('is tried before it is needed, and leaves no file', async () => {
    await nodeFiles.requireWritable!(at('runs/deep/model.st'))
    expect(readdirSync(at('runs/deep'))).toEqual([])
    await nodeFiles.write(at('model.st'), 'before')
    await nodeFiles.requireWritable!(at('model.st'))
    expect(await nodeFiles.readText(at('model.st'))).toBe('before')
    expect(await message(nodeFiles.requireWritable!(at('runs')))).toContain('a folder, not a file')
    expect(await message(nodeFiles.requireWritable!(at('model.st/x')))).toMatch(/a file is where|not a folder/)
  })

  test('leaves nothing behind when it fails', async () => {
    mkdirSync(at('taken'))
    writeFileSync(at('taken', 'x'), '')
    expect(await message(nodeFiles.write(at('taken'), 'text'))).toBe('…/taken: a folder, not a file')
    expect(readdirSync(folder)).toEqual(['taken'])
    expect(await message(nodeFiles.write(at('taken', 'x', 'y'), 'text'))).toBe(
      '…/taken/x/y: a file is where a folder should be',
    )
  })
})

describe('what killed processes have left', () => {
  test('is removed with the first file that is written beside it, and nothing else', async () => {
    const names = [
      `a.safetensors.${markOf(999_999_999)}-0.tmp`,
      `b.${ownMark.replace(/\d+$/, '1')}-3.tmp`,
      `c.${markOf(process.ppid)}-0.tmp`,
      `d.0badf00d-12-34-0.tmp`,
      'mine.tmp',
    ]
    for (const name of names) writeFileSync(at(name), 'x')
    await nodeFiles.write(at('new'), 'x', { lasting: true })
    // Another machine's may still be written to, unless they are old.
    expect(readdirSync(folder)).toEqual([...names.slice(2), 'new'])
    const other = mkdtempSync(join(folder, 'other-'))
    const old = join(other, names[3])
    writeFileSync(old, 'x')
    utimesSync(old, new Date(0), new Date(0))
    await nodeFiles.write(join(other, 'new'), 'x')
    expect(readdirSync(other)).toEqual(['new'])
  })

  test('stays, where it cannot be removed, and is in the way of nothing', async () => {
    // Folders, which are not removed as files are, in place of what other users have left in a folder that all share.
    const names = [`.run.${markOf(999_999_999)}.lock`, `a.${markOf(999_999_999)}-0.tmp`]
    for (const name of names) mkdirSync(at(name))
    await nodeFiles.write(at('new'), 'x')
    const release = await lock(at('run'), { waitMs: 0 })
    if (typeof release !== 'function') throw new Error('it is free')
    await release()
    expect(readdirSync(folder)).toEqual([...names, 'new'])
  })
})

describe('a lock', () => {
  const claims = () => readdirSync(folder).filter((name) => name.endsWith('.lock'))

  test('is there for one at a time, and who waits is told for whom', async () => {
    const first = await lock(at('run'))
    if (typeof first !== 'function') throw new Error('it is free')
    expect(await lock(at('run'), { waitMs: 0 })).toEqual({ holder: 'this process' })
    const told: string[] = []
    const waiting = lock(at('run'), { onWait: (holder) => told.push(holder) })
    while (told.length === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    expect(told).toEqual(['this process'])
    await first()
    const second = await waiting
    if (typeof second !== 'function') throw new Error('it was given back')
    await second()
    expect(told).toEqual(['this process'])
    expect(claims()).toEqual([])
  })

  test('is another process’s as long as that runs, and another machine’s as long as it is touched', async () => {
    const claim = (mark: string) => at(`.run.${mark}.lock`)
    writeFileSync(claim(markOf(process.ppid)), '')
    expect(await lock(at('run'), { waitMs: 0 })).toEqual({ holder: `process ${process.ppid}` })
    rmSync(claim(markOf(process.ppid)))
    writeFileSync(claim('0badf00d-12-34'), '')
    expect(await lock(at('run'), { waitMs: 0 })).toEqual({ holder: 'process 12 of another machine' })
    utimesSync(claim('0badf00d-12-34'), new Date(0), new Date(0))
    writeFileSync(claim(markOf(999_999_999)), '')
    // The number of this process, used by another before it.
    writeFileSync(claim(ownMark.replace(/\d+$/, '1')), '')
    const release = await lock(at('run'), { waitMs: 0 })
    expect(claims()).toEqual([`.run.${ownMark}.lock`])
    if (typeof release === 'function') await release()
    expect(claims()).toEqual([])
  })

  test('counts as long as it is touched where the number may be that of another process by now', async () => {
    // Without its start, as on Windows and macOS.
    const claim = at(`.run.${markOf(process.ppid).replace(/\d+$/, '0')}.lock`)
    writeFileSync(claim, '')
    expect(await lock(at('run'), { waitMs: 0 })).toEqual({ holder: `process ${process.ppid}` })
    utimesSync(claim, new Date(0), new Date(0))
    const release = await lock(at('run'), { waitMs: 0 })
    expect(claims()).toEqual([`.run.${ownMark}.lock`])
    if (typeof release === 'function') await release()
  })

  test('of many that want it at once each gets it, none together with another', async () => {
    let inside = 0
    let most = 0
    await Promise.all(
      Array.from({ length: 8 }, () =>
        datasets.exclusively(at('run'), async () => {
          most = Math.max(most, ++inside)
          await new Promise((resolve) => setTimeout(resolve, 5))
          inside--
        }),
      ),
    )
    expect([most, inside, claims()]).toEqual([1, 0, []])
  })
})

describe('listing', () => {
  test('is sorted by code unit and says what is a folder', async () => {
    for (const name of ['b', 'B', 'a10', 'a2', 'ä']) writeFileSync(at(name), '')
    mkdirSync(at('Folder'))
    const entries = await nodeFiles.list(folder)
    expect(entries.map(({ name }) => name)).toEqual(['B', 'Folder', 'a10', 'a2', 'b', 'ä'])
    expect(entries.filter(({ kind }) => kind === 'folder')).toEqual([{ name: 'Folder', kind: 'folder' }])
  })

  test('follows links; a broken one is a file that cannot be read', async () => {
    mkdirSync(at('folder'))
    writeFileSync(at('file'), 'x')
    symlinkSync(at('folder'), at('to-folder'))
    symlinkSync(at('file'), at('to-file'))
    symlinkSync(at('gone'), at('to-nothing'))
    expect((await nodeFiles.list(folder)).map(({ name, kind }) => `${name} ${kind}`)).toEqual([
      'file file',
      'folder folder',
      'to-file file',
      'to-folder folder',
      'to-nothing file',
    ])
    expect(await message(nodeFiles.read(at('to-nothing')))).toBe('…/to-nothing: no such file or folder')
  })
})

test('looking at very many files leaves others their turn, such as Ctrl-C', async () => {
  await nodeFiles.write(at('file'), 'text')
  let turns = 0
  let next = setImmediate(function turn() {
    turns++
    next = setImmediate(turn)
  })
  await new Promise((resolve) => setImmediate(resolve))
  const before = turns
  for (let i = 0; i < 1000; i++) await nodeFiles.glance?.(at('file'), 4)
  expect(turns - before).toBeGreaterThan(5)
  clearImmediate(next)
})

test('looking at a file, a folder or nothing leaves no file open', async () => {
  await nodeFiles.write(at('file'), 'text')
  // Linux lists the files that a process has open.
  const open = () => (existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : 0)
  const before = open()
  for (let i = 0; i < 20; i++) {
    await nodeFiles.glance?.(at('file'), 4)
    for (const name of ['', 'gone']) await nodeFiles.glance?.(at(name), 4).catch(() => undefined)
  }
  expect(open()).toBeLessThan(before + 20)
})

test.runIf(process.platform === 'linux')('names that are not UTF-8 are listed once, and said to be that', async () => {
  for (const last of [0xe4, 0xe5]) {
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/b`), Buffer.of(last), Buffer.from('r.jpg')]), '')
  }
  expect(await nodeFiles.list(folder)).toEqual([{ name: 'b\ufffdr.jpg', kind: 'file' }])
  expect(await message(nodeFiles.read(at('b\ufffdr.jpg')))).toBe(
    '…/b\ufffdr.jpg: no such file or folder: a name that is not UTF-8, rename it',
  )
})

test('a file and a folder are the same by whatever links they are reached', async () => {
  mkdirSync(at('folder'))
  writeFileSync(at('folder', 'file'), 'abcdef')
  symlinkSync(at('folder'), at('link'))
  symlinkSync(at('folder', 'file'), at('other'))
  const { identify, glance } = nodeFiles
  expect(await identify?.(at('link'))).toBe(await identify?.(at('folder')))
  expect(await identify?.(at('folder'))).not.toBe(await identify?.(folder))
  const seen = await glance?.(at('link', 'file'), 4)
  expect(seen).toEqual({ id: await identify?.(at('other')), sizeBytes: 6, start: new TextEncoder().encode('abcd') })
  expect((await glance?.(at('other'), 99))?.start.length).toBe(6)
  expect(await message(glance!(at('gone'), 4))).toBe('…/gone: no such file or folder')
  expect(await message(glance!(at('folder'), 4))).toBe('…/folder: a folder, not a file')
  execFileSync('mkfifo', [at('pipe')])
  expect(await message(glance!(at('pipe'), 4))).toBe('…/pipe: not a file')
})

test('a text that is not UTF-8 is refused', async () => {
  writeFileSync(at('table.csv'), Uint8Array.of(0x67, 0x72, 0xfc, 0x6e))
  expect(await message(nodeFiles.readText(at('table.csv')))).toBe(
    '…/table.csv: not UTF-8 text\n  Fix: save it as UTF-8',
  )
})

describe('a failure names the path and the reason', () => {
  test('of reading', async () => {
    writeFileSync(at('file'), '')
    expect(await message(nodeFiles.read(at('gone')))).toBe('…/gone: no such file or folder')
    expect(await message(nodeFiles.readText(folder))).toBe('…: a folder, not a file')
    expect(await message(nodeFiles.list(at('gone')))).toBe('…/gone: no such file or folder')
    expect(await message(nodeFiles.list(at('file')))).toBe('…/file: not a folder')
  })

  test('of making folders where the file system is read-only, of which Node says that they are not there', async () => {
    const made: string[] = []
    const readOnly = (path: string, options?: object) => {
      made.push(path)
      return Promise.reject(Object.assign(new Error('no'), { code: options ? 'ENOENT' : 'EROFS' }))
    }
    await expect(makeFolder(at('a/b/c'), readOnly)).rejects.toMatchObject({ code: 'EROFS' })
    expect(made).toEqual([at('a/b/c'), at('a')])
    await makeFolder(at('a/b/c'))
    expect(readdirSync(at('a/b'))).toEqual(['c'])
  })

  test('of making a folder, unless it is there, of which Windows says EPERM where it is a drive', async () => {
    const refused = () => Promise.reject(Object.assign(new Error('no'), { code: 'EPERM' }))
    await makeFolder(folder, refused)
    await expect(makeFolder(at('new'), refused)).rejects.toMatchObject({ code: 'EPERM' })
    writeFileSync(at('file'), '')
    await expect(makeFolder(at('file'), refused)).rejects.toMatchObject({ code: 'EPERM' })
  })

  test('for what cannot be provoked here', () => {
    const system = (code: string): Error => Object.assign(new Error('EXYZ: as the system says'), { code })
    expect(fileError('a/b', system('ENOSPC')).message).toBe('a/b: no space left on the device')
    expect(fileError('a/b', system('EACCES')).message).toBe('a/b: permission denied')
    expect(fileError('a/b', system('EXYZ')).message).toBe('a/b: EXYZ: as the system says')
    expect(fileError('a/b', system('EACCES')).cause).toBeInstanceOf(Error)
  })
})

test.runIf(process.platform === 'linux')(
  'room on a disk is required where its file system says how much it has',
  async () => {
    await expect(requireRoom(folder, 2 ** 60)).rejects.toThrow('too little room on the disk')
    // It has no blocks, as some file systems of networks say of theirs.
    await requireRoom('/proc', 2 ** 60)
  },
)
