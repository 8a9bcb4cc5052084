import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ancestor, getImageFiles, parentLabel } from '../../src/data/items.ts'
import type { GetImageFilesOptions } from '../../src/data/items.ts'
import { nodeFiles } from '../../src/platform/node/files.ts'
import type { Platform } from '../../src/platform/platform.ts'

let folder = ''
let printed: string[] = []

const make = (...paths: string[]) => {
  for (const path of paths) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    if (!path.endsWith('/')) writeFileSync(join(folder, path), '')
    else mkdirSync(join(folder, path), { recursive: true })
  }
}
const find = async (options: GetImageFilesOptions = {}, path = folder) => {
  const platform = { files: nodeFiles, log: (line: string) => printed.push(line) } as unknown as Platform
  return (await getImageFiles(path, { platform, ...options })).map((file) => file.slice(folder.length + 1))
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wgrad-items-'))
  printed = []
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('getImageFiles', () => {
  test('finds images of every folder, in one order', async () => {
    make(
      'train/b/2.JPEG',
      'train/b/10.jpg',
      'train/a/1.png',
      'val/a/3.webp',
      'top.gif',
      'noisy.csv',
      'train/a/notes.txt',
      'train/a/jpg',
    )
    expect(await find()).toEqual(['top.gif', 'train/a/1.png', 'train/b/10.jpg', 'train/b/2.JPEG', 'val/a/3.webp'])
    expect(printed).toEqual([])
  })

  test('goes by the content where the suffix says nothing', async () => {
    make('a/1.jfif', 'a/2.ico', 'a/3.svg', 'a/broken.dat')
    const jpeg = Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 0, 16)
    for (const name of ['photo', 'photo.2024', 'IMG_1.JPG_large', 'raw.nef']) {
      writeFileSync(join(folder, 'a', name), jpeg)
    }
    writeFileSync(join(folder, 'a/raw.nef'), 'II*\0\x08\0\0\0')
    writeFileSync(join(folder, 'a/web.download'), 'RIFF\x10\0\0\0WEBPVP8L')
    writeFileSync(join(folder, 'a/text'), 'RIFF is a word')
    expect(await find()).toEqual(['a/1.jfif', 'a/IMG_1.JPG_large', 'a/photo', 'a/photo.2024', 'a/web.download'])
  })

  test('opens no file that has the suffix of an image', async () => {
    const opened: string[] = []
    make('a/1.jpg', 'a/2.webp', 'a/notes.txt')
    const files: Platform['files'] = {
      ...nodeFiles,
      glance: (path, byteCount) => {
        opened.push(path.slice(folder.length + 1))
        return nodeFiles.glance!(path, byteCount)
      },
    }
    const platform = { files, log: () => {} } as unknown as Platform
    await getImageFiles(folder, { platform })
    expect(opened).toEqual(['a/notes.txt'])
  })

  test('leaves out what begins with a dot', async () => {
    make('a/1.jpg', 'a/._1.jpg', '.cache/2.jpg', '.3.jpg')
    expect(await find()).toEqual(['a/1.jpg'])
  })

  test('takes only the folders asked for, or only the top', async () => {
    make('train/a/1.jpg', 'val/a/2.jpg', 'test/a/3.jpg', 'top.jpg')
    expect(await find({ folders: ['val', 'train'] })).toEqual(['val/a/2.jpg', 'train/a/1.jpg'])
    expect(await find({ recurse: false })).toEqual(['top.jpg'])
  })

  test('follows links to folders elsewhere, behind all others', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'wgrad-elsewhere-'))
    try {
      writeFileSync(join(elsewhere, '2.jpg'), '')
      make('z/1.jpg', 'train/')
      symlinkSync(elsewhere, join(folder, 'train', 'a'))
      expect(await find()).toEqual(['z/1.jpg', 'train/a/2.jpg'])
      expect(printed).toEqual([])
    } finally {
      rmSync(elsewhere, { recursive: true })
    }
  })

  test('visits no folder twice: the name of a folder counts, not that of a link to it', async () => {
    make('real/1.jpg', 'linked/')
    symlinkSync(join(folder, 'real'), join(folder, 'linked', 'a'))
    expect(await find()).toEqual(['real/1.jpg'])
    expect(printed).toEqual([
      `${folder}: no image in ${folder}/linked, left out`,
      `${folder}: links to folders that were visited already, not followed: ${folder}/linked/a`,
    ])
  })

  test('ends where links lead to folders above', async () => {
    make('a/1.jpg', 'b/2.jpg')
    for (const name of ['a/up', 'a/up-too', 'b/up']) symlinkSync(folder, join(folder, name))
    symlinkSync(join(folder, 'b'), join(folder, 'a', 'sideways'))
    expect(await find()).toEqual(['a/1.jpg', 'b/2.jpg'])
    expect(printed[0]).toContain('a/sideways, ')
    expect(await find({ folders: ['b', 'a', 'b'] })).toEqual(['b/2.jpg', 'a/1.jpg'])
  })

  test('leaves out folders that systems make', async () => {
    make(
      'cat/1.jpg',
      '$RECYCLE.BIN/S-1/2.jpg',
      'cat/@eaDir/1.jpg/thumb.jpg',
      '__MACOSX/3.jpg',
      'lost+found/4.jpg',
      'System Volume Information/5.png',
    )
    expect(await find()).toEqual(['cat/1.jpg'])
    expect(printed).toEqual([])
  })

  test('more images than a call takes arguments, and more folders in each other than a stack has room for', async () => {
    const names = Array.from({ length: 300_000 }, (_, i) => ({ name: `${i}.jpg`, kind: 'file' as const }))
    const files = {
      join: (...parts: string[]) => parts.join('/'),
      list: async (path: string) => {
        if (path.endsWith('many')) return names
        return path.length < 20_000
          ? [
              { name: 'd', kind: 'folder' },
              { name: '1.jpg', kind: 'file' },
            ]
          : []
      },
    }
    const platform = { files, log: () => {} } as unknown as Platform
    expect((await getImageFiles('many', { platform })).length).toBe(300_000)
    expect((await getImageFiles('deep', { platform })).length).toBe(9998)
  })

  test('names folders without images, once and the outermost', async () => {
    make('train/a/1.jpg', 'train/empty/', 'train/only-text/deep/x.txt', 'train/only-text/deeper/')
    expect(await find()).toEqual(['train/a/1.jpg'])
    expect(printed).toEqual([`${folder}: no image in ${folder}/train/empty, ${folder}/train/only-text, left out`])
  })

  test('says what is there when there is no image', async () => {
    make('a/x.txt', 'b/')
    await expect(find()).rejects.toThrow(`${folder}: there is no image in this folder
  there  a, b
  expected a folder of class folders of images, such as imagenette2/train/n01440764/x.JPEG`)
  })

  test('says which folder is missing', async () => {
    make('train/a/1.jpg', 'val/a/2.jpg')
    await expect(find({ folders: ['train', 'valid'] })).rejects.toThrow(
      `${folder}: there is no folder valid\n  folders there  train, val`,
    )
    await expect(find({}, join(folder, 'nowhere'))).rejects.toThrow(`${folder}/nowhere: no such file or folder`)
  })
})

test('parentLabel is the name of the folder', () => {
  expect(parentLabel('imagenette2/train/n01440764/x.JPEG')).toBe('n01440764')
  expect(parentLabel('C:\\images\\ring\\x.jpg')).toBe('ring')
  expect(ancestor('imagenette2/train/n01440764/x.JPEG', 2)).toBe('train')
  expect(parentLabel('\\\\server\\images\\ring\\x.jpg')).toBe('ring')
  expect(parentLabel('images\\ring\\x.jpg')).toBe('ring')
  expect(parentLabel('C:/images\\ring/x.jpg')).toBe('ring')
  expect(ancestor('x.jpg', 1)).toBe('')
})

test('a backslash in a name of Linux is a letter', () => {
  expect(parentLabel('/data/train/cat/a\\b.jpg')).toBe('cat')
  expect(parentLabel('train/c\\at/1.jpg')).toBe('c\\at')
})
