import { readdirSync, readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { DataError, DeviceError, OptionError } from '../../src/base/errors.ts'
import { decodeImage } from '../../src/image/decode.ts'
import { crc32 } from '../../src/base/crc32.ts'
import { getImageFiles, parentLabel } from '../../src/data/items.ts'
import { blobFiles, memoryFiles } from '../../src/platform/browser/blob-files.ts'
import { folderFiles, storageFiles, urlFiles } from '../../src/platform/browser/files.ts'
import { browserGpu } from '../../src/platform/browser/gpu.ts'
import { createBrowserPlatform } from '../../src/platform/browser/index.ts'
import { PageFiles } from '../../src/platform/browser/page-files.ts'
import { pngReader } from '../../src/platform/browser/png.ts'
import { pngReader as nodeReader } from '../../src/platform/node/png.ts'
import type { Platform } from '../../src/platform/platform.ts'
import type { Pixels } from '../../src/image/pixels.ts'
import { pngFile } from '../helpers/png-file.ts'

afterEach(() => {
  vi.unstubAllGlobals()
})

const rejection = async (work: Promise<unknown>): Promise<string> => {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(DataError)
  return error instanceof DataError ? error.message : ''
}

test('nothing of Node comes into a page', () => {
  const pending = [new URL('../../src/platform/browser/', import.meta.url)]
  const files = readdirSync(pending[0]).map((name) => new URL(name, pending[0]))
  const seen = new Set<string>()
  expect(files.length).toBeGreaterThan(4)
  while (files.length > 0) {
    const file = files.pop() as URL
    if (seen.has(file.href)) continue
    seen.add(file.href)
    const source = readFileSync(file, 'utf8')
    for (const [, name] of source.matchAll(/(?:from|import) '([^']+)'/g)) {
      expect(name, `${file.pathname} imports ${name}`).toMatch(/^\./)
      // Packages are bundled, and their checks for Node take nothing of it.
      if (!name.includes('/vendor/')) files.push(new URL(name, file))
    }
    expect(source, file.pathname).not.toMatch(/\b(process|Buffer|setImmediate|require)\b/)
  }
  expect([...seen].some((href) => href.endsWith('/image/resize.ts'))).toBe(true)
})

describe('files of a server', () => {
  const served: Record<string, string> = {
    'https://host/data/manifest.json': JSON.stringify([
      'train/b/2.JPEG',
      'train/a 1/1.JPEG',
      'train/b/1.JPEG',
      'readme.txt',
    ]),
    'https://host/data/train/a%201/1.JPEG': 'bytes',
  }
  let asked: string[] = []
  beforeEach(() => {
    asked = []
    vi.stubGlobal('fetch', (url: URL) => {
      asked.push(url.href)
      if (url.href.includes('offline')) return Promise.reject(new TypeError('fetch failed'))
      const body = served[url.href]
      return Promise.resolve(
        new Response(body ?? '', body === undefined ? { status: 404, statusText: 'Not Found' } : {}),
      )
    })
  })

  test('are listed by the manifest, fetched once, and read by path', async () => {
    const files = urlFiles('https://host/data/')
    expect(await files.list('')).toEqual([
      { name: 'readme.txt', kind: 'file' },
      { name: 'train', kind: 'folder' },
    ])
    expect((await files.list('train')).map(({ name }) => name)).toEqual(['a 1', 'b'])
    expect((await files.list(files.join('train/', 'b'))).map(({ name }) => name)).toEqual(['1.JPEG', '2.JPEG'])
    expect(await Promise.all(['train/b', 'train', 'train/b/1.JPEG', 'tra'].map((path) => files.exists(path)))).toEqual([
      true,
      true,
      true,
      false,
    ])
    expect(asked).toEqual(['https://host/data/manifest.json'])
    expect(await files.readText('train/a 1/1.JPEG')).toBe('bytes')
    expect(await files.read('train/a 1/1.JPEG')).toEqual(new TextEncoder().encode('bytes'))
  })

  test('say what is missing', async () => {
    const files = urlFiles('https://host/data/')
    expect(await rejection(files.list('val'))).toBe('val: no such folder in manifest.json')
    expect(await rejection(files.read('gone'))).toBe(
      'gone: the server answered 404 Not Found\n  url  https://host/data/gone',
    )
    expect(await rejection(files.write('x', 'y'))).toContain('files of a server cannot be written')
    expect(await rejection(urlFiles('https://offline/').list(''))).toContain('the server cannot be reached')
    served['https://broken/manifest.json'] = '{"a":1}'
    expect(await rejection(urlFiles('https://broken/').list(''))).toContain('expected a JSON array of paths')
  })
})

describe('addresses of a server', () => {
  const page = (href: string) => vi.stubGlobal('location', new URL(href))

  test('may be relative to the page', async () => {
    page('https://host/train/index.html')
    vi.stubGlobal('fetch', (url: URL) => Promise.resolve(new Response(url.href)))
    expect(await urlFiles('images/').readText('a.jpg')).toBe('https://host/train/images/a.jpg')
    expect(await urlFiles('/images/').readText('a.jpg')).toBe('https://host/images/a.jpg')
    // Characters that have a meaning in an address, such as ? and #, are escaped in the name of a file.
    expect(await urlFiles('images/').readText('a/50%20?#2.jpg')).toBe('https://host/train/images/a/50%2520%3F%232.jpg')
    vi.unstubAllGlobals()
    expect(() => urlFiles('images/')).toThrow(
      "urlFiles: this is not an address\n  address  images/\n  expected 'images/'",
    )
    expect(() => urlFiles('http://:99')).toThrow(OptionError)
  })

  test.each([
    ['a server that answers, but not to this page', true, 'does not let this page read its files (CORS)'],
    ['a server that does not answer', false, 'the server cannot be reached'],
  ])('%s', async (_name, answers, message) => {
    page('https://host/train.html')
    vi.stubGlobal('fetch', (_url: URL, { mode }: RequestInit = {}) =>
      mode === 'no-cors' && answers
        ? Promise.resolve(new Response(''))
        : Promise.reject(new TypeError('Failed to fetch')),
    )
    const said = await rejection(urlFiles('http://cdn.example/').read('cat/1.jpg'))
    expect(said).toContain(`cat/1.jpg: ${answers ? `the server answers, but ${message}` : message}`)
    if (answers) expect(said).toContain('expected the header Access-Control-Allow-Origin: https://host (or *)')
    else expect(said).toContain('a page by https reads nothing by http')
  })

  test('without a manifest have no files to look for', async () => {
    vi.stubGlobal('fetch', () => Promise.resolve(new Response('', { status: 404 })))
    expect(await urlFiles('https://host/').exists('model.safetensors')).toBe(false)
    vi.stubGlobal('fetch', () => Promise.resolve(new Response('', { status: 500 })))
    expect(await rejection(urlFiles('https://host/').exists('model.safetensors'))).toContain('500')
  })
})

describe('the manifest of a server', () => {
  const withManifest = (...answers: unknown[]) => {
    const asked: string[] = []
    vi.stubGlobal('fetch', (url: URL) => {
      asked.push(url.href)
      const answer = url.pathname.endsWith('manifest.json') ? answers.shift() : url.href
      if (typeof answer === 'number') {
        return Promise.resolve(new Response('', { status: answer, statusText: 'Service Unavailable' }))
      }
      return Promise.resolve(new Response(typeof answer === 'string' ? answer : JSON.stringify(answer)))
    })
    return { files: urlFiles('https://host/data/'), asked }
  }
  const imagesOf = async (entries: unknown) => {
    const { files } = withManifest(entries)
    const lines: string[] = []
    const platform = { files, log: (line: string) => lines.push(line) } as unknown as Platform
    const images = await getImageFiles('', { platform })
    return Promise.all(images.map(async (image) => [parentLabel(image), await files.readText(image)]))
  }

  test('entries may hold empty and present folders, or be addresses', async () => {
    expect(await imagesOf(['cat//1.jpg', './dog/2.jpg', 'cat/./3.jpg'])).toEqual([
      ['cat', 'https://host/data/cat/1.jpg'],
      ['cat', 'https://host/data/cat/3.jpg'],
      ['dog', 'https://host/data/dog/2.jpg'],
    ])
    expect(
      await imagesOf([
        '/data/cat/1.jpg',
        '/other/dog/2.jpg',
        'https://cdn.example:8080/a%20b/x/3.jpg',
        '//cdn.example/y/4.jpg',
      ]),
    ).toEqual([
      ['cat', 'https://host/data/cat/1.jpg'],
      ['y', 'https://cdn.example/y/4.jpg'],
      ['x', 'https://cdn.example:8080/a%20b/x/3.jpg'],
      ['dog', 'https://host/other/dog/2.jpg'],
    ])
  })

  test.each([
    [[], 'it lists no files'],
    ['"cat/1.jpg"', 'not a list of files'],
    ['<!doctype html><title>home</title>', 'not a list of files\n  text  <!doctype html><title>home</title>'],
    [['cat/1.jpg', 7], 'not a list of files\n  entry 1  7'],
    [['cat\\1.jpg'], 'an entry holds a backslash; folders are separated by /\n  entry 0  cat\\1.jpg'],
    [['cat/'], 'an entry is a folder, not a file'],
    [['../cat/1.jpg'], 'an entry leads out of the folder of the manifest'],
    [['file:///home/me/cat/1.jpg'], 'an entry is an address that is neither http nor https'],
    [['http://:99/cat/1.jpg'], 'an entry is not an address'],
    [[''], 'an entry names no file'],
    [['cat', 'cat/1.jpg'], 'an entry is a file, and a folder of others\n  entry 1  cat/1.jpg'],
    [`["a",${'['.repeat(100_000)}`, 'not a list of files'],
  ])('%j is refused', async (entries, message) => {
    const { files } = withManifest(entries)
    expect(await rejection(files.list(''))).toContain(`manifest.json: ${message}`)
  })

  test('is asked for again after the server did not answer', async () => {
    const { files, asked } = withManifest(503, ['cat/1.jpg'])
    expect(await rejection(files.list(''))).toContain('the server answered 503')
    expect(await files.list('cat')).toEqual([{ name: '1.jpg', kind: 'file' }])
    expect(await files.exists('cat/1.jpg')).toBe(true)
    expect(asked.length).toBe(2)
  })

  test('of many files in many folders is gone through once', async () => {
    const { files } = withManifest(Array.from({ length: 100_000 }, (_, i) => `class ${i % 4000}/${i}.jpg`))
    const platform = { files, log: () => {} } as unknown as Platform
    expect((await getImageFiles('', { platform })).length).toBe(100_000)
  })
})

/** As much of the File System API as a folder in memory needs. */
class Folder {
  readonly kind = 'directory'
  readonly entries = new Map<string, Folder | Leaf>()
  readonly name: string
  constructor(name: string) {
    this.name = name
  }

  getDirectoryHandle(name: string, options?: { create?: boolean }): Promise<Folder> {
    return this.get(name, Folder, options)
  }
  getFileHandle(name: string, options?: { create?: boolean }): Promise<Leaf> {
    return this.get(name, Leaf, options)
  }
  async *values(): AsyncGenerator<Folder | Leaf> {
    yield* this.entries.values()
  }
  removeEntry(name: string): Promise<void> {
    const there = this.entries.delete(name)
    return there ? Promise.resolve() : Promise.reject(new DOMException('none', 'NotFoundError'))
  }

  private get<T extends Folder | Leaf>(
    name: string,
    kind: new (name: string) => T,
    options?: { create?: boolean },
  ): Promise<T> {
    const known = this.entries.get(name)
    if (known instanceof kind) return Promise.resolve(known)
    if (known !== undefined) return Promise.reject(new DOMException('other kind', 'TypeMismatchError'))
    if (options?.create !== true) return Promise.reject(new DOMException('none', 'NotFoundError'))
    const made = new kind(name)
    this.entries.set(name, made)
    return Promise.resolve(made)
  }
}

class Leaf {
  readonly kind = 'file'
  readonly name: string
  private content = new Blob([])
  constructor(name: string) {
    this.name = name
  }
  /** Thrown by the part of writing that it is given for. */
  static fault: Partial<Record<'createWritable' | 'write' | 'close', DOMException>> = {}

  getFile(): Promise<Blob> {
    return Promise.resolve(this.content)
  }
  createWritable(): Promise<{ write(part: BlobPart): Promise<void>; close(): Promise<void> }> {
    const parts: BlobPart[] = []
    const { createWritable, write, close } = Leaf.fault
    if (createWritable) return Promise.reject(createWritable)
    return Promise.resolve({
      write: (part) => {
        parts.push(part)
        return write ? Promise.reject(write) : Promise.resolve()
      },
      close: () => {
        if (close) return Promise.reject(close)
        this.content = new Blob(parts)
        return Promise.resolve()
      },
    })
  }
}

describe('a PNG in a page', () => {
  const parts = { width: 300, height: 300, depth: 8, colourType: 2 } as const
  const rows = Uint8Array.from({ length: 300 * 901 }, (_, i) => (i % 901 === 0 ? (i / 901) % 5 : (i * i) % 251))
  const file = pngFile({ ...parts, rows })
  // What the browser's decoder gets. Node's takes its place here.
  let handedOn: Uint8Array[] = []
  beforeEach(() => {
    handedOn = []
    vi.stubGlobal('createImageBitmap', async (blob: Blob) => {
      const bytes = new Uint8Array(await blob.arrayBuffer())
      handedOn.push(bytes)
      return { ...(await decodeImage('bitmap', bytes, nodeReader)), close() {} }
    })
    vi.stubGlobal(
      'OffscreenCanvas',
      class {
        private drawn: Uint8Array | undefined
        getContext() {
          return {
            drawImage: ({ data }: Pixels) => {
              this.drawn = data
            },
            getImageData: () => ({ data: this.drawn }),
          }
        }
      },
    )
  })
  const decode = (bytes: Uint8Array) => decodeImage('a.png', bytes, pngReader)

  test('gets to the decoder with all its rows, and no more than it needs', async () => {
    const { data } = await decode(file)
    expect(data).toEqual((await decodeImage('a.png', file, nodeReader)).data)
    expect(data.length).toBe(300 * 300 * 4)
    const comment = Uint8Array.from([0, 0, 0, 1, ...new TextEncoder().encode('tEXt'), 65, 0, 0, 0, 0])
    await decode(Uint8Array.from([...file.subarray(0, 33), ...comment, ...file.subarray(33), 1, 2, 3]))
    expect(handedOn[1]).toEqual(file)
    const behind = pngFile({ ...parts, rows: Uint8Array.from([...rows, ...new Uint8Array(6e4)]) })
    expect((await decode(behind)).data).toEqual(data)
  })

  test('does not get there damaged', async () => {
    expect(await rejection(decode(pngFile({ ...parts, rows: rows.subarray(0, -1) })))).toContain('rows are missing')
    expect(await rejection(decode(pngFile({ ...parts, rows: rows.with(901, 5) })))).toContain(
      'a damaged PNG (there is no filter 5)',
    )
    const damaged = file.slice()
    damaged.fill(0xff, 100, 200)
    expect(await rejection(decode(damaged))).toContain('the checksum of its IDAT chunk is wrong')
    const data = 8 + 25
    const end = data + 12 + new DataView(damaged.buffer).getUint32(data)
    new DataView(damaged.buffer).setUint32(end - 4, crc32(damaged.subarray(data + 4, end - 4)))
    expect(await rejection(decode(damaged))).toContain('a.png: a damaged PNG')
    expect(await rejection(decodeImage('a.png', damaged, nodeReader))).toContain('a.png: a damaged PNG')
    expect(handedOn).toEqual([])
  })
})

test('files of a folder handle', async () => {
  const files = folderFiles(new Folder('') as unknown as FileSystemDirectoryHandle)
  await files.write('runs/b.txt', 'grün')
  await files.write('runs/a/x', Uint8Array.of(1, 2))
  expect(await files.list('runs')).toEqual([
    { name: 'a', kind: 'folder' },
    { name: 'b.txt', kind: 'file' },
  ])
  expect(await files.readText('runs/b.txt')).toBe('grün')
  expect(await files.read('runs/a/x')).toEqual(Uint8Array.of(1, 2))
  expect(await Promise.all(['runs', 'runs/b.txt', 'runs/c'].map((path) => files.exists(path)))).toEqual([
    true,
    true,
    false,
  ])
  expect(await rejection(files.read('runs/c'))).toBe('runs/c: no such file or folder')
  expect(await rejection(files.read('runs/a'))).toBe('runs/a: a folder where a file is expected, or the reverse')
})

test('files of one path that were added under two names are two files', async () => {
  const files = new PageFiles(memoryFiles())
  const names = ['a', 'b'].map((name) => files.mount(blobFiles(new Map([['cat/1.jpg', new Blob([name])]])), name))
  const ids = await Promise.all(names.map(async (name) => (await files.glance(`${name}/cat/1.jpg`, 4))?.id))
  expect(ids).toEqual(['a/cat/1.jpg', 'b/cat/1.jpg'])
})

test('a file of a folder handle that has changed since is refused with its path', async () => {
  const root = new Folder('')
  const files = folderFiles(root as unknown as FileSystemDirectoryHandle)
  await files.write('cat.txt', 'a cat')
  const changed = new Blob(['a dog'])
  changed.arrayBuffer = () => Promise.reject(new DOMException('it has changed', 'NotReadableError'))
  const leaf = await root.getFileHandle('cat.txt')
  leaf.getFile = () => Promise.resolve(changed)
  for (const reading of [files.read('cat.txt'), files.readText('cat.txt')]) {
    const error: unknown = await reading.catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(DataError)
    expect(String(error)).toContain('cat.txt: the file cannot be read\n  reason  it has changed')
  }
})

test('a file of a folder handle that cannot be removed from its folder is not moved to another', async () => {
  const root = new Folder('')
  const files = folderFiles(root as unknown as FileSystemDirectoryHandle)
  await files.write('cat/1.txt', 'a cat')
  await files.write('dog/2.txt', 'a dog')
  const cats = await root.getDirectoryHandle('cat')
  cats.removeEntry = () => Promise.reject(new DOMException('locked', 'NoModificationAllowedError'))
  expect(await rejection(files.move!('cat/1.txt', 'dog/1.txt'))).toContain('cat/1.txt: the file is being written')
  expect(await files.list('dog')).toEqual([{ name: '2.txt', kind: 'file' }])
  expect(await files.readText('cat/1.txt')).toBe('a cat')
})

test('several may try at the same time whether a file of a folder handle can be written', async () => {
  const files = folderFiles(new Folder('') as unknown as FileSystemDirectoryHandle)
  await Promise.all(Array.from({ length: 3 }, () => files.requireWritable!('runs/model.st')))
  expect(await files.list('runs')).toEqual([])
})

describe('a file that cannot be written', () => {
  afterEach(() => {
    Leaf.fault = {}
  })

  test.each(['createWritable', 'write', 'close'] as const)('leaves what there was, as %s fails', async (part) => {
    const files = folderFiles(new Folder('') as unknown as FileSystemDirectoryHandle)
    await files.write('runs/old', 'old')
    Leaf.fault = { [part]: new DOMException('full', 'QuotaExceededError') }
    expect(await rejection(files.write('runs/old', 'new'))).toMatch(/^runs\/old: no space left for this page: remove/)
    expect(await rejection(files.write('runs/new', 'new'))).toContain('runs/new: no space left')
    if (part !== 'write') expect(await rejection(files.requireWritable!('runs/new'))).toContain('no space left')
    expect(await rejection(files.move!('runs/old', 'runs/new'))).toContain('runs/new: no space left')
    expect(await files.list('runs')).toEqual([{ name: 'old', kind: 'file' }])
    expect(await files.readText('runs/old')).toBe('old')
  })

  test('has a reason also where a browser keeps nothing', async () => {
    const refused = () => Promise.reject(new DOMException('Security error when calling GetDirectory', 'SecurityError'))
    vi.stubGlobal('navigator', { storage: { getDirectory: refused } })
    expect(await rejection(storageFiles('models').list(''))).toMatch(
      /^models: this browser keeps no files for this page/,
    )
    expect(await rejection(storageFiles().write('a', ''))).toMatch(
      /^the files of this page: this browser keeps no files/,
    )
    const full = new Folder('')
    full.getDirectoryHandle = () => Promise.reject(new DOMException('full', 'QuotaExceededError'))
    vi.stubGlobal('navigator', { storage: { getDirectory: () => Promise.resolve(full) } })
    expect(await rejection(storageFiles('models').list(''))).toMatch(/^models: no space left for this page/)
    vi.stubGlobal('navigator', {})
    expect(await rejection(storageFiles().list(''))).toMatch(/^the files of this page: this browser keeps no files/)
  })
})

test('the platform of a page', async () => {
  vi.stubGlobal('location', new URL('https://host/train.html?DEBUG=2&SEED='))
  vi.stubGlobal('navigator', { hardwareConcurrency: 8, userAgent: 'Old Browser 1.0' })
  vi.stubGlobal('isSecureContext', false)
  const platform = createBrowserPlatform()
  expect([platform.env('DEBUG'), platform.env('SEED'), platform.env('GPU')]).toEqual(['2', undefined, undefined])
  expect(platform.decoder.threads).toBe(7)
  expect(platform.status).toBeUndefined()
  expect(await platform.waitFor(Promise.resolve(1))).toBe(1)
  expect(() => browserGpu()).toThrow(DeviceError)
  expect(() => platform.gpu()).toThrow('Old Browser 1.0')
  expect(platform.adapterAdvice()).toContain('a browser with WebGPU')
})

test('without a page, as in Deno, files are those in memory, and there are no settings', async () => {
  vi.stubGlobal('location', undefined)
  vi.stubGlobal('navigator', { hardwareConcurrency: 2, userAgent: 'Deno/2.9.6' })
  const platform = createBrowserPlatform({ threads: 0 })
  expect(platform.env('DEBUG')).toBeUndefined()
  await platform.files.write('a/b.txt', 'kept')
  expect(await platform.files.readText('a/b.txt')).toBe('kept')
})
