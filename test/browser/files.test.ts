import { zipSync, type Zippable } from 'fflate'
import { afterEach, describe, expect, test } from 'vitest'
import { commands } from 'vitest/browser'
import {
  addFiles,
  CategoryBlock,
  collectFiles,
  DataBlock,
  folderFiles,
  getImageFiles,
  ImageBlock,
  parentLabel,
  removeFiles,
  resize,
  storageFiles,
  urlFiles,
} from '../../src/browser.ts'
import { applyCleaning, type CleaningItem, type CleaningList } from '../../src/exports/data.ts'
import { base64, colours, draw, imageFile, imageFolder, openPageGpu } from './helpers/images.ts'

const { gpu, lines } = await openPageGpu({ save: storageFiles('test-files') })
const { files } = gpu.platform

afterEach(async () => {
  document.body.replaceChildren()
  lines.length = 0
  const root = await navigator.storage.getDirectory()
  for await (const name of root.keys()) await root.removeEntry(name, { recursive: true })
})

const block = new DataBlock({
  blocks: [ImageBlock(), CategoryBlock()],
  getItems: getImageFiles,
  getY: parentLabel,
  itemTransforms: [resize(16)],
})

async function bytesOfFolder(count: number): Promise<Record<string, Uint8Array>> {
  const all: Record<string, Uint8Array> = {}
  for (const [path, blob] of await imageFolder(count)) all[path] = new Uint8Array(await blob.arrayBuffer())
  return all
}

const zipped = (entries: Record<string, Uint8Array>): File => new File([zipSync(entries)], 'photographs.zip')

describe('files of a visitor', () => {
  test('are chosen one by one', async () => {
    const folder = await commands.makeFolder({ 'a.png': await base64(await imageFile('red', 1)) })
    const input = document.createElement('input')
    input.type = 'file'
    document.body.append(input)
    await commands.chooseFiles('input', [`${folder}/a.png`])
    const path = await addFiles(input.files!)
    expect(await getImageFiles(path)).toEqual([`${path}/a.png`])
    await commands.removeFolder(folder)
  })

  test('are a chosen folder, from which loaders are made', async () => {
    const drawn = await imageFolder(4)
    const contents: Record<string, string> = {}
    for (const [name, blob] of drawn) contents[`photographs/${name}`] = await base64(blob)
    const folder = await commands.makeFolder(contents)
    const input = document.createElement('input')
    input.type = 'file'
    input.webkitdirectory = true
    document.body.append(input)
    await commands.chooseFiles('input', [`${folder}/photographs`])
    const path = await addFiles(input.files!, { name: 'chosen' })
    expect(path).toBe('chosen')
    const loaders = await block.loaders(path, { batchSize: 3 })
    expect(loaders.vocab).toEqual(['blue', 'green', 'red'])
    const batch = await loaders.oneBatch()
    expect(batch.pixels.shape).toEqual([3, 16, 16])
    batch.release()
    // What a page learns of the files before training is what Node learns.
    expect(lines.join('\n')).toContain('10 images to train on')
    await commands.removeFolder(folder)
  })

  test('are dropped, folders in folders too', async () => {
    const contents: Record<string, string> = {}
    for (const [name, blob] of await imageFolder(2)) contents[`mine/deep/${name}`] = await base64(blob)
    // More than the hundred that one call gives.
    for (let i = 0; i < 150; i++) contents[`mine/many/${i}.txt`] = 'AAAA'
    const folder = await commands.makeFolder({ ...contents, 'single.png': await base64(await imageFile('red', 9)) })
    const target = document.createElement('div')
    target.style.cssText = 'width: 200px; height: 200px'
    target.id = 'target'
    document.body.append(target)
    const dropped = new Promise<string>((resolve, reject) => {
      target.ondragover = (event) => event.preventDefault()
      target.ondrop = (event) => {
        event.preventDefault()
        addFiles(event.dataTransfer!).then(resolve, reject)
      }
    })
    await commands.dropFiles('#target', [`${folder}/mine`, `${folder}/single.png`])
    const path = await dropped
    expect(await getImageFiles(path)).toEqual([
      `${path}/single.png`,
      ...colours.toSorted().flatMap((colour) => [0, 1].map((i) => `${path}/mine/deep/${colour}/${i}.png`)),
    ])
    expect((await files.list(`${path}/mine/many`)).length).toBe(150)
    await commands.removeFolder(folder)
  })

  test('are a zip archive, unpacked file by file', async () => {
    const entries = await bytesOfFolder(2)
    const path = await addFiles(zipped({ ...entries, '__MACOSX/red/._0.png': new Uint8Array(4) }))
    expect((await getImageFiles(path)).length).toBe(6)
    expect(await files.read(`${path}/red/1.png`)).toEqual(entries['red/1.png'])
    expect(await files.exists(`${path}/__MACOSX`)).toBe(false)
    const loaders = await block.loaders(path, { batchSize: 2 })
    const batch = await loaders.oneBatch()
    batch.release()
    // Beside other files an archive is a folder.
    const both = await addFiles([zipped(entries), new File([entries['red/0.png'] as BlobPart], 'own.png')])
    expect((await getImageFiles(both)).length).toBe(7)
    expect(await files.exists(`${both}/photographs/green/1.png`)).toBe(true)
  })

  test('are a zip archive with times, owners and comments beside its files, stored or deflated', async () => {
    const text = (letter: string) => new TextEncoder().encode(letter.repeat(500))
    // As Info-ZIP and macOS write them. Source: PKWARE APPNOTE.TXT, section 4.6.1.
    const extra = { 0x5455: new Uint8Array(9), 0x7875: new Uint8Array(11) }
    const entries = {
      'cat/1.txt': [text('a'), { extra, comment: 'the first' }],
      'cat/2.txt': [text('b'), { extra, comment: 'the second', level: 0 }],
      'dog/3.txt': [text('c'), {}],
    } satisfies Zippable
    const path = await addFiles(new File([zipSync(entries, { comment: 'of all' })], 'notes.zip'))
    for (const [name, [bytes]] of Object.entries(entries)) {
      expect(await files.read(`${path}/${name}`), name).toEqual(bytes)
    }
  })

  test('are samples in memory: pixels, canvases, bitmaps, bytes', async () => {
    const canvas = draw('green', 3, 40, 20)
    const pixels = canvas.getContext('2d')!.getImageData(0, 0, 40, 20)
    const path = await addFiles([
      { image: pixels, label: 'green' },
      { image: canvas, label: 'green' },
      { image: await createImageBitmap(canvas), label: 'green' },
      { image: await imageFile('red', 1), label: 'red' },
      { image: new Uint8Array(await (await imageFile('red', 2)).arrayBuffer()), label: 'red' },
    ])
    const decoded = await Promise.all(
      ['1', '2', '3'].map((name) => gpu.platform.decoder.decode({ path: `${path}/green/${name}.png` })),
    )
    for (const one of decoded) {
      expect([one.width, one.height]).toEqual([40, 20])
      expect(one.data).toEqual(new Uint8Array(pixels.data))
    }
    const loaders = await block.loaders(path, { batchSize: 1 })
    expect(loaders.vocab).toEqual(['green', 'red'])
  })

  test('are posted to a Worker with their paths', async () => {
    const found = await collectFiles(new Map([['red/1.png', await imageFile('red', 1)]]))
    const copy = structuredClone(found)
    const path = await addFiles(copy)
    expect(await files.exists(`${path}/red/1.png`)).toBe(true)
  })

  test('of equal names are all kept', async () => {
    const path = await addFiles(['a', 'b', 'c'].map((text) => new File([text], 'x.txt')))
    expect((await files.list(path)).map(({ name }) => name)).toEqual(['x (2).txt', 'x (3).txt', 'x.txt'])
  })

  test('are forgotten when asked', async () => {
    const path = await addFiles([new File(['a'], 'x.txt')])
    expect(await files.readText(`${path}/x.txt`)).toBe('a')
    expect([removeFiles(path), removeFiles(path), await files.exists(`${path}/x.txt`)]).toEqual([true, false, false])
  })
})

describe('a mistake says what to do', () => {
  test.each([
    ['nothing chosen', () => addFiles([]), 'there are no files'],
    ['something else', () => addFiles(7 as never), 'these are not files'],
    ['a label that is no folder', () => addFiles([{ image: draw('red', 1), label: 'a/b' }]), 'a sample has no label'],
    ['a taken name', () => addFiles([new File([''], 'x')], { name: '.wgrad' }), 'there are files of this name already'],
    ['a name with a /', () => addFiles([new File([''], 'x')], { name: 'a/b' }), 'cannot be that of a folder'],
  ])('%s', async (_name, work, message) => {
    await expect(work()).rejects.toThrow(message)
  })

  const local = (change: (bytes: Uint8Array) => void, entries = { 'a.txt': new Uint8Array(1000) }) => {
    const bytes = zipSync(entries)
    change(bytes)
    return new File([bytes], 'x.zip')
  }

  test.each([
    ['/etc/passwd', 'an absolute path'],
    ['C:/x', 'an absolute path'],
    ['../x', 'a path that leads out of it'],
    ['a/../../x', 'a path that leads out of it'],
    ['a\\b', 'a backslash'],
  ])('an archive with %s', async (name, message) => {
    await expect(addFiles(local(() => {}, { [name]: new Uint8Array(1) } as never))).rejects.toThrow(message)
  })

  test('an archive whose file holds more than it says, or other bytes', async () => {
    const directoryOf = (bytes: Uint8Array) => new DataView(bytes.buffer).getUint32(bytes.length - 6, true)
    const bomb = await addFiles(
      local((bytes) => new DataView(bytes.buffer).setUint32(directoryOf(bytes) + 24, 10, true)),
    )
    await expect(files.read(`${bomb}/a.txt`)).rejects.toThrow('a.txt, which holds more than it says')
    const huge = await addFiles(
      local((bytes) => new DataView(bytes.buffer).setUint32(directoryOf(bytes) + 24, 0x7fffffff, true)),
    )
    await expect(files.read(`${huge}/a.txt`)).rejects.toThrow('too large')
    const wrong = await addFiles(
      local((bytes) => new DataView(bytes.buffer).setUint32(directoryOf(bytes) + 16, 1, true)),
    )
    await expect(files.read(`${wrong}/a.txt`)).rejects.toThrow('a damaged zip archive: a.txt')
    await expect(addFiles(local((bytes) => void bytes.fill(0, bytes.length - 22, bytes.length - 18)))).rejects.toThrow(
      'its end is missing',
    )
  })
})

describe('files of a server', () => {
  test('of another origin are read where it allows that, and otherwise it is said what is missing', async () => {
    expect(await urlFiles(await commands.serve(true)).readText('a.txt')).toBe('hello')
    await expect(urlFiles(await commands.serve(false)).readText('a.txt')).rejects.toThrow(
      `expected the header Access-Control-Allow-Origin: ${location.origin}`,
    )
    // The port of discard, which nothing listens to and fetch refuses.
    await expect(urlFiles('http://127.0.0.1:9/').readText('a.txt')).rejects.toThrow('the server cannot be reached')
  })

  test('beside the page may have an address relative to it, and need a list', async () => {
    await expect(urlFiles('no/such/folder/').list('')).rejects.toThrow('as a server lists no folders')
    expect((await urlFiles('/package.json').readText('package.json')).length).toBeGreaterThan(100)
  })
})

describe('writing', () => {
  test('goes to the place that was given, from which reading begins', async () => {
    await files.requireWritable!('runs/model.bin')
    expect(await files.exists('runs/model.bin')).toBe(false)
    await files.write('runs/model.bin', Uint8Array.of(1, 2, 3))
    expect(await files.read('runs/model.bin')).toEqual(Uint8Array.of(1, 2, 3))
    const root = await navigator.storage.getDirectory()
    const own = folderFiles(await root.getDirectoryHandle('test-files'))
    expect(await own.list('runs')).toEqual([{ name: 'model.bin', kind: 'file' }])
  })

  test('beside what a visitor gave is refused', async () => {
    const path = await addFiles([new File(['a'], 'x.txt')])
    for (const work of [() => files.write(`${path}/y`, ''), () => files.requireWritable!(`${path}/y`)]) {
      await expect(work()).rejects.toThrow('openGpu({ save: storageFiles() })')
    }
  })
})

describe('a cleaning list', () => {
  const listOf = (vocab: readonly string[], items: readonly Partial<CleaningItem>[]): CleaningList => ({
    kind: 'wgrad cleaning list',
    version: 1,
    vocab,
    items: items.map((item) => ({
      path: '',
      split: 'train',
      label: 'red',
      predicted: 'blue',
      probability: 0.9,
      loss: 3,
      action: 'keep',
      ...item,
    })),
  })
  /** Paths of six images of two classes, below a folder. */
  const images = async (): Promise<Map<string, Blob>> => {
    const all = new Map<string, Blob>()
    for (const label of ['blue', 'red'] as const) {
      for (const i of [1, 2, 3]) all.set(`${label}/${label[0]}${i}.png`, await imageFile(label, i))
    }
    return all
  }
  const changes = (folder: string) =>
    listOf(
      ['blue', 'red'],
      [
        { path: `${folder}/red/r1.png`, action: 'relabel', to: 'blue' },
        { path: `${folder}/red/r2.png`, action: 'delete' },
        { path: `${folder}/red/r3.png` },
      ],
    )
  const left = (folder: string) =>
    ['blue/b1', 'blue/b2', 'blue/b3', 'blue/r1', 'red/r3'].map((path) => `${folder}/${path}.png`)

  test('of files that a visitor gave: the next loaders see them where they were moved to', async () => {
    const folder = await addFiles(await images())
    const before = await files.read(`${folder}/red/r1.png`)
    const planned = await applyCleaning(changes(folder), { folder, dryRun: true })
    expect((await getImageFiles(folder)).length).toBe(6)
    expect(await applyCleaning(changes(folder), { folder })).toEqual(planned)
    expect((await getImageFiles(folder)).sort()).toEqual(left(folder))
    expect(await files.read(`${folder}/blue/r1.png`)).toEqual(before)
    expect(await files.exists(`${folder}/.trash/red/r2.png`)).toBe(true)
    const loaders = await block.loaders(folder, { batchSize: 2 })
    expect([loaders.vocab, loaders.train.items.length + loaders.valid.items.length]).toEqual([['blue', 'red'], 5])
    // What was moved already is left out.
    expect(await applyCleaning(changes(folder), { folder })).toEqual([])
  })

  test('of files that the browser keeps, also below what else it keeps', async () => {
    for (const [path, image] of await images()) {
      await files.write(`kept/${path}`, new Uint8Array(await image.arrayBuffer()))
    }
    await applyCleaning(changes('kept'), { folder: 'kept' })
    expect((await getImageFiles('kept')).sort()).toEqual(left('kept'))
    const root = await navigator.storage.getDirectory()
    const onDisk = folderFiles(await root.getDirectoryHandle('test-files'))
    expect((await onDisk.list('kept/red')).map(({ name }) => name)).toEqual(['r3.png'])
    expect(await onDisk.list('kept/.trash/red')).toEqual([{ name: 'r2.png', kind: 'file' }])
    await applyCleaning(listOf(['blue', 'red'], [{ path: 'kept/red/r3.png', action: 'delete' }]), {
      folder: 'kept',
      platform: { files: { ...onDisk, join: files.join } },
    })
    expect(await files.exists('kept/.trash/red/r3.png')).toBe(true)
  })

  test('overwrites nothing, and says so before anything is moved', async () => {
    const own = await images()
    own.set('blue/r1.png', own.get('blue/b1.png')!)
    const folder = await addFiles(own)
    await expect(applyCleaning(changes(folder), { folder })).rejects.toThrow('exist already, so nothing was moved')
    expect((await getImageFiles(folder)).length).toBe(7)
    await expect(files.move!(`${folder}/red/r1.png`, `${folder}/blue/r1.png`)).rejects.toThrow('of that name already')
    await files.write('a.txt', 'a')
    await files.write('b.txt', 'b')
    await expect(files.move!('a.txt', 'b.txt')).rejects.toThrow('a.txt: cannot be moved to b.txt')
    expect([await files.readText('a.txt'), await files.readText('b.txt')]).toEqual(['a', 'b'])
    await applyCleaning(changes(folder), { folder, onConflict: 'number' })
    expect(await files.exists(`${folder}/blue/r1 (2).png`)).toBe(true)
  })

  test('needs files that can be moved, in one place', async () => {
    const folder = await addFiles(await images())
    await expect(files.move!(`${folder}/red/r1.png`, 'elsewhere.png')).rejects.toThrow('which is another place')
    await expect(files.move!('package.json', 'b.json')).rejects.toThrow('a page cannot move this file')
    await expect(files.move!(`${folder}/red/r9.png`, `${folder}/red/r8.png`)).rejects.toThrow('no such file')
  })
})
