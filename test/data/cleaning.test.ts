import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, posix, win32 } from 'node:path'
import { tmpdir } from 'node:os'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DataError, OptionError } from '../../src/base/errors.ts'
import {
  applyCleaning,
  cleaningListText,
  makeCleaningList,
  parseCleaningList,
  type CleaningItem,
} from '../../src/data/cleaning.ts'
import { getImageFiles } from '../../src/data/items.ts'
import { nodePlatform } from '../../src/platform/node/index.ts'
import { nodeFiles } from '../../src/platform/node/files.ts'

let root = ''
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'wgrad-cleaning-'))
  for (const path of ['train/cat/1.jpg', 'train/cat/2.jpg', 'train/dog/1.jpg', 'train/dog/3.jpg', 'valid/cat/4.jpg']) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), path)
  }
})
afterEach(() => rmSync(root, { recursive: true }))

const there = () =>
  readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(root.length + 1))
    .sort()

function item(path: string, changes: Partial<CleaningItem> = {}): CleaningItem {
  const label = dirname(path).split('/').at(-1) ?? ''
  return {
    path: join(root, path),
    split: 'train',
    label,
    predicted: 'cat',
    probability: 0.5,
    loss: 1,
    action: 'keep',
    ...changes,
  }
}
const list = (...items: CleaningItem[]) => makeCleaningList(['cat', 'dog'], items)
const options = { platform: { ...nodePlatform, log: () => {} } }

describe('applying a list', () => {
  test('moves into the folder of the new label, or into the trash, and leaves the others', async () => {
    const clean = list(
      item('train/cat/1.jpg'),
      item('train/cat/2.jpg', { action: 'relabel', to: 'dog' }),
      item('train/dog/1.jpg', { action: 'delete' }),
      item('valid/cat/4.jpg', { action: 'relabel', to: 'dog', split: 'valid' }),
    )
    const before = there()
    const planned = await applyCleaning(clean, { ...options, dryRun: true })
    expect(there()).toEqual(before)
    const moves = await applyCleaning(clean, options)
    expect(moves).toEqual(planned)
    expect(moves.map(({ action, from, to }) => [action, from.slice(root.length), to.slice(root.length)])).toEqual([
      ['relabel', '/train/cat/2.jpg', '/train/dog/2.jpg'],
      ['delete', '/train/dog/1.jpg', '/.trash/train/dog/1.jpg'],
      ['relabel', '/valid/cat/4.jpg', '/valid/dog/4.jpg'],
    ])
    expect(there()).toEqual([
      '.trash/train/dog/1.jpg',
      'train/cat/1.jpg',
      'train/dog/2.jpg',
      'train/dog/3.jpg',
      'valid/dog/4.jpg',
    ])
    expect(readFileSync(join(root, 'valid/dog/4.jpg'), 'utf8')).toBe('valid/cat/4.jpg')
    expect(await getImageFiles(root, options)).toHaveLength(4)
    // Applied once more, as after an interruption: all is done.
    expect(await applyCleaning(clean, options)).toEqual([])
  })

  test('goes on where it was interrupted', async () => {
    const clean = list(
      item('train/cat/1.jpg', { action: 'delete' }),
      item('train/cat/2.jpg', { action: 'delete' }),
      item('valid/cat/4.jpg'),
    )
    let moved = 0
    const broken = {
      ...nodeFiles,
      move: async (from: string, to: string) =>
        moved++ === 0 ? nodeFiles.move?.(from, to) : Promise.reject(new Error('power failure')),
    }
    await expect(applyCleaning(clean, { platform: { files: broken } })).rejects.toThrow('power failure')
    const [rest, ...more] = await applyCleaning(clean, options)
    expect([rest.from, more.length]).toEqual([join(root, 'train/cat/2.jpg'), 0])
  })

  test('overwrites nothing: refused before anything is moved, or given a number', async () => {
    const clean = list(
      item('train/dog/3.jpg', { action: 'delete' }),
      item('train/cat/1.jpg', { action: 'relabel', to: 'dog' }),
    )
    const before = there()
    const refused = applyCleaning(clean, options)
    await expect(refused).rejects.toThrow(DataError)
    await expect(refused).rejects.toThrow('files of these names exist already, so nothing was moved')
    expect(there()).toEqual(before)
    const moves = await applyCleaning(clean, { ...options, onConflict: 'number' })
    expect(moves[1].to).toBe(join(root, 'train/dog/1 (2).jpg'))
    expect(readFileSync(join(root, 'train/dog/1.jpg'), 'utf8')).toBe('train/dog/1.jpg')
    expect(readFileSync(moves[1].to, 'utf8')).toBe('train/cat/1.jpg')
  })

  test('may be applied again where names were numbered and are free by now', async () => {
    const exchanged = list(
      item('train/cat/1.jpg', { action: 'relabel', to: 'dog' }),
      item('train/dog/1.jpg', { action: 'relabel', to: 'cat' }),
    )
    const moves = await applyCleaning(exchanged, { ...options, onConflict: 'number' })
    expect(moves.map(({ to }) => to.slice(root.length))).toEqual(['/train/dog/1 (2).jpg', '/train/cat/1 (2).jpg'])
    expect(await applyCleaning(exchanged, { ...options, onConflict: 'number' })).toEqual([])
  })

  test('two images of one name do not meet in one folder', async () => {
    mkdirSync(join(root, 'train/bird'))
    writeFileSync(join(root, 'train/bird/2.jpg'), 'a bird')
    const clean = makeCleaningList(
      ['bird', 'cat', 'dog'],
      [
        item('train/cat/2.jpg', { action: 'relabel', to: 'dog' }),
        item('train/bird/2.jpg', { action: 'relabel', to: 'dog' }),
      ],
    )
    await expect(applyCleaning(clean, options)).rejects.toThrow('train/bird/2.jpg')
    const moves = await applyCleaning(clean, { ...options, onConflict: 'number' })
    expect(moves.map(({ to }) => to.slice(root.length))).toEqual(['/train/dog/2.jpg', '/train/dog/2 (2).jpg'])
  })

  test('with the folder of the data set, folders below that of the class go along', async () => {
    for (const path of ['cat/summer/5.jpg', 'cat/summer/cat/6.jpg']) {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      writeFileSync(join(root, path), path)
    }
    const nested = list(
      item('cat/summer/5.jpg', { label: 'cat', action: 'relabel', to: 'dog' }),
      item('train/cat/1.jpg', { action: 'relabel', to: 'dog' }),
      item('train/cat/2.jpg', { action: 'delete' }),
    )
    await expect(applyCleaning(nested, { ...options, dryRun: true })).rejects.toThrow('is not the name of its folder')
    const moves = await applyCleaning(nested, { ...options, folder: `${root}/`, onConflict: 'number' })
    expect(moves.map(({ to }) => to.slice(root.length + 1))).toEqual([
      'dog/summer/5.jpg',
      'train/dog/1 (2).jpg',
      '.trash/train/cat/2.jpg',
    ])
    expect(readFileSync(join(root, 'dog/summer/5.jpg'), 'utf8')).toBe('cat/summer/5.jpg')

    const apply = (one: CleaningItem, folder = root) => applyCleaning(list(one), { ...options, folder })
    const relabel = { label: 'cat', action: 'relabel', to: 'dog' } as const
    await expect(apply(item('cat/summer/cat/6.jpg', relabel))).rejects.toThrow('several folders around an image')
    await expect(apply(item('train/dog/1.jpg', relabel))).rejects.toThrow('is not the name of its folder')
    const outside = apply(item('train/dog/1.jpg', relabel), join(root, 'valid'))
    await expect(outside).rejects.toThrow('an image of the list is not in the folder')
  })

  test.each([
    ['./photos', posix, ['photos/cat/1.jpg', 'photos/dog/1.jpg', 'photos/.trash/cat/2.jpg']],
    ['.', posix, ['cat/1.jpg', 'dog/1.jpg', '.trash/cat/2.jpg']],
    ['/', posix, ['/cat/1.jpg', '/dog/1.jpg', '/.trash/cat/2.jpg']],
    [
      'data/photos',
      win32,
      ['data\\photos\\cat\\1.jpg', 'data\\photos\\dog\\1.jpg', 'data\\photos\\.trash\\cat\\2.jpg'],
    ],
    ['E:/', win32, ['E:\\cat\\1.jpg', 'E:\\dog\\1.jpg', 'E:\\.trash\\cat\\2.jpg']],
  ])('in the folder %s, as it was named to getImageFiles', async (given, { join }, [from, to, trash]) => {
    const files = {
      ...nodeFiles,
      join,
      exists: (path: string) => Promise.resolve(!path.includes('dog') && !path.includes('.trash')),
      list: () =>
        Promise.resolve([
          { name: 'cat', kind: 'folder' as const },
          { name: 'dog', kind: 'folder' as const },
        ]),
    }
    const relabel = { ...item('cat/1.jpg', { action: 'relabel', to: 'dog' }), path: join(given, 'cat', '1.jpg') }
    const remove = { ...item('cat/2.jpg', { action: 'delete' }), path: join(given, 'cat', '2.jpg') }
    const other = { ...item('dog/3.jpg'), path: join(given, 'dog', '3.jpg') }
    for (const folder of [{ folder: given }, {}]) {
      const moves = await applyCleaning(list(relabel, remove, other), { platform: { files }, dryRun: true, ...folder })
      expect(moves.map((move) => move.to)).toEqual([to, trash])
      expect(moves[0].from).toBe(from)
    }
  })

  test('of images that have no folder in common, by trash in the folder of the program', async () => {
    const parts = ['/cat/1.jpg', 'photos/cat/2.jpg'].map((path) => ({
      ...item('cat/1.jpg', { action: 'delete' }),
      path,
    }))
    const files = { ...nodeFiles, exists: (path: string) => Promise.resolve(!path.startsWith('.trash')) }
    const moves = await applyCleaning(list(...parts), { platform: { files }, dryRun: true })
    expect(moves.map(({ to }) => to)).toEqual(['.trash/cat/1.jpg', '.trash/photos/cat/2.jpg'])
  })

  test('into another trash', async () => {
    const trash = join(root, 'elsewhere', 'bin')
    const clean = list(item('valid/cat/4.jpg', { action: 'delete' }), item('train/cat/1.jpg'))
    const [{ to }] = await applyCleaning(clean, { ...options, trash })
    expect(to).toBe(join(trash, 'valid', 'cat', '4.jpg'))
    // Of images of one folder of classes, the trash is beside the classes.
    const one = list(item('train/cat/1.jpg', { action: 'delete' }), item('train/dog/1.jpg'))
    const [move] = await applyCleaning(one, options)
    expect(move.to).toBe(join(root, 'train', '.trash', 'cat', '1.jpg'))
  })

  test.each([
    ['spelled with other code points', 'café'.normalize('NFD')],
    ['with spaces around its name', ' café '],
  ])('a folder %s is the folder of the label', async (_, folder) => {
    mkdirSync(join(root, 'train', folder))
    const clean = makeCleaningList(['café', 'cat'], [item('train/cat/1.jpg', { action: 'relabel', to: 'café' })])
    const [{ to }] = await applyCleaning(clean, { ...options, dryRun: true })
    expect(to).toBe(join(root, 'train', folder, '1.jpg'))
  })

  test.each([
    ['a label that does not exist', { to: 'dogs' }, "Fix: write 'dog'"],
    ['a missing label', {}, 'the new label is missing'],
    ['a label outside of the folders', { to: '../dog' }, "there is no label '../dog'"],
    [
      'a label that is not the folder',
      { to: 'dog', label: 'tom' },
      'the label of an image is not the name of its folder',
    ],
  ])('%s is refused', async (_name, changes, says) => {
    const clean = list(item('train/cat/1.jpg', { action: 'relabel', ...changes }))
    await expect(applyCleaning(clean, options)).rejects.toThrow(OptionError)
    await expect(applyCleaning(clean, options)).rejects.toThrow(says)
  })

  test('what is missing, there twice, or cannot be done here is refused', async () => {
    const gone = list(item('train/cat/9.jpg', { action: 'delete' }))
    await expect(applyCleaning(gone, options)).rejects.toThrow('train/cat/9.jpg: the file is not there')
    const twice = list(
      item('train/cat/1.jpg', { action: 'delete' }),
      item('train/cat/1.jpg', { action: 'relabel', to: 'dog' }),
    )
    await expect(applyCleaning(twice, options)).rejects.toThrow('an image is in the list twice')
    const { move: _move, ...fixed } = nodeFiles
    await expect(applyCleaning(list(), { platform: { files: fixed } })).rejects.toThrow('files cannot be moved here')
    await expect(applyCleaning({} as never, options)).rejects.toThrow('list is not of the right kind')
    await expect(applyCleaning(list(), { ...options, dryrun: true } as object)).rejects.toThrow('Fix: write dryRun')
  })
})

describe('moving a file', () => {
  test('never replaces another', async () => {
    const [from, to] = [join(root, 'train/cat/1.jpg'), join(root, 'train/dog/1.jpg')]
    await expect(nodeFiles.move?.(from, to)).rejects.toThrow(
      `cannot be moved to ${to}, as there is a file of that name already`,
    )
    expect(there()).toHaveLength(5)
    const gone = nodeFiles.move?.(join(root, 'no.jpg'), join(root, 'new.jpg'))
    await expect(gone).rejects.toThrow(/no\.jpg: cannot be moved to .*new\.jpg: no such file or folder$/)
    // The name that is too long is that of the place.
    const long = join(root, 'x'.repeat(300))
    await expect(nodeFiles.move?.(from, long)).rejects.toThrow(
      `1.jpg: cannot be moved to ${long}: the name is too long`,
    )
    await nodeFiles.move?.(from, join(root, 'new/folder/1.jpg'))
    expect(readFileSync(join(root, 'new/folder/1.jpg'), 'utf8')).toBe('train/cat/1.jpg')
    expect(there()).toHaveLength(5)
  })
})

const OTHER = '/dev/shm'
const isOther = existsSync(OTHER) && statSync(OTHER).dev !== statSync(tmpdir()).dev

test.runIf(isOther)('a file is moved to another file system, and replaces none there', async () => {
  const folder = mkdtempSync(join(OTHER, 'wgrad-cleaning-'))
  try {
    const to = join(folder, 'cat', '1.jpg')
    await nodeFiles.move?.(join(root, 'train/cat/1.jpg'), to)
    expect(readFileSync(to, 'utf8')).toBe('train/cat/1.jpg')
    await expect(nodeFiles.move?.(join(root, 'train/cat/2.jpg'), to)).rejects.toThrow('there is a file of that name')
    expect(readdirSync(join(folder, 'cat'))).toEqual(['1.jpg'])
    expect(there()).not.toContain('train/cat/1.jpg')
    expect(there()).toContain('train/cat/2.jpg')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

describe('as JSON', () => {
  const full = list(
    item('train/cat/1.jpg', { action: 'relabel', to: 'dog', suggested: 'dog', loss: Infinity }),
    item('valid/cat/4.jpg', { split: 'valid', probability: NaN }),
  )

  test('it comes back the same, also where JSON.stringify wrote it', () => {
    expect(parseCleaningList(cleaningListText(full))).toEqual(full)
    const [first, second] = parseCleaningList(JSON.stringify(full)).items
    expect([first.loss, second.probability]).toEqual([NaN, NaN])
    expect({ ...first, loss: Infinity }).toEqual(full.items[0])
  })

  test.each([
    ['no JSON', 'no', 'not JSON'],
    ['something else', '{"items":[]}', 'this is not a cleaning list'],
    [
      'a wrong action',
      cleaningListText(list(item('a/b/c.jpg', { action: 'move' as 'keep' }))),
      'item 0 has an invalid action',
    ],
    [
      'no path',
      cleaningListText(list(item('a/b/c.jpg'), { ...item('a/b/c.jpg'), path: '' })),
      'item 1 has an invalid path',
    ],
    [
      'an item that is no object',
      '{"kind":"wgrad cleaning list","version":1,"vocab":[],"items":[1]}',
      'item 0 has an invalid path',
    ],
  ])('%s is refused', (_name, text, says) => {
    expect(() => parseCleaningList(text)).toThrow(DataError)
    expect(() => parseCleaningList(text)).toThrow(says)
  })
})
