import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { separatorFor } from '../../src/data/label-table.ts'
import { readImageFolder, type ImageFolderOptions } from '../../src/data/image-folder.ts'
import { fakePlatform } from '../helpers/fake-platform.ts'
import { nodePlatform } from '../../src/platform/node/index.ts'
import { memoryFiles } from '../helpers/memory-files.ts'

let root = ''
let path = ''
let number = 0
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'wgrad-image-folder-'))
})
afterAll(() => rmSync(root, { recursive: true }))
beforeEach(() => {
  path = join(root, String(number++))
})

const platform = fakePlatform({ files: nodePlatform.files })

/** Writes files; what is in them does not matter, as their suffix makes images of them. */
function put(files: Readonly<Record<string, string>> | readonly string[]): void {
  const contents = Array.isArray(files) ? Object.fromEntries(files.map((name: string) => [name, ''])) : files
  for (const [name, text] of Object.entries(contents as Record<string, string>)) {
    mkdirSync(dirname(join(path, name)), { recursive: true })
    writeFileSync(join(path, name), text)
  }
}

/** Returns the meaning of labels, and the targets of the images. */
async function targets(options: ImageFolderOptions = {}) {
  const { targets: found, images } = await readImageFolder(path, { platform, ...options })
  const { description: _, ...rest } = found
  return [rest, images.map(({ target }) => target)]
}

async function read(options: ImageFolderOptions = {}, from = path) {
  const { layout, description, images, apart } = await readImageFolder(from, { platform, ...options })
  return {
    layout,
    description,
    images: images.map(({ name, label, side }) => [name, label, ...(side ? [side] : [])].join(' | ')),
    apart: apart.map(({ kind, names }) => `${kind}: ${names.join(', ')}`),
  }
}

test('a part that is not used may have very many images', async () => {
  const listing = (count: number): Readonly<Record<string, readonly string[]>> => ({
    set: ['test', 'train', 'val'],
    'set/test': ['a'],
    'set/test/a': Array.from({ length: count }, (_, i) => `${i}.jpg`),
    'set/train': ['a', 'b'],
    'set/train/a': ['1.jpg'],
    'set/train/b': ['2.jpg'],
    'set/val': ['a'],
    'set/val/a': ['3.jpg'],
  })
  const processorTimeOf = async (count: number) => {
    const folders = listing(count)
    const list = (folder: string) =>
      Promise.resolve(
        folders[folder].map((name) => ({
          name,
          kind: name.endsWith('.jpg') ? ('file' as const) : ('folder' as const),
        })),
      )
    const start = process.cpuUsage()
    const files = { ...memoryFiles(), list }
    const { apart } = await readImageFolder('set', { platform: fakePlatform({ files }) })
    expect(apart.map(({ kind, names }) => [kind, names.length])).toEqual([['other-part', count]])
    return process.cpuUsage(start).user
  }
  const few = await processorTimeOf(20_000)
  // Eight times as many: with the square of their number it would take 64 times as long.
  expect(await processorTimeOf(160_000)).toBeLessThan(24 * few)
})

describe('class folders', () => {
  test('are those directly below the folder, in any script, with anything below', async () => {
    put(['кошка/1.jpg', 'кошка/summer 2024/a b/2.webp', 'hot dog/3.png', 'loose.jpg', 'notes.txt'])
    expect(await read()).toEqual({
      layout: 'classes',
      description: 'class folders',
      images: ['hot dog/3.png | hot dog', 'кошка/1.jpg | кошка', 'кошка/summer 2024/a b/2.webp | кошка'],
      apart: ['no-class: loose.jpg'],
    })
    expect((await read({ labelFrom: 'parent' })).images).toEqual([
      'hot dog/3.png | hot dog',
      'кошка/1.jpg | кошка',
      'кошка/summer 2024/a b/2.webp | a b',
    ])
  })

  test('are one class with and without spaces around their names', async () => {
    put([' cat/1.jpg', 'cat/2.jpg', 'dog /3.jpg'])
    expect((await read()).images).toEqual([' cat/1.jpg | cat', 'cat/2.jpg | cat', 'dog /3.jpg | dog'])
  })

  test('may be called train and test beside others, as of vehicles and signs', async () => {
    put(['bus/1.jpg', 'test/2.jpg', 'train/3.jpg', 'train/4.jpg'])
    expect(await read()).toEqual({
      layout: 'classes',
      description: 'class folders',
      images: ['bus/1.jpg | bus', 'test/2.jpg | test', 'train/3.jpg | train', 'train/4.jpg | train'],
      apart: [],
    })
  })

  test('may lie within a folder around all of them', async () => {
    put(['download/my pictures/cat/1.jpg', 'download/my pictures/dog/2.jpg', 'download/cover.jpg'])
    expect(await read()).toEqual({
      layout: 'classes',
      description: 'class folders in download/my pictures',
      images: ['download/my pictures/cat/1.jpg | cat', 'download/my pictures/dog/2.jpg | dog'],
      apart: ['no-class: download/cover.jpg'],
    })
  })

  test('are found from the folder itself, from above, and with a slash at the end', async () => {
    put(['cat/1.jpg', 'dog/2.jpg'])
    const expected = ['cat/1.jpg | cat', 'dog/2.jpg | dog']
    expect((await read({}, `${path}/`)).images).toEqual(expected)
    const before = process.cwd()
    process.chdir(path)
    try {
      expect((await read({}, '.')).images).toEqual(expected)
    } finally {
      process.chdir(before)
    }
  })

  test('called train are a class where the others are none of its like', async () => {
    put(['train/1.jpg', 'plane/2.jpg', 'train/old/3.jpg'])
    expect((await read()).images).toEqual(['plane/2.jpg | plane', 'train/1.jpg | train', 'train/old/3.jpg | train'])
  })

  test('of one class alone are told apart by no one', async () => {
    put(['cat/1.jpg', 'cat/2.jpg'])
    expect((await read()).images).toEqual(['cat/1.jpg | cat', 'cat/2.jpg | cat'])
  })
})

describe('folders to train and to measure on', () => {
  test('are those with classes; images without, as of a contest, leave the others to be divided', async () => {
    put(['train/cat/1.jpg', 'train/dog/2.jpg', 'test/3.jpg', 'test/4.jpg'])
    expect(await read()).toEqual({
      layout: 'classes',
      description: 'class folders below train/',
      images: ['train/cat/1.jpg | cat', 'train/dog/2.jpg | dog'],
      apart: ['other-part: test/3.jpg, test/4.jpg'],
    })
    put(['valid/5.jpg', 'test/cat/6.jpg'])
    expect(await read()).toMatchObject({
      layout: 'sides',
      description: 'class folders below train/ and test/',
      images: ['test/cat/6.jpg | cat | valid', 'train/cat/1.jpg | cat | train', 'train/dog/2.jpg | dog | train'],
    })
  })

  test.each(['valid', 'val', 'Validation', 'dev', 'test'])('train and %s', async (name) => {
    put([`train/cat/1.jpg`, `train/dog/2.jpg`, `${name}/cat/3.jpg`, `${name}/4.jpg`])
    expect(await read()).toEqual({
      layout: 'sides',
      description: `class folders below train/ and ${name}/`,
      images: [
        `train/cat/1.jpg | cat | train`,
        `train/dog/2.jpg | dog | train`,
        `${name}/cat/3.jpg | cat | valid`,
      ].sort(),
      apart: [`no-class: ${name}/4.jpg`],
    })
  })

  test('may lie beside others, where both hold the same classes', async () => {
    put(['train/cat/1.jpg', 'train/dog/2.jpg', 'val/cat/3.jpg', 'extra/cat/4.jpg', 'unknown/5.jpg'])
    expect(await read()).toEqual({
      layout: 'sides',
      description: 'class folders below train/ and val/',
      images: ['train/cat/1.jpg | cat | train', 'train/dog/2.jpg | dog | train', 'val/cat/3.jpg | cat | valid'],
      apart: ['other-part: extra/cat/4.jpg', 'other-part: unknown/5.jpg'],
    })
  })

  test('leave test alone where there is another to measure on, unless it is named', async () => {
    put(['train/cat/1.jpg', 'train/dog/2.jpg', 'val/cat/3.jpg', 'test/dog/4.jpg'])
    const sides = await read()
    expect(sides.images).toEqual([
      'train/cat/1.jpg | cat | train',
      'train/dog/2.jpg | dog | train',
      'val/cat/3.jpg | cat | valid',
    ])
    expect(sides.apart).toEqual(['other-part: test/dog/4.jpg'])
    expect((await read({ valid: 'test' })).apart).toEqual(['other-part: val/cat/3.jpg'])
    await expect(read({ valid: 'tests' })).rejects.toThrow('has no folder tests')
  })
})

describe('a table', () => {
  test('names files with or without suffix, with or without their folder', async () => {
    put({
      'photos/a.jpg': '',
      'photos/b.png': '',
      'photos/c.webp': '',
      'photos/d.jpg': '',
      'labels.csv': 'File Name,Class\nphotos/a.jpg,cat\nb,dog\nc.webp,"cat, wild"\nmissing.jpg,dog\n',
      'other.csv': 'x,y\n1,2\n',
    })
    expect(await read()).toEqual({
      layout: 'table',
      description: `labels of ${join(path, 'labels.csv')}`,
      images: ['photos/a.jpg | cat', 'photos/b.png | dog', 'photos/c.webp | cat, wild'],
      apart: ['no-file: missing.jpg', 'not-in-table: photos/d.jpg'],
    })
  })

  test('beside the folder, with sides', async () => {
    put(['1.jpg', '2.jpg', '3.jpg', '4.jpg'])
    const lines = ['path,label,is_valid', '1.jpg,cat,False', '2.jpg,dog,False', '3.jpg,cat,True', '4.jpg,,False', '']
    writeFileSync(`${path}.csv`, lines.join('\n'))
    const { images, apart } = await read()
    expect(images).toEqual(['1.jpg | cat | train', '2.jpg | dog | train', '3.jpg | cat | valid'])
    expect(apart).toEqual(['no-label: 4.jpg'])
  })

  test('counts for nothing beside class folders, unless it is named', async () => {
    put({ 'cat/1.jpg': '', 'dog/2.jpg': '', 'labels.csv': 'path,label\ncat/1.jpg,tabby\ndog/2.jpg,pug\n' })
    expect((await read()).images).toEqual(['cat/1.jpg | cat', 'dog/2.jpg | dog'])
    const named = await read({ csv: join(path, 'labels.csv') })
    expect(named.images).toEqual(['cat/1.jpg | tabby', 'dog/2.jpg | pug'])
  })

  test('is used where train and test hold no class folders', async () => {
    put({ 'train/1.jpg': '', 'train/2.jpg': '', 'test/3.jpg': '', 'train.csv': 'id,breed\n1,cat\n2,dog\n' })
    const { images, apart } = await read()
    expect(images).toEqual(['train/1.jpg | cat', 'train/2.jpg | dog'])
    expect(apart).toEqual(['not-in-table: test/3.jpg'])
  })

  test('finds files with spaces around their names, and letters in either of their spellings', async () => {
    const [composed, decomposed] = ['Käse.jpg', 'Käse.jpg'.normalize('NFD')]
    put({
      ' cat/ 1.jpg': '',
      [decomposed]: '',
      'labels.csv': `path , label\n cat/ 1.jpg,cat\n${composed},cheese\n`,
    })
    const { images, apart } = await read({ csv: join(path, 'labels.csv'), imageColumn: 'path', labelColumn: 'label' })
    expect(images).toEqual([' cat/ 1.jpg | cat', `${decomposed} | cheese`])
    expect(apart).toEqual([])
  })

  test('a file that a row names exactly is that of no other row', async () => {
    put({ 'b/1.jpg': '', 'b/2.jpg': '', 'labels.csv': 'path,label\na/1.jpg,cat\nb/1.jpg,dog\nb/1,cat\n2,cat\n' })
    expect(await read({ csv: join(path, 'labels.csv') })).toMatchObject({
      images: ['b/1.jpg | dog', 'b/2.jpg | cat'],
      apart: ['no-file: a/1.jpg, b/1'],
    })
  })

  test('names files by paths from elsewhere, but none in another folder than it says', async () => {
    const rows = [
      'C:\\data\\cat\\1.jpg,a',
      'data/dog/1.jpg,b',
      'dog/2,c',
      '/data/3.jpg,d',
      '4.jpg,e',
      'dog/5.jpg,f',
      '6.jpg,g',
    ]
    put({ 'labels.csv': `path,label\n${rows.join('\n')}\n` })
    put(['cat/1.jpg', 'dog/1.jpg', 'deep/dog/2.png', '3.jpg', 'cat/4.jpg', 'cat/5.jpg', 'cat/6.jpg', 'dog/6.jpg'])
    expect(await read({ csv: join(path, 'labels.csv') })).toMatchObject({
      images: ['cat/1.jpg | a', 'dog/1.jpg | b', 'deep/dog/2.png | c', '3.jpg | d', 'cat/4.jpg | e'],
      apart: ['no-file: dog/5.jpg, 6.jpg', 'not-in-table: cat/5.jpg, cat/6.jpg, dog/6.jpg'],
    })
  })

  test('may end with empty rows, and have columns without a name beside it', async () => {
    put({ '1.jpg': '', '2.jpg': '', 'labels.csv': 'path;x;;\n1.jpg;1;;\n2.jpg;2;;\n;;;\n' })
    const { targets: found, images, apart } = await readImageFolder(path, { platform })
    expect(found.columns).toEqual(['x'])
    expect([images.length, apart]).toEqual([2, []])
  })

  test('with a part to test on: it is left alone where there is another to measure on, unless it is named', async () => {
    const rows = ['1.jpg,cat,train', '2.jpg,dog,Val', '3.jpg,cat,test', '4.jpg,dog,train', '']
    put({ '1.jpg': '', '2.jpg': '', '3.jpg': '', '4.jpg': '', 'labels.csv': ['path,label,split', ...rows].join('\n') })
    expect(await read()).toMatchObject({
      images: ['1.jpg | cat | train', '2.jpg | dog | valid', '4.jpg | dog | train'],
      apart: ['other-part: 3.jpg'],
    })
    expect((await read({ csv: join(path, 'labels.csv'), valid: 'test' })).images).toEqual([
      '1.jpg | cat | train',
      '3.jpg | cat | valid',
      '4.jpg | dog | train',
    ])
    const asked = read({ csv: join(path, 'labels.csv'), valid: 'holdout' })
    await expect(asked).rejects.toThrow(/has no part holdout\n +parts there +train, val, test\n/)
  })

  test('that lies where labels can come from no other is told why it cannot be used', async () => {
    put({ 'images/1.jpg': '', 'images/2.jpg': '', 'labels.csv': 'path,label\n1.jpg,cat\n2.jpg\n' })
    await expect(read()).rejects.toThrow('labels.csv:3: the row has not as many cells')
    writeFileSync(join(path, 'labels.csv'), Buffer.from('path,label\n1.jpg,K\xe4se\n', 'latin1'))
    await expect(read()).rejects.toThrow('labels.csv: not UTF-8 text')
    put({ 'labels.csv': 'path,label\n' })
    await expect(read()).rejects.toThrow('labels.csv: the table has no rows')
    put({ 'labels.csv': 'path,label\n7.jpg,cat\n8.jpg,dog\n' })
    await expect(read()).rejects.toThrow(
      /labels\.csv: no row names an image of the folder\n +folder .*\n +a row +7\.jpg\n +an image +images\/1\.jpg\n/,
    )
    rmSync(join(path, 'labels.csv'))
    // A table of any other name may be that of something else, where there is a class folder.
    put({ 'prices.csv': 'item,price\ncat,1\n' })
    expect((await read()).layout).toBe('classes')
    put({ '3.jpg': '' })
    rmSync(join(path, 'images'), { recursive: true })
    await expect(read()).rejects.toThrow('prices.csv: the table has no column of paths or none of labels')
  })

  test('that cannot be used is refused', async () => {
    put({ '1.jpg': '', '2.jpg': '', 'a.csv': 'path,label\n1.jpg,cat\n', 'b.csv': 'path,label\n2.jpg,dog\n' })
    await expect(read()).rejects.toThrow('there are several tables of labels')
    put({
      'c.csv': 'path,label\n1.jpg,cat\n1.jpg,dog\n',
      'd.csv': 'path,size\n1.jpg,large\n',
      'e.csv': 'path,label,split\n1.jpg,cat,left\n',
    })
    await expect(read({ csv: join(path, 'c.csv') })).rejects.toThrow('c.csv:3: the table lists this image twice')
    await expect(read({ csv: join(path, 'd.csv') })).rejects.toThrow('no column of paths or none of labels')
    await expect(read({ csv: join(path, 'e.csv') })).rejects.toThrow('neither train nor valid')
    await expect(read({ csv: join(path, 'a.csv'), labelFrom: 'parent' })).rejects.toThrow(
      'labelFrom is for class folders',
    )
    put({ 'f.csv': 'path,label,split\n1.jpg,cat,train\n2.jpg,cat,train\n' })
    await expect(read({ csv: join(path, 'f.csv') })).rejects.toThrow('does not divide its images into both sides')
  })
})

describe('targets of a table', () => {
  const files = { '1.jpg': '', '2.jpg': '', '3.jpg': '' }
  const table = (header: string, ...cells: readonly string[]) =>
    put({ ...files, 'labels.csv': [`image,${header}`, ...cells.map((cell, i) => `${i + 1},${cell}`), ''].join('\n') })

  test.each([
    ['label', ['cat', 'hot dog', 'fire truck'], 'class'],
    ['digit', ['7', '1', '7'], undefined],
    ['label', ['7', '1', '7'], 'class'],
    ['label', ['7.5', '1', '7'], 'numbers'],
    ['label', ['-7', '7', '7'], 'numbers'],
    ['label', ['1', '2', '3'], 'numbers'],
    ['label', [' +1.5e-3 ', '.5', '2.'], 'numbers'],
    ['label', ['0x1f', '0b1', '0x1f'], 'class'],
    ['label', ['1.0', '0.0', '1.0'], 'class'],
    ['label', ['True', 'False', 'True'], 'class'],
    ['label', ['2.0', '3.0', '2.0'], 'numbers'],
    ['score', ['1.0', '0.0', '1.0'], 'numbers'],
    ['tags', ['clear road', 'clear', 'road'], 'labels'],
    ['tags', ['hot dog', 'fire truck', 'cat'], 'class'],
    ['tags', ['a b', 'a', 'b a'], 'labels'],
    ['label', ['cat;dog', 'dog', ''], 'labels'],
    ['label', ['cat|dog', 'dog', 'cat'], 'labels'],
  ])('of the column %s with %j', async (header, cells, kind) => {
    table(header, ...cells)
    if (kind === undefined) {
      // A single column of numbers is taken, whatever its name.
      expect(await targets()).toEqual([{ kind: 'class', columns: ['digit'] }, cells])
      return
    }
    expect((await targets())[0]).toMatchObject({ kind, columns: [header] })
  })

  test('of columns: numbers, or 0 and 1 for a label each', async () => {
    table('x,y', '0.5,1', '2,-3', ',4')
    expect(await targets()).toEqual([
      { kind: 'numbers', columns: ['x', 'y'] },
      [
        [0.5, 1],
        [2, -3],
      ],
    ])
    expect((await read()).apart).toEqual(['no-label: 3.jpg'])
    put({ 'labels.csv': 'image,cat,dog\n1,1,0\n2,0,0\n3,1,1\n' })
    expect(await targets()).toEqual([{ kind: 'labels', columns: ['cat', 'dog'] }, [['cat'], [], ['cat', 'dog']]])
    expect((await targets({ targets: 'numbers' }))[1]).toEqual([
      [1, 0],
      [0, 0],
      [1, 1],
    ])
    expect((await targets({ labelColumn: 'dog', targets: 'class' }))[1]).toEqual(['0', '0', '1'])
  })

  test.each([
    ['as pandas writes numbers beside gaps', ['1.0,0.0', '0.0,', '1.0,1.0']],
    ['as pandas writes truth', ['True,False', 'False,False', 'TRUE,true']],
  ])('of columns of 0 and 1, %s', async (_, rows) => {
    table('cat,dog', ...rows)
    expect(await targets()).toEqual([{ kind: 'labels', columns: ['cat', 'dog'] }, [['cat'], [], ['cat', 'dog']]])
    table('cat,dog', ...rows.slice(1), '1.5,0')
    await expect(targets({ targets: 'labels', labelColumn: ['cat', 'dog'] })).rejects.toThrow(
      /labels\.csv:4: the cell is not a target\n {2}cell {2}1\.5\n {2}expected 0 or 1/,
    )
  })

  test('between semicolons, whose numbers have a comma for their point, except in lists of labels', async () => {
    const semicolons = (...rows: readonly string[]) => put({ ...files, 'labels.csv': `${rows.join('\r\n')}\r\n` })
    semicolons('image;x;y', '1;0,5;-1,25', '2;3;,5', '3;1,0;7')
    expect(await targets()).toEqual([
      { kind: 'numbers', columns: ['x', 'y'] },
      [
        [0.5, -1.25],
        [3, 0.5],
        [1, 7],
      ],
    ])
    semicolons('image;label', '1;0,5', '2;0,5', '3;2')
    expect((await targets())[1]).toEqual([[0.5], [0.5], [2]])
    semicolons('image;x;y', '1;1.234,5;1', '2;1;1', '3;1;1')
    await expect(targets({ labelColumn: ['x', 'y'], targets: 'numbers' })).rejects.toThrow('the cell is not a target')
    semicolons('image;tags', '1;1,2', '2;1', '3;2')
    expect((await targets())[1]).toEqual([['1', '2'], ['1'], ['2']])
  })

  test('as they are asked for', async () => {
    table('kind,sort', 'a b,7', 'b,8', ',7')
    const asked = { labelColumn: 'kind', separator: ' ' } as const
    expect(await targets(asked)).toEqual([
      { kind: 'labels', columns: ['kind'], separator: ' ' },
      [['a', 'b'], ['b'], []],
    ])
    expect((await read(asked)).images).toEqual(['1.jpg | a; b', '2.jpg | b', '3.jpg | '])
    expect((await targets({ labelColumn: 'kind', targets: 'labels' }))[0]).toMatchObject({ separator: ' ' })
    expect((await targets({ labelColumn: 'sort' }))[0]).toMatchObject({ kind: 'class' })
    await expect(targets({ labelColumn: 'kind', targets: 'numbers' })).rejects.toThrow(
      'labels.csv:2: the cell is not a target',
    )
    table('x', '1', '2.5', '-1e39')
    await expect(targets({ labelColumn: 'x', targets: 'numbers' })).rejects.toThrow(
      /labels\.csv:4: the cell is not a target\n {2}cell {2}-1e39\n {2}expected a number from -3\.4e38 to 3\.4e38, such as 0\.5/,
    )
    table('kind,sort', 'a b,7', 'b,8', ',7')
    await expect(targets({ ...asked, targets: 'numbers' })).rejects.toThrow('a separator is for several labels')
  })

  test('separators are in none of the labels', () => {
    expect(separatorFor(['cat', 'hot dog'])).toBe('|')
    expect(separatorFor(['a|b', 'c;d', 'e,f', 'g\th'])).toBe(' ')
    expect(separatorFor(['a|b', 'c;d', 'e,f', 'g\th i'])).toBe('\n')
  })
})
