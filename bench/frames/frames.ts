/** Frames of a page per second while it trains, in Chromium: `npm run bench -- frames`. */
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { chromium as launcher } from 'playwright-core'
import { OptionError } from '../../src/base/errors.ts'
import { formatTable } from '../../src/base/table.ts'
import type { Frames, Situation } from './page.ts'

const SITUATIONS: Readonly<Record<Situation, string>> = {
  idle: 'nothing',
  worker: 'training in a Worker',
  page: 'training on the thread of the page',
}
/** Seconds of each situation. */
const SECONDS = 10
/** Patience with a busy machine that computes on the processor. */
const PATIENCE_MS = 300_000

export type AllFrames = Readonly<Record<Situation, Frames>>

/**
 * Counts frames in each situation.
 *
 * @param dist        folder of the build, whose modules the page loads as they are
 * @param executable  path of Chromium
 * @param seconds     of each situation
 */
export async function measureFrames(dist: string, executable: string, seconds: number): Promise<AllFrames> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    const html = '<!doctype html><title>frames</title><script type="module" src="/bench/frames/page.js"></script>'
    if (pathname === '/') return void response.writeHead(200, { 'content-type': 'text/html' }).end(html)
    readFile(join(dist, pathname)).then(
      (content) => response.writeHead(200, { 'content-type': 'text/javascript' }).end(content),
      () => response.writeHead(404).end(),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const browser = await launcher.launch({
    executablePath: executable,
    args: ['--headless=new', '--no-sandbox', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
  })
  try {
    const page = await browser.newPage()
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    await page.waitForFunction(() => 'framesWhile' in globalThis, undefined, { timeout: PATIENCE_MS })
    const measured: Partial<Record<Situation, Frames>> = {}
    for (const situation of Object.keys(SITUATIONS) as Situation[]) {
      measured[situation] = await page.evaluate(
        ([name, length]) =>
          (globalThis as unknown as { framesWhile(name: string, seconds: number): Promise<Frames> }).framesWhile(
            name,
            length,
          ),
        [situation, seconds] as const,
      )
    }
    return measured as AllFrames
  } finally {
    await browser.close()
    server.closeAllConnections()
    server.close()
  }
}

/** Table of the frames in each situation. @throws OptionError  where there is no Chromium */
export async function framesTable(): Promise<string> {
  const root = fileURLToPath(new URL('../../../', import.meta.url))
  const { chromium } = (await import(pathToFileURL(join(root, 'bench', 'set-up', 'chromium.mjs')).href)) as {
    chromium(): string | undefined
  }
  const executable = chromium()
  if (executable === undefined) {
    throw new OptionError('bench frames', 'there is no Chromium here', {
      fix: 'install Chromium or Chrome, or name its executable by the variable CHROMIUM',
    })
  }
  const measured = await measureFrames(join(root, 'dist'), executable, SECONDS)
  const rows = (Object.keys(SITUATIONS) as Situation[]).map((situation) => {
    const { perSecond, longestPauseMs, longestTaskMs, imagesPerSecond } = measured[situation]
    return [
      SITUATIONS[situation],
      perSecond.toFixed(1),
      `${longestPauseMs.toFixed(0)} ms`,
      longestTaskMs === 0 ? 'below 50 ms' : `${longestTaskMs.toFixed(0)} ms`,
      imagesPerSecond === undefined ? '' : imagesPerSecond.toFixed(1),
    ]
  })
  const head = ['beside', 'frames/s', 'longest pause', 'longest task', 'images/s']
  return `Chromium, SwiftShader (a software adapter)\n\n${formatTable([head, ...rows])}`
}
