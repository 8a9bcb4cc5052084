import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { BrowserCommand } from 'vitest/node'

/** Ends the process that computes for the pages of this browser, as a driver does that breaks down. */
const crashGpuProcess: BrowserCommand<[]> = async ({ context }) => {
  const session = await context.browser()!.newBrowserCDPSession()
  // The answer does not come, as the process ends.
  await session.send('Browser.crashGpuProcess').catch(() => undefined)
  await session.detach()
}

/** Makes a folder on the disk. @param files  contents in Base64, by path. @returns  path of the folder */
const makeFolder: BrowserCommand<[files: Readonly<Record<string, string>>]> = (_context, files) => {
  const folder = mkdtempSync(join(tmpdir(), 'wgrad-page-'))
  for (const [path, content] of Object.entries(files)) {
    const file = join(folder, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, Buffer.from(content, 'base64'))
  }
  return folder
}

const removeFolder: BrowserCommand<[folder: string]> = (_context, folder) => rmSync(folder, { recursive: true })

/** Chooses files or a folder in an `<input type="file">`, as a visitor does in the dialog. */
const chooseFiles: BrowserCommand<[selector: string, paths: readonly string[]]> = async (context, selector, paths) => {
  await (await context.frame()).locator(selector).setInputFiles([...paths])
}

/** Drops files and folders on an element. */
const dropFiles: BrowserCommand<[selector: string, paths: readonly string[]]> = async (context, selector, paths) => {
  const box = await (await context.frame()).locator(selector).boundingBox()
  if (!box) throw new Error(`${selector} is not to be seen`)
  const session = await context.context.newCDPSession(context.page)
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2]
  const data = { items: [], files: [...paths], dragOperationsMask: 1 }
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
    await session.send('Input.dispatchDragEvent', { type, x, y, data })
  }
  await session.detach()
}

/** Serves one small file at any path, from another origin than the page's, to every page or to none. */
const serve: BrowserCommand<[everyPage: boolean]> = async (_context, everyPage) => {
  const server = createServer((_request, response) => {
    response.writeHead(200, everyPage ? { 'Access-Control-Allow-Origin': '*' } : {})
    response.end('hello')
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  // It holds no process that has nothing else to do.
  server.unref()
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

/** Losses of `fitLosses` in Node, on its own adapter. */
const nodeLosses: BrowserCommand<[]> = async () => {
  const script = fileURLToPath(new URL('node-losses.mjs', import.meta.url))
  // Vectors of 128 bits, whose kernels Mesa compiles in a fifth of the time (see vitest.config.ts).
  const env = { LP_NATIVE_VECTOR_WIDTH: '128', ...process.env }
  const { stdout } = await promisify(execFile)(process.execPath, [script], { env })
  return JSON.parse(/^losses (.*)$/m.exec(stdout)?.[1] ?? '') as Losses
}

export interface Losses {
  readonly f32: readonly number[]
  readonly mixed: readonly number[]
}

/** Commands that a test in a page gives to the process that drives the browser. */
export const commands = { crashGpuProcess, makeFolder, removeFolder, chooseFiles, dropFiles, nodeLosses, serve }

declare module 'vitest/browser' {
  interface BrowserCommands {
    crashGpuProcess(): Promise<void>
    makeFolder(files: Readonly<Record<string, string>>): Promise<string>
    removeFolder(folder: string): Promise<void>
    chooseFiles(selector: string, paths: readonly string[]): Promise<void>
    dropFiles(selector: string, paths: readonly string[]): Promise<void>
    nodeLosses(): Promise<Losses>
    serve(everyPage: boolean): Promise<string>
  }
}
