import { execFile } from 'node:child_process'
import { createReadStream, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { chromium as launcher, type Browser, type BrowserContextOptions, type Page } from 'playwright-core'
import { chromium } from '../../bench/set-up/chromium.mjs'

const run = promisify(execFile)
export const root = fileURLToPath(new URL('../..', import.meta.url))

/** Executable of Chromium; undefined where there is none. @throws Error  if TEST_BROWSER=required asks for one */
export const executablePath = chromium()
if (executablePath === undefined && process.env.TEST_BROWSER === 'required') {
  throw new Error('the tests of the page need Chromium (Debian: apt-get install chromium), or CHROMIUM=PATH')
}

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.zip': 'application/zip',
}

/** The built page on a plain static server, below a folder as on a shared host. */
export interface Site {
  readonly folder: string
  readonly url: string
  close(): void
}

/** Builds the page as `npm run page -- --build` does, and serves it. */
export async function openSite(options: readonly string[] = []): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), 'wgrad-site-'))
  await run(
    process.execPath,
    [join(root, 'dist', 'bench', 'page.js'), '--build', '--no-peers', '--out', folder, ...options],
    {
      cwd: root,
    },
  )
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    const inside = decodeURIComponent(pathname).replace(/^\/below\//, '')
    const file = join(folder, inside === '' ? 'index.html' : inside)
    if (!pathname.startsWith('/below/') || !existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404).end('not found')
      return
    }
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' })
    if (request.method === 'HEAD') response.end()
    else createReadStream(file).pipe(response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    folder,
    url: `http://127.0.0.1:${port}/below/`,
    close() {
      server.closeAllConnections()
      server.close()
      rmSync(folder, { recursive: true })
    },
  }
}

/** Chromium with a software adapter and a camera that shows a test image; without `gpu`, with WebGPU but no adapter. */
export function openBrowser({ gpu = true } = {}): Promise<Browser> {
  return launcher.launch({
    executablePath,
    args: [
      '--headless=new',
      '--no-sandbox',
      '--disable-background-networking',
      ...(gpu ? ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'] : []),
      '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream',
    ],
  })
}

/** What a busy machine with a software adapter may take for a few steps, in milliseconds. */
const PATIENCE_MS = 240_000

/** A tab, patient in every wait and action, with everything that went wrong in it and every address that it asked for. */
export async function openTab(browser: Browser, options: BrowserContextOptions = {}) {
  const context = await browser.newContext({ permissions: ['camera'], acceptDownloads: true, ...options })
  context.setDefaultTimeout(PATIENCE_MS)
  const addresses: string[] = []
  context.on('request', (request) => addresses.push(request.url()))
  const page = await context.newPage()
  const errors: string[] = []
  page.on('pageerror', (error) => errors.push(error.message))
  return { page, errors, addresses, close: () => context.close() }
}

/** Text of the first element of a selector. */
export const textOf = async (page: Page, selector: string): Promise<string> =>
  (await page.locator(selector).first().textContent()) ?? ''
