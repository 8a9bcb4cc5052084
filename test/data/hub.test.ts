import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { hubModel, type HubOptions } from '../../src/data/hub.ts'
import { writeSafetensors } from '../../src/nn/safetensors.ts'
import { datasets } from '../../src/platform/node/archive.ts'
import { nodeFiles } from '../../src/platform/node/files.ts'
import type { Platform } from '../../src/platform/platform.ts'
import { readPretrained } from '../../src/train/files/pretrained.ts'

const NAME = 'timm/resnet18d.ra2_in1k'
const CONFIG = JSON.stringify({
  architecture: 'resnet18d',
  pretrained_cfg: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
})
const weights = Buffer.from(
  writeSafetensors(new Map([['fc.bias', { dtype: 'F32', shape: [3], data: Float32Array.of(1, 2, 3) }]])),
)
const digest = createHash('sha256').update(weights).digest('hex')

let home = ''
let server: Server
let requests: string[] = []
let printed: string[] = []
/** Bytes that the server sends as the weights. */
let content = weights
/** Digest that the server states in `x-linked-etag`. */
let tag: string | undefined = `"${digest}"`
/** Handler that may answer a request in place of the server; it returns true if it did. */
let intercept: (request: IncomingMessage, response: ServerResponse) => boolean = () => false

function platform(): Platform {
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const settings: Record<string, string> = { FASTAI_HOME: home, HF_ENDPOINT: `${address}/` }
  const stub = {
    name: 'node',
    files: nodeFiles,
    datasets,
    env: (name: string) => settings[name],
    now: () => performance.now(),
    log: (line: string) => printed.push(line),
    sha256: async (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex'),
    status: undefined,
  }
  return stub as unknown as Platform
}

const model = (options: HubOptions = {}, name = NAME) =>
  hubModel(name, { platform: platform(), patience: { stallMs: 20_000, pauseMs: 1 }, ...options })
const path = (file: string, revision = 'main') => join(home, 'models', 'timm', 'resnet18d.ra2_in1k', revision, file)

/** As the hub does: a large file is kept elsewhere, which a redirect with its size and digest leads to. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  requests.push(`${request.method} ${request.url}`)
  if (intercept(request, response)) return
  const [, revision, file] = /^\/timm\/resnet18d\.ra2_in1k\/resolve\/([^/]+)\/(.+)$/.exec(request.url!) ?? []
  if (request.url === '/lfs/weights') {
    response.writeHead(200, { 'content-length': content.length, etag: '"lfs"' })
    return void response.end(content)
  }
  if (file === 'config.json') return void response.writeHead(200, { etag: '"1234"' }).end(CONFIG)
  if (file === 'model.safetensors' && revision !== undefined) {
    const linked = tag === undefined ? {} : { 'x-linked-etag': tag, 'x-linked-size': weights.length }
    return void response.writeHead(302, { location: '/lfs/weights', ...linked }).end()
  }
  response.writeHead(404, 'Not Found').end()
}

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'wgrad-hub-'))
  requests = []
  printed = []
  content = weights
  tag = `"${digest}"`
  intercept = () => false
  server = createServer(answer)
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
})

afterEach(() => {
  server.closeAllConnections()
  server.close()
  rmSync(home, { recursive: true, force: true })
})

describe('hubModel', () => {
  test('fetches weights and their facts once, checked against the digest that the hub states', async () => {
    expect(await model()).toEqual({ weights: path('model.safetensors'), config: path('config.json') })
    expect(requests).toEqual([
      'GET /timm/resnet18d.ra2_in1k/resolve/main/config.json',
      'HEAD /timm/resnet18d.ra2_in1k/resolve/main/model.safetensors',
      'GET /timm/resnet18d.ra2_in1k/resolve/main/model.safetensors',
      'GET /lfs/weights',
    ])
    expect(readFileSync(path('model.safetensors')).equals(weights)).toBe(true)
    requests = []
    // The owner of a name without one.
    expect(await model({}, 'resnet18d.ra2_in1k')).toEqual({
      weights: path('model.safetensors'),
      config: path('config.json'),
    })
    expect(requests).toEqual([])
    await model({ force: true })
    expect(requests).toHaveLength(4)
  })

  test('fetches once for two that ask at once', async () => {
    expect(await Promise.all([model(), model()])).toHaveLength(2)
    expect(requests).toHaveLength(4)
  })

  test('a tag that is the digest of git, of 40 digits, says nothing of the weights', async () => {
    tag = `"${'ab'.repeat(20)}"`
    await model()
    expect(readFileSync(path('model.safetensors')).equals(weights)).toBe(true)
  })

  test('refuses what is not the stated file, and keeps nothing of it', async () => {
    content = Buffer.from(weights.map((byte, i) => (i === weights.length - 1 ? byte ^ 1 : byte)))
    await expect(model()).rejects.toThrow('what arrived is not the expected archive; it was deleted')
    expect(existsSync(path('model.safetensors'))).toBe(false)
    content = weights.subarray(0, 40)
    await expect(model()).rejects.toThrow('the file on the server is not the one')
    content = weights
    await model()
    expect(existsSync(path('model.safetensors'))).toBe(true)
  })

  test('checks the digest that is given, on the hub, of what is fetched and of what is there', async () => {
    const other = 'ab'.repeat(32)
    await expect(model({ sha256: other })).rejects.toThrow('the weights on the hub are not the ones asked for')
    expect(requests.some((request) => request.includes('lfs'))).toBe(false)
    tag = undefined
    await expect(model({ sha256: other })).rejects.toThrow(`expected ${other}`)
    await model({ sha256: digest.toUpperCase() })
    writeFileSync(path('model.safetensors'), 'an old one')
    requests = []
    await model({ sha256: digest })
    expect(printed.at(-2)).toContain('is another version than the one asked for: fetching it again')
    expect(readFileSync(path('model.safetensors')).equals(weights)).toBe(true)
    await expect(model({ sha256: 'abc' })).rejects.toThrow('expected 64 hexadecimal digits')
  })

  test('a tag that is no digest says nothing', async () => {
    tag = '"dd0e2a6c7b8e9f"'
    await model()
    expect(existsSync(path('model.safetensors'))).toBe(true)
  })

  test('keeps revisions apart', async () => {
    await model({ revision: 'refs/pr/1' })
    expect(requests[0]).toBe('GET /timm/resnet18d.ra2_in1k/resolve/refs%2Fpr%2F1/config.json')
    expect(existsSync(path('model.safetensors', 'refs%2Fpr%2F1'))).toBe(true)
    expect(existsSync(path('model.safetensors'))).toBe(false)
  })

  test('two at once fetch once', async () => {
    const [a, b] = await Promise.all([model(), model()])
    expect(a).toEqual(b)
    expect(requests.filter((request) => request === 'GET /lfs/weights')).toHaveLength(1)
  })

  test('a cut connection is made again for the rest', async () => {
    let cut = true
    intercept = (request, response) => {
      if (request.url !== '/lfs/weights') return false
      const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
      const headers = { etag: '"lfs"', 'content-length': weights.length - start }
      const range = { 'content-range': `bytes ${start}-${weights.length - 1}/${weights.length}` }
      response.writeHead(start > 0 ? 206 : 200, start > 0 ? { ...headers, ...range } : headers)
      if (cut) response.write(weights.subarray(0, 50), () => response.destroy())
      else response.end(weights.subarray(start))
      cut = false
      return true
    }
    await model()
    expect(readFileSync(path('model.safetensors')).equals(weights)).toBe(true)
  })

  test('says what is wrong: the name, the address, the hub', async () => {
    for (const name of ['a/b/c', '../x', 'timm/..', 'a b', '.']) {
      await expect(model({}, name), name).rejects.toThrow('hubModel: this is not the name of a model')
    }
    await expect(model({ revision: '..' })).rejects.toThrow('hubModel: this is not the name of a model')
    await expect(model({}, 'timm/none')).rejects.toThrow('the server answered 404 Not Found')
    intercept = (request, response) => {
      if (request.method !== 'HEAD') return false
      response.writeHead(503, 'Busy').end()
      return true
    }
    await expect(model()).rejects.toThrow('the server says nothing of this file: it answered 503 Busy')
    await expect(hubModel(NAME, { platform: { ...platform(), datasets: undefined } })).rejects.toThrow(
      'data sets cannot be fetched on this platform',
    )
  })
})

test('readPretrained takes a name for one of the hub', async () => {
  const { path: file, weights: read, config } = await readPretrained(NAME, { platform: platform() })
  expect(file).toBe(path('model.safetensors'))
  expect([...read.get('fc.bias')!.data]).toEqual([1, 2, 3])
  expect(config).toEqual({ architecture: 'resnet18d', stats: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } })
})
