import { execFile } from 'node:child_process'
import { createReadStream, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as esbuild from 'esbuild'
import type { Browser } from 'playwright-core'
import * as vite from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { webpack } from 'webpack'
import { executablePath, openBrowser, openTab } from './site.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))

/** Program of a page: trains on JPEG files of the visitor, decoded by the package's own decoder, and exports the network. */
const PROGRAM = `
import { accuracy, addFiles, CategoryBlock, DataBlock, getImageFiles, ImageBlock, Learner, openGpu, parentLabel, resize } from 'wgrad/browser'
import { Conv, GlobalAvgPool, Init, Linear, Sequential } from 'wgrad/nn'

async function main() {
  const samples = []
  for (const [label, colour] of [['blue', '#00f'], ['red', '#f00']]) {
    for (let i = 0; i < 6; i++) {
      const canvas = new OffscreenCanvas(16, 16)
      const context = canvas.getContext('2d')
      context.fillStyle = colour
      context.fillRect(0, i, 16, 8)
      samples.push([label + '/' + i + '.jpg', await canvas.convertToBlob({ type: 'image/jpeg' })])
    }
  }
  await openGpu()
  const loaders = await new DataBlock({
    blocks: [ImageBlock({ decoder: 'built-in' }), CategoryBlock()],
    getItems: getImageFiles,
    getY: parentLabel,
    itemTransforms: [resize(16)],
  }).loaders(await addFiles(new Map(samples)), { batchSize: 4 })
  const init = new Init(1)
  const model = new Sequential([new Conv({ inChannels: 3, outChannels: 8, kernelSize: 3, init }), new GlobalAvgPool(), new Linear(8, 2, init)])
  const learner = new Learner(loaders, model, { metrics: [accuracy] })
  await learner.fit(2)
  const onnx = await learner.exportOnnxBytes()
  return { loss: learner.recorder.losses.at(-1), vocab: loaders.vocab, onnx: onnx.length }
}
const report = (result) => (globalThis.document ? (globalThis.result = result) : postMessage(result))
main().then(report, (error) => report({ error: String(error) }))
`
/** Program of a page that runs the other one in a Worker. */
const IN_WORKER = `
const worker = new Worker(new URL('./main.js', import.meta.url), { type: 'module' })
worker.onmessage = ({ data }) => (globalThis.result = data)
`
const PAGE = (script: string, head = '', kind = 'type="module"') =>
  `<!doctype html><html lang="en"><title>a page</title><link rel="icon" href="data:,">${head}<script ${kind} src="${script}"></script></html>`

describe.skipIf(executablePath === undefined)('a page of the package as npm installs it, without settings', () => {
  let folder = ''
  let browser: Browser
  const servers: { close(): unknown }[] = []

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'wgrad-bundlers-'))
    const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder]
    const { stdout } = await run('npm', args, { cwd: root, maxBuffer: 2 ** 26 })
    const [{ filename }] = JSON.parse(stdout) as [{ filename: string }]
    mkdirSync(join(folder, 'node_modules', 'wgrad'), { recursive: true })
    await run('tar', [
      'xzf',
      join(folder, filename),
      '-C',
      join(folder, 'node_modules', 'wgrad'),
      '--strip-components=1',
    ])
    writeFileSync(join(folder, 'package.json'), '{ "type": "module", "dependencies": { "wgrad": "*" } }')
    writeFileSync(join(folder, 'main.js'), PROGRAM)
    writeFileSync(join(folder, 'index.html'), PAGE('/main.js'))
    writeFileSync(join(folder, 'in-worker.js'), IN_WORKER)
    writeFileSync(join(folder, 'worker.html'), PAGE('/in-worker.js'))
    browser = await openBrowser()
  })

  afterAll(async () => {
    await browser?.close()
    for (const server of servers) await server.close()
    if (folder) rmSync(folder, { recursive: true })
  })

  /** Opens the page and returns what its program says. */
  async function resultAt(url: string) {
    const { page, errors, close } = await openTab(browser)
    const logged: string[] = []
    page.on('console', (message) => logged.push(message.text()))
    try {
      await page.goto(url)
      const result = await page
        .waitForFunction(() => (globalThis as { result?: unknown }).result, undefined, { timeout: 300_000 })
        .then((handle) => handle.jsonValue())
      expect(errors).toEqual([])
      return { result: result as { loss: number; vocab: string[]; onnx: number; error?: string }, logged }
    } finally {
      await close()
    }
  }

  function expectTrained({ result }: Awaited<ReturnType<typeof resultAt>>): void {
    expect(result.error).toBeUndefined()
    expect(result.vocab).toEqual(['blue', 'red'])
    expect(result.loss).toBeGreaterThan(0)
    expect(result.onnx).toBeGreaterThan(500)
  }

  const served = (name: string) => serve(join(folder, name)).then(({ server, url }) => (servers.push(server), url))

  test('vite build', async () => {
    const input = ['index.html', 'worker.html'].map((name) => join(folder, name))
    await vite.build({
      root: folder,
      configFile: false,
      logLevel: 'error',
      build: { outDir: 'vite', rolldownOptions: { input } },
    })
    const url = await served('vite')
    for (const address of [url, `${url}worker.html`]) {
      const made = await resultAt(address)
      expectTrained(made)
      expect(made.logged.join('\n')).not.toContain('on this thread')
    }
  })

  test("Vite's development server", async () => {
    const server = await vite.createServer({ root: folder, configFile: false, logLevel: 'error', server: { port: 0 } })
    servers.push(server)
    await server.listen()
    const [url = ''] = server.resolvedUrls?.local ?? []
    for (const address of [url, `${url}worker.html`]) expectTrained(await resultAt(address))
  })

  test('webpack', async () => {
    const path = join(folder, 'webpack')
    const entries = { main: './main.js', 'in-worker': './in-worker.js' }
    const compiler = webpack({ mode: 'production', context: folder, entry: entries, output: { path } })
    const stats = await promisify(compiler.run.bind(compiler))()
    await promisify(compiler.close.bind(compiler))()
    const { errors = [], warnings = [] } = stats?.toJson({ all: false, errors: true, warnings: true }) ?? {}
    expect(errors.map(({ message }) => message)).toEqual([])
    // It warns of the page's size, and of the package for charts, which is optional and not installed here.
    const others = warnings.filter(({ message }) => !/size|Can't resolve 'echarts\/\w+'/.test(message))
    expect(others.map(({ message }) => message)).toEqual([])
    // Pages load what it writes as scripts.
    writeFileSync(join(path, 'index.html'), PAGE('main.js', '', 'defer'))
    writeFileSync(join(path, 'worker.html'), PAGE('in-worker.js', '', 'defer'))
    const url = await served('webpack')
    for (const address of [url, `${url}worker.html`]) {
      const made = await resultAt(address)
      expectTrained(made)
      expect(made.logged.join('\n')).not.toContain('on this thread')
    }
  })

  // A script is what esbuild makes by itself; it has no address to find the worker by.
  test.each([
    ['esm', 'type="module"'],
    ['iife', 'defer'],
  ] as const)('esbuild, one file as %s', async (format, kind) => {
    const outdir = join(folder, `esbuild-${format}`)
    mkdirSync(outdir)
    await esbuild.build({
      entryPoints: [join(folder, 'main.js')],
      bundle: true,
      minify: true,
      format,
      outdir,
      logOverride: { 'empty-import-meta': 'silent' },
      logLevel: 'error',
    })
    writeFileSync(join(outdir, 'index.html'), PAGE('main.js', '', kind))
    const made = await resultAt(await served(`esbuild-${format}`))
    expectTrained(made)
    // The worker is no part of that file.
    expect(made.logged.join('\n')).toContain('on this thread')
  })

  test('no bundler: modules of a static server, by an import map', async () => {
    const imports = {
      'wgrad/browser': './node_modules/wgrad/dist/src/browser.js',
      'wgrad/nn': './node_modules/wgrad/dist/src/exports/nn.js',
    }
    writeFileSync(
      join(folder, 'plain.html'),
      PAGE('./main.js', `<script type="importmap">${JSON.stringify({ imports })}</script>`),
    )
    const made = await resultAt(`${await served('.')}plain.html`)
    expectTrained(made)
    expect(made.logged.join('\n')).not.toContain('on this thread')
  })
})

const TYPES: Readonly<Record<string, string>> = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript' }

/** Serves a folder as any static server does. */
async function serve(folder: string): Promise<{ server: Server; url: string }> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    const file = join(folder, pathname === '/' ? 'index.html' : decodeURIComponent(pathname))
    if (!existsSync(file) || !statSync(file).isFile()) return void response.writeHead(404).end()
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' })
    createReadStream(file).pipe(response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
}
