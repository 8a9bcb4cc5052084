import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import promises from 'node:fs/promises'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { syncBuiltinESMExports } from 'node:module'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { Header } from 'tar'
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { DataError } from '../../src/base/errors.ts'
import { dataHome, untarData } from '../../src/data/untar-data.ts'
import type { UntarOptions } from '../../src/data/untar-data.ts'
import { archiveChecks, urls } from '../../src/data/urls.ts'
import { markOf } from '../../src/platform/node/process-mark.ts'
import { datasets } from '../../src/platform/node/archive.ts'
import { nodeFiles } from '../../src/platform/node/files.ts'
import type { ArchiveCheck, Platform } from '../../src/platform/platform.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => void

let home = ''
let server: Server
let address = ''
let requests: IncomingMessage['headers'][] = []
let answer: Handler = () => {}
let printed: string[] = []
let archive: Buffer
let expected: ArchiveCheck

const part = () => join(home, 'archive', 'shapes.tgz.part')
const kept = () => join(home, 'archive', 'shapes.tgz')
const folder = () => join(home, 'data', 'shapes')
const untar = (options: UntarOptions = {}) =>
  untarData(`${address}/shapes.tgz`, {
    expected,
    patience: { stallMs: 20_000, pauseMs: 1 },
    platform: platform(),
    ...options,
  })

function platform(): Platform {
  const env = (name: string) => (name === 'FASTAI_HOME' ? home : undefined)
  const stub = {
    name: 'node',
    files: nodeFiles,
    datasets,
    env,
    now: () => performance.now(),
    log: (line: string) => printed.push(line),
    status: undefined,
  }
  return stub as unknown as Platform
}

beforeAll(() => {
  // Contents that gzip cannot shrink, as JPEG files are: the archive passes the first MiB, which the check covers.
  const noise = (name: string) =>
    Buffer.concat(Array.from({ length: 40_000 }, (_, i) => createHash('md5').update(`${name}${i}`).digest()))
  archive = tgz([
    ['shapes/', ''],
    ['shapes/train/disc/a.jpg', noise('a')],
    ['shapes/train/ring/b.jpg', noise('b')],
    ['shapes/val/disc/c.jpg', 'c'],
  ])
  expected = checkOf(archive)
})

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'wgrad-untar-'))
  requests = []
  printed = []
  answer = serve()
  for (const name of ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy']) vi.stubEnv(name, '')
  server = createServer((request, response) => {
    requests.push(request.headers)
    answer(request, response)
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterEach(() => {
  vi.unstubAllEnvs()
  vi.unstubAllGlobals()
  server.closeAllConnections()
  server.close()
  rmSync(home, { recursive: true, force: true })
})

describe('untarData', () => {
  test('fetches, checks and unpacks', async () => {
    expect(await untar()).toBe(folder())
    expect(tree(folder())).toEqual(['train/disc/a.jpg', 'train/ring/b.jpg', 'val/disc/c.jpg'])
    expect(statSync(join(folder(), 'train/disc/a.jpg')).size).toBe(640_000)
    expect(readdirSync(join(home, 'archive'))).toEqual(['shapes.tgz'])
    expect(readdirSync(join(home, 'data'))).toEqual(['shapes'])
    expect(printed.map((line) => line.replace(/ in .*/, ''))).toEqual([
      'downloaded shapes.tgz: 1.22 MiB',
      `unpacked to ${folder()}: 1.22 MiB`,
    ])
  })

  test('makes no request when the folder is there', async () => {
    mkdirSync(folder(), { recursive: true })
    expect(await untar()).toBe(folder())
    expect(requests).toEqual([])
    expect(printed).toEqual([])
  })

  test('makes no request when the right archive is there', async () => {
    mkdirSync(dirname(kept()))
    writeFileSync(kept(), archive)
    await untar()
    expect(requests).toEqual([])
    expect(existsSync(join(folder(), 'val/disc/c.jpg'))).toBe(true)
  })

  test('replaces an archive of another version, saying so', async () => {
    mkdirSync(dirname(kept()))
    writeFileSync(kept(), 'an old one')
    await untar()
    expect(printed[0]).toBe(
      `${kept()} is another version than the one known (10 bytes instead of ${archive.length}): fetching it again`,
    )
    expect(readFileSync(kept()).equals(archive)).toBe(true)
  })

  test('replaces an archive of the same size that begins otherwise', async () => {
    mkdirSync(dirname(kept()))
    writeFileSync(kept(), Buffer.from(archive).fill(1, 500, 600))
    await untar({ expected: { sizeBytes: expected.sizeBytes, md5: expected.md5 } })
    expect(requests.length).toBe(1)
    expect(readFileSync(kept()).equals(archive)).toBe(true)
  })

  test('fetches and unpacks once for two that ask at once', async () => {
    expect(await Promise.all([untar(), untar()])).toEqual([folder(), folder()])
    expect(printed.filter((line) => line.startsWith('unpacked to'))).toHaveLength(1)
    expect(requests).toHaveLength(1)
  })

  test('fetches and unpacks again when forced', async () => {
    await untar()
    writeFileSync(join(folder(), 'mine.txt'), 'x')
    await untar({ force: true })
    expect(requests.length).toBe(2)
    expect(tree(folder())).toEqual(['train/disc/a.jpg', 'train/ring/b.jpg', 'val/disc/c.jpg'])
  })

  test('reports the bytes of both stages', async () => {
    const seen: [string, number, number | undefined][] = []
    await untar({ onBytes: (...bytes) => seen.push(bytes) })
    for (const stage of ['download', 'extract']) {
      expect(seen.filter(([what]) => what === stage).at(-1)).toEqual([stage, archive.length, archive.length])
    }
    expect(printed).toEqual([])
  })

  test.each(['download', 'extract'])('ends with the failure of the function that is told of the %s', async (stage) => {
    const onBytes = (what: string): void => {
      if (what === stage) throw new Error('no more of it')
    }
    await expect(untar({ onBytes })).rejects.toThrow('onBytes: the function failed (Error: no more of it)')
    expect([requests.length, existsSync(join(home, 'data')) ? readdirSync(join(home, 'data')) : []]).toEqual([1, []])
    await untar()
    expect(tree(folder())).toHaveLength(3)
  })

  test('refuses an address that is no archive', async () => {
    await expect(untarData('https://example.org/images.zip', { platform: platform() })).rejects.toThrow(
      'untarData: this is not the address of an archive',
    )
  })

  test('knows size and digests of every address it offers', () => {
    expect([...archiveChecks.keys()].sort()).toEqual(Object.values(urls).sort())
    expect(archiveChecks.get(urls.imagenette160)).toEqual({
      sizeBytes: 99_003_388,
      md5: 'c475f8f7617a200ba35b9facc48443c3',
      sha256: '64d0c4859f35a461889e0147755a999a48b49bf38a7e0f9bd27003f10db02fe5',
    })
  })
})

describe('a connection that is cut', () => {
  test('is made again for the rest only', async () => {
    answer = serve({ cutAt: [700_000, 1_000_000] })
    await untar()
    expect(requests.map(({ range }) => range)).toEqual([undefined, 'bytes=700000-', 'bytes=1000000-'])
    expect(requests.map((headers) => headers['if-range'])).toEqual([undefined, '"v1"', '"v1"'])
    expect(readFileSync(kept()).equals(archive)).toBe(true)
  })

  test('is made again as often as it brings something', async () => {
    answer = serve({ cutAt: [100_000, 200_000, 300_000, 400_000, 500_000, 600_000, 700_000] })
    await untar()
    expect(requests).toHaveLength(8)
    expect(readFileSync(kept()).equals(archive)).toBe(true)
  })

  test('counts as silent only while nothing arrives, however long all of it takes', async () => {
    const send = async (response: ServerResponse) => {
      response.writeHead(200, { 'content-length': archive.length, etag: '"v1"' })
      for (let at = 0; at < archive.length; at += 100_000) {
        response.write(archive.subarray(at, at + 100_000))
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
      response.end()
    }
    answer = (_request, response) => void send(response)
    await untar({ patience: { stallMs: 700, pauseMs: 1 } })
    expect(requests).toHaveLength(1)
  })

  test('leaves its part for the next run', async () => {
    answer = serve({ cutAt: [500_000, 500_000, 500_000, 500_000, 500_000] })
    const error = await untar().catch((e: unknown) => e)
    expect(error).toBeInstanceOf(DataError)
    expect((error as Error).message).toContain(`488 KiB in ${part()}; the next run goes on from there`)
    expect(statSync(part()).size).toBe(500_000)
    expect(existsSync(folder())).toBe(false)

    requests = []
    answer = serve()
    await untar()
    expect(requests.map(({ range }) => range)).toEqual(['bytes=500000-'])
    expect(readFileSync(kept()).equals(archive)).toBe(true)
    expect(readdirSync(join(home, 'archive'))).toEqual(['shapes.tgz'])
  })

  test('needs room for the rest only, and for all of it', async () => {
    const rest = archive.length - 500_000
    let freeBytes = archive.length - 1
    const statfs = promises.statfs
    const limited = vi.spyOn(promises, 'statfs').mockImplementation(async (path) => {
      const there = await statfs(path)
      // Where it is unpacked there is as much as there is.
      return dirname(kept()) === path ? Object.assign(there, { blocks: 1e9, bsize: 1, bavail: freeBytes }) : there
    })
    syncBuiltinESMExports()
    try {
      await expect(untar()).rejects.toThrow('too little room on the disk')
      expect(existsSync(part())).toBe(false)
      freeBytes = archive.length
      answer = serve({ cutAt: Array<number>(5).fill(500_000) })
      await expect(untar()).rejects.toThrow('the next run goes on from there')
      answer = serve()
      freeBytes = rest - 1
      await expect(untar()).rejects.toThrow('too little room on the disk')
      freeBytes = rest
      await untar()
    } finally {
      limited.mockRestore()
      syncBuiltinESMExports()
    }
    expect(readFileSync(kept()).equals(archive)).toBe(true)
  })

  test('that is refused ends its connection, whatever the server still sends', async () => {
    let closed = 0
    answer = (_request, response) => {
      response.on('close', () => closed++)
      response.writeHead(404)
      response.write('a page without end')
    }
    await expect(untar()).rejects.toThrow('the server answered 404')
    await vi.waitFor(() => expect(closed).toBe(1))
  })

  test('begins anew when the file has changed meanwhile', async () => {
    const old = serve({ cutAt: [500_000], etag: '"v0"', content: Buffer.alloc(archive.length) })
    const now = serve()
    answer = (request, response) => (requests.length === 1 ? old : now)(request, response)
    await untar()
    expect(requests.map((headers) => headers['if-range'])).toEqual([undefined, '"v0"'])
    expect(readFileSync(kept()).equals(archive)).toBe(true)
  })

  test('begins anew on a server without ranges', async () => {
    answer = serve({ cutAt: [500_000], ranges: false })
    await untar()
    expect(requests.length).toBe(2)
    expect(readFileSync(kept()).equals(archive)).toBe(true)
  })

  test.each(['', 'W/"v1"'])(
    'begins anew where the server names no version of the file to the bit: %o',
    async (etag) => {
      answer = serve({ cutAt: [500_000], etag })
      await untar()
      expect(requests.map(({ range }) => range)).toEqual([undefined, undefined])
      expect(readFileSync(kept()).equals(archive)).toBe(true)
    },
  )

  test.each([
    ['the note of the version is broken', '{"url":'],
    ['the part is of another address', '{"url":"https://example.org/shapes.tgz","validator":"\\"v1\\""}'],
  ])('begins anew when %s', async (_name, note) => {
    answer = serve({ cutAt: [500_000, 500_000, 500_000, 500_000, 500_000] })
    await untar().catch(() => {})
    writeFileSync(`${part()}.json`, note)
    requests = []
    answer = serve()
    await untar()
    expect(requests.map(({ range }) => range)).toEqual([undefined])
    expect(readFileSync(kept()).equals(archive)).toBe(true)
  })

  test('begins anew when the server sends another part than asked for', async () => {
    const good = serve({ cutAt: [500_000] })
    answer = (request, response) => {
      if (requests.length !== 2) return good(request, response)
      response
        .writeHead(206, { 'content-range': `bytes 0-9/${archive.length}`, 'content-length': 10 })
        .end(archive.subarray(0, 10))
    }
    await untar()
    expect(requests.map(({ range }) => range)).toEqual([undefined, 'bytes=500000-', undefined])
    expect(readFileSync(kept()).equals(archive)).toBe(true)
  })

  test('is given up when silent, and made again', async () => {
    const good = serve()
    answer = (request, response) => {
      if (requests.length > 1) return good(request, response)
      response.writeHead(200, { 'content-length': archive.length, etag: '"v1"' }).write(archive.subarray(0, 300_000))
    }
    await untar({ patience: { stallMs: 300, pauseMs: 1 } })
    expect(requests.map(({ range }) => range)).toEqual([undefined, 'bytes=300000-'])
    expect(readFileSync(kept()).equals(archive)).toBe(true)
  })

  test('is made again after a server error', async () => {
    const good = serve()
    answer = (request, response) => (requests.length < 3 ? response.writeHead(503).end() : good(request, response))
    await untar()
    expect(requests.length).toBe(3)
  })

  test('a part that is complete already is taken as it is', async () => {
    answer = serve({ cutAt: [500_000, 500_000, 500_000, 500_000, 500_000] })
    await untar().catch(() => {})
    writeFileSync(part(), archive)
    answer = serve()
    await untar()
    expect(readFileSync(kept()).equals(archive)).toBe(true)
  })
})

describe('what cannot be had', () => {
  test('no network: what was tried, and what to do', async () => {
    server.closeAllConnections()
    await new Promise((closed) => server.close(closed))
    await expect(untar()).rejects.toThrow(`${address}/shapes.tgz: could not be downloaded
  tried  2 times in a row; the last time: connect ECONNREFUSED ${address.slice('http://'.length)}
  Fix: check the network, or put shapes.tgz into ${dirname(kept())} yourself, or use images that are here (--data DIR of the commands)`)
  })

  test.each([
    ['behind a proxy that Node does not use', 'getaddrinfo ENOTFOUND', 'ENOTFOUND', 'set NODE_USE_ENV_PROXY=1'],
    ['a certificate of a company', 'self-signed', 'SELF_SIGNED_CERT_IN_CHAIN', 'set NODE_EXTRA_CA_CERTS to the file'],
  ])('%s: what Node needs', async (_, message, code, fix) => {
    vi.stubEnv('HTTPS_PROXY', 'http://proxy.example:3128')
    // As undici reports it.
    const cause = Object.assign(new Error(message), { code })
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('fetch failed', { cause })))
    await expect(untar()).rejects.toThrow(fix)
    await expect(datasets.headers('https://hub.example/file')).rejects.toThrow(fix)
    vi.stubEnv('NODE_USE_ENV_PROXY', '1')
    if (code === 'ENOTFOUND') await expect(untar()).rejects.toThrow('Fix: check the network, or put')
  })

  test('a missing file is not asked for twice', async () => {
    answer = (_request, response) => response.writeHead(404).end()
    await expect(untar()).rejects.toThrow(`${address}/shapes.tgz: the server answered 404 Not Found`)
    expect(requests.length).toBe(1)
  })

  test('another size is refused before it is fetched', async () => {
    await expect(untar({ expected: { ...expected, sizeBytes: 5 } })).rejects.toThrow(
      'the file on the server is not the one this release knows',
    )
    expect(existsSync(part())).toBe(false)
  })

  test('another size without a length is refused afterwards', async () => {
    answer = (_request, response) => {
      response.writeHead(200, { 'transfer-encoding': 'chunked' })
      response.end(archive.subarray(0, 9))
    }
    await expect(untar()).rejects.toThrow('what arrived is not the expected archive; it was deleted')
    expect(readdirSync(join(home, 'archive'))).toEqual([])
  })

  test('another content is refused', async () => {
    const other = Buffer.from(archive)
    other[5000] ^= 1
    answer = serve({ content: other })
    await expect(untar()).rejects.toThrow(`expected ${archive.length} bytes, ${expected.md5}, ${expected.sha256}`)
    expect(readdirSync(join(home, 'archive'))).toEqual([])
  })

  test('another content behind the first MiB is refused too, fetched or found', async () => {
    const other = Buffer.from(archive)
    other[archive.length - 9] ^= 1
    answer = serve({ content: other })
    await expect(untar()).rejects.toThrow('what arrived is not the expected archive; it was deleted')
    expect(readdirSync(join(home, 'archive'))).toEqual([])
    // What cannot be told by its beginning, but is a sound archive.
    const sound = tgz([['shapes/a.jpg', Buffer.alloc(9)]])
    writeFileSync(kept(), sound)
    const error = untar({ expected: { ...checkOf(sound), sha256: expected.sha256 } })
    await expect(error).rejects.toThrow(`${kept()}: was not unpacked: this is not the expected archive`)
    expect(readdirSync(join(home, 'data'))).toEqual([])
  })

  test('an address of https that leads to one of http is not followed', async () => {
    const asked: string[] = []
    vi.stubGlobal('fetch', (url: URL) => {
      asked.push(String(url))
      return Promise.resolve(
        new Response(null, {
          status: 302,
          headers: { location: asked.length === 1 ? '/next/shapes.tgz' : 'http://example.org/shapes.tgz' },
        }),
      )
    })
    await expect(untarData('https://example.org/shapes.tgz', { platform: platform() })).rejects.toThrow(
      'https://example.org/shapes.tgz: the server leads to an address without encryption\n  from  https://example.org/next/shapes.tgz\n  to    http://example.org/shapes.tgz',
    )
    expect(asked).toEqual(['https://example.org/shapes.tgz', 'https://example.org/next/shapes.tgz'])
    vi.unstubAllGlobals()
    const good = serve()
    answer = (request, response) =>
      requests.length < 3 ? response.writeHead(307, { location: '/shapes.tgz' }).end() : good(request, response)
    await untar()
    answer = (_request, response) => response.writeHead(302, { location: '/shapes.tgz' }).end()
    await expect(untar({ force: true })).rejects.toThrow('the server leads on after 20 redirects')
  })

  test('a folder that cannot be made', async () => {
    writeFileSync(join(home, 'archive'), 'a file in the way')
    await expect(untar()).rejects.toBeInstanceOf(DataError)
  })
})

describe('an archive that is not unpacked', () => {
  const unpack = async (content: Buffer) => {
    mkdirSync(dirname(kept()))
    writeFileSync(kept(), content)
    const error = await untar({ expected: checkOf(content) }).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(DataError)
    expect(existsSync(join(home, 'data')) ? readdirSync(join(home, 'data')) : []).toEqual([])
    return (error as Error).message
  }

  test('corrupted', async () => {
    const corrupted = Buffer.from(archive)
    corrupted.fill(0x55, 600_000, 601_000)
    expect(await unpack(corrupted)).toContain(`${kept()}: cannot be unpacked`)
  })

  test('cut off', async () => {
    expect(await unpack(archive.subarray(0, 900_000))).toContain(`${kept()}: cannot be unpacked`)
  })

  test('cut off while many of its files are being written', async () => {
    const files = Array.from({ length: 600 }, (_, i): Entry => [`shapes/${i % 20}/${i}.jpg`, randomBytes(4000)])
    const many = tgz(files)
    for (const part of [0.3, 0.6, 0.9]) {
      rmSync(home, { recursive: true })
      mkdirSync(home)
      expect(await unpack(many.subarray(0, part * many.length))).toContain(`${kept()}: cannot be unpacked`)
    }
  })

  test('cut off between two of its files', async () => {
    expect(
      await unpack(
        tgz(
          [
            ['shapes/a.jpg', 'a'],
            ['shapes/b.jpg', 'b'],
          ],
          0,
        ),
      ),
    ).toContain(`${kept()}: cannot be unpacked\n  reason  it is cut off: its end is missing`)
  })

  test('not an archive', async () => {
    expect(await unpack(Buffer.from('<html>sign in</html>'.repeat(100)))).toContain(`${kept()}: cannot be unpacked`)
  })

  test('empty', async () => {
    expect(await unpack(tgz([]))).toContain(kept())
  })

  test.each([
    '../evil.txt',
    'shapes/../../evil.txt',
    '/tmp/wgrad-evil.txt',
    'shapes\\..\\..\\evil.txt',
    'C:\\evil.txt',
  ])('writing outside its folder: %s', async (path) => {
    expect(
      await unpack(
        tgz([
          ['shapes/a.jpg', 'a'],
          [path, 'evil'],
        ]),
      ),
    ).toBe(
      `${kept()}: was not unpacked: ${path} lies outside the archive's folder\n  Fix: use another archive; this one is not to be trusted`,
    )
    expect(existsSync(join(home, 'evil.txt'))).toBe(false)
    expect(existsSync('/tmp/wgrad-evil.txt')).toBe(false)
  })

  test('holding a link', async () => {
    expect(
      await unpack(
        tgz([
          ['shapes/a.jpg', 'a'],
          ['shapes/link', '', '/etc/passwd'],
        ]),
      ),
    ).toContain('shapes/link is a SymbolicLink, neither file nor folder')
  })
})

describe('unpacking', () => {
  test('keeps all of an archive with several folders', async () => {
    answer = serve({
      content: tgz([
        ['train/a.jpg', 'a'],
        ['val/b.jpg', 'b'],
      ]),
    })
    await untarData(`${address}/shapes.tgz`, { platform: platform() })
    expect(tree(folder())).toEqual(['train/a.jpg', 'val/b.jpg'])
  })

  test('keeps permissions that its files need, and none to run as somebody else', async () => {
    answer = serve({
      content: tgz([
        ['shapes/', '', undefined, 0o7555],
        ['shapes/tool', 'x', undefined, 0o6755],
        ['shapes/secret', 'x', undefined, 0],
      ]),
    })
    await untarData(`${address}/shapes.tgz`, { platform: platform() })
    const modeOf = (...path: string[]) => statSync(join(folder(), ...path)).mode & 0o7777
    expect([modeOf(), modeOf('tool'), modeOf('secret')].map((mode) => mode.toString(8))).toEqual(['755', '755', '600'])
  })

  test('ends every time, however the reading and the writing of files meet', async () => {
    writeFileSync(
      join(home, 'small.tgz'),
      tgz([
        ['train/a.jpg', 'a'],
        ['val/b.jpg', 'b'],
      ]),
    )
    // A race once let one in a hundred or so wait for ever.
    for (let i = 0; i < 500; i++) await datasets.extract(join(home, 'small.tgz'), folder())
    expect(tree(folder())).toEqual(['train/a.jpg', 'val/b.jpg'])
  })

  test('removes what a killed process has left, and nothing of a living one or of another machine', async () => {
    const left = join(home, 'data', `.shapes.${markOf(999_999_999)}.part`)
    const inUse = join(home, 'data', `.shapes.${markOf(process.ppid)}.part`)
    const elsewhere = join(home, 'data', '.shapes.00000000-12-34.part')
    for (const one of [left, inUse, elsewhere]) mkdirSync(one, { recursive: true })
    await untar()
    expect([left, inUse, elsewhere].map((one) => existsSync(one))).toEqual([false, true, true])
  })
})

describe('several processes at once', () => {
  const built = new URL('../../dist/src/', import.meta.url).href
  /** Fetches the data set in a process of its own, and then reads all of it. Prints what it logs. */
  const program = () => `
    import { readdirSync, readFileSync, statSync } from 'node:fs'
    import { untarData } from '${built}data/untar-data.js'
    import { createNodePlatform } from '${built}platform/node/index.js'
    const folder = await untarData('${address}/shapes.tgz', {
      home: '${home}', expected: ${JSON.stringify(expected)}, patience: { stallMs: 20000, pauseMs: 1 }, platform: createNodePlatform({ threads: 0 }),
    })
    const until = Date.now() + 500
    do {
      const files = readdirSync(folder, { recursive: true }).map((name) => folder + '/' + name).filter((path) => statSync(path).isFile())
      if (files.map((path) => readFileSync(path).length).reduce((a, b) => a + b) !== 1280001) throw new Error('a file is missing')
    } while (Date.now() < until)`
  const start = () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program()])
    let said = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data: Buffer) => {
        said += data.toString()
      })
    }
    const ended = new Promise<{ code: number | null; said: string }>((resolve) =>
      child.on('close', (code) => resolve({ code, said })),
    )
    return { child, ended }
  }

  test('fetch and unpack once, and none takes from another what it reads', async () => {
    const good = serve()
    answer = (request, response) => void setTimeout(() => good(request, response), 300)
    const all = await Promise.all(Array.from({ length: 4 }, start).map(({ ended }) => ended))
    expect(all.map(({ code, said }) => [code, said.includes('Error')])).toEqual(Array(4).fill([0, false]))
    expect(requests.length).toBe(1)
    expect(
      all.filter(({ said }) => /process \d+ is at work on shapes\.tgz: waiting for it/.test(said)).length,
    ).toBeGreaterThan(0)
    expect([readdirSync(join(home, 'data')), readdirSync(join(home, 'archive'))]).toEqual([['shapes'], ['shapes.tgz']])
  })

  test('one that was killed is not waited for', async () => {
    const good = serve()
    const asked = new Promise<void>((resolve) => {
      // It gets a part, and then nothing any more.
      answer = (_request, response) => {
        response.writeHead(200, { 'content-length': archive.length, etag: '"v1"' }).write(archive.subarray(0, 300_000))
        resolve()
      }
    })
    const { child, ended } = start()
    await asked
    expect(readdirSync(join(home, 'data')).length).toBe(1)
    child.kill('SIGKILL')
    await ended
    answer = good
    await untar()
    expect(readdirSync(join(home, 'data'))).toEqual(['shapes'])
    expect(printed.some((line) => line.includes('waiting'))).toBe(false)
  })
})

describe('where data sets are kept', () => {
  const at = (env: Record<string, string>, given?: string) =>
    dataHome({ files: nodeFiles, env: (name: string) => env[name] } as unknown as Platform, given)

  test('in ~/.fastai, or FASTAI_HOME, or the folder named', async () => {
    expect(await at({ HOME: home })).toEqual({
      archive: join(home, '.fastai/archive'),
      data: join(home, '.fastai/data'),
      models: join(home, '.fastai/models'),
    })
    expect(await at({ HOME: home, FASTAI_HOME: '/big' })).toEqual({
      archive: '/big/archive',
      data: '/big/data',
      models: '/big/models',
    })
    expect(await at({ HOME: home, FASTAI_HOME: '/big' }, '~/mine')).toEqual({
      archive: join(home, 'mine/archive'),
      data: join(home, 'mine/data'),
      models: join(home, 'mine/models'),
    })
  })

  test("as fastai's config.ini says", async () => {
    writeFileSync(
      join(home, 'config.ini'),
      '[DEFAULT]\ndata = ~/images\narchive = packed\nstorage = tmp\nmodel = nets\n',
    )
    expect(await at({ HOME: '/user', FASTAI_HOME: home })).toEqual({
      archive: join(home, 'packed'),
      data: '/user/images',
      models: join(home, 'nets'),
    })
  })

  test('nowhere without a home folder', async () => {
    await expect(at({})).rejects.toThrow('untarData: no home folder is known')
  })
})

/** A server with ranges and a version tag, as S3 is; `cutAt` drops the n-th connection at that byte of the file. */
function serve({
  cutAt = [],
  etag = '"v1"',
  ranges = true,
  content,
}: { cutAt?: number[]; etag?: string; ranges?: boolean; content?: Buffer } = {}): Handler {
  let connection = 0
  return (request, response) => {
    const body = content ?? archive
    const asked = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
    const start = ranges && request.headers['if-range'] === etag ? asked : 0
    const cut = cutAt[connection++]
    if (start > 0 && start >= body.length) {
      response.writeHead(416, { 'content-range': `bytes */${body.length}` }).end()
      return
    }
    response.writeHead(start > 0 ? 206 : 200, {
      'content-length': body.length - start,
      ...(etag === '' ? {} : { etag }),
      ...(start > 0 ? { 'content-range': `bytes ${start}-${body.length - 1}/${body.length}` } : {}),
    })
    if (cut === undefined) response.end(body.subarray(start))
    else response.write(body.subarray(start, cut), () => void cutOnce(response, cut))
  }
}

/** Destroys a response once its reader has stored that many bytes: what is still on the way would be lost with it. */
async function cutOnce(response: ServerResponse, storedBytes: number): Promise<void> {
  await vi.waitFor(() => expect(statSync(part()).size).toBe(storedBytes), { timeout: 240_000, interval: 5 })
  // Time for the headers, where nothing follows them.
  setTimeout(() => response.destroy(), 20)
}

function checkOf(content: Buffer): ArchiveCheck {
  const sha256 = createHash('sha256').update(content).digest('hex')
  return {
    sizeBytes: content.length,
    sha256,
    md5: createHash('md5')
      .update(content.subarray(0, 2 ** 20))
      .digest('hex'),
  }
}

type Entry = [path: string, content: Buffer | string, link?: string, mode?: number]

/** A .tgz with these entries exactly: path, content, and for a link where it points. */
function tgz(entries: Entry[], end = 1024): Buffer {
  const blocks = entries.flatMap(([path, content, link, mode = 0o644]) => {
    const bytes = Buffer.from(content)
    const type = link !== undefined ? 'SymbolicLink' : path.endsWith('/') ? 'Directory' : 'File'
    const header = new Header({
      path,
      mode,
      size: bytes.length,
      type,
      ...(link === undefined ? {} : { linkpath: link }),
      mtime: new Date(0),
    })
    header.encode()
    return [header.block as Buffer, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]
  })
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(end)]))
}

function tree(path: string): string[] {
  return readdirSync(path, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1))
    .sort()
}
