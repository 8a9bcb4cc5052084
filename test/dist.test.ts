import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import jpeg from 'jpeg-js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const run = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))

/** The TypeScript examples of a Markdown file. */
function codeBlocks(file: string): string[] {
  const parts = readFileSync(join(root, file), 'utf8').split('```')
  return parts.filter((part, i) => i % 2 === 1 && part.startsWith('ts\n')).map((part) => part.slice(3))
}

/** Tests of the built package as installed by a user; `npm test` builds it first. */
describe('the built package', () => {
  let folder = ''

  beforeAll(() => {
    if (!existsSync(join(root, 'dist', 'src', 'node.js'))) {
      throw new Error('dist/ is not there: run `npm run build`, as `npm test` does')
    }
    folder = mkdtempSync(join(tmpdir(), 'wgrad-consumer-'))
    mkdirSync(join(folder, 'node_modules'))
    symlinkSync(root, join(folder, 'node_modules', 'wgrad'))
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
    const image = { width: 40, height: 30, data: Buffer.alloc(40 * 30 * 4, 200) }
    writeFileSync(join(folder, 'grey.jpg'), jpeg.encode(image, 90).data)
  })

  afterAll(() => {
    if (folder) rmSync(folder, { recursive: true })
  })

  test('opens a GPU, decodes on worker threads, computes, and ends by itself', async () => {
    writeFileSync(
      join(folder, 'use.js'),
      `
      import { createNodePlatform } from 'wgrad'
      import { openGpuOn } from 'wgrad/gpu'
      import { read, relu, tensor } from 'wgrad/tensor'
      const platform = createNodePlatform({ threads: 1 })
      const gpu = await openGpuOn(platform)
      const picture = await platform.decoder.decode({ path: 'grey.jpg', resize: { width: 8, height: 6, method: 'crop', position: [0.5, 0.5] } })
      const y = await read(relu(tensor([-1, 2, -3, 4], [4])))
      console.log(JSON.stringify({ size: [picture.width, picture.height], red: picture.data[0], y: [...y], threads: platform.decoder.threads }))
      await platform.decoder.close()
      gpu.close()
    `,
    )
    const { stdout } = await run(process.execPath, ['use.js'], { cwd: folder, timeout: 60_000 })
    const result = JSON.parse(stdout) as { size: number[]; red: number; y: number[]; threads: number }
    expect(result.size).toEqual([8, 6])
    expect(Math.abs(result.red - 200)).toBeLessThanOrEqual(2)
    expect(result.y).toEqual([0, 2, 0, 4])
    expect(result.threads).toBe(1)
  })

  /** Returns TypeScript's diagnostics of a file, for Node unless other options are given. */
  function check(name: string, text: string, options = ['--module', 'nodenext']): Promise<string> {
    writeFileSync(join(folder, `${name}.ts`), text)
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    // TypeScript's own DOM library knows WebGPU.
    const all = ['--noEmit', '--strict', '--target', 'es2022', '--lib', 'es2023,dom', ...options, `${name}.ts`]
    return run(process.execPath, [tsc, ...all], { cwd: folder }).then(
      () => '',
      (error: { stdout: string }) => error.stdout,
    )
  }

  test('its types accept what is right and refuse a misspelt shader', async () => {
    const imports =
      "import { Learner, xresnet18 } from 'wgrad'; import type { Loaders } from 'wgrad/data'; import { launch, tensor } from 'wgrad/tensor'\n"
    expect(
      await check(
        'right',
        `${imports}export const learner = (loaders: Loaders) => new Learner(loaders, xresnet18()).toFp16()\n`,
      ),
    ).toBe('')
    const wrong = await check('wrong', `${imports}launch('relu/forwards', { x: tensor([1], [1]) }, { groups: 1 })\n`)
    expect(wrong).toMatch(/wrong\.ts\(2,8\).*'"relu\/forwards"'/)
  })

  test('every example of README.md compiles', async () => {
    const blocks = codeBlocks('README.md')
    expect(blocks.length).toBeGreaterThan(1)
    for (const [i, block] of blocks.entries()) expect(await check(`readme-${i}`, block)).toBe('')
  })

  test('a page has types of its own, also for bundlers that ask for the condition', async () => {
    const example = codeBlocks('README.md').find((block) => block.includes('urlFiles')) ?? ''
    expect(example).toContain("from 'wgrad/browser'")
    const bundled = example.replace("'wgrad/browser'", "'wgrad'")
    const bundler = ['--module', 'esnext', '--moduleResolution', 'bundler']
    expect(await check('bundled', bundled, [...bundler, '--customConditions', 'browser'])).toBe('')
    expect(await check('node', bundled, bundler)).toContain("no exported member 'urlFiles'")
  })

  test('the worker that decodes in a page is one file, which Vite before version 8 asks for', async () => {
    const worker = join(root, 'dist', 'src', 'platform', 'browser', 'decode-worker.js')
    const outdir = join(folder, 'worker')
    const { outputFiles } = await build({
      entryPoints: [worker],
      bundle: true,
      splitting: true,
      format: 'esm',
      outdir,
      write: false,
    })
    expect(outputFiles.map(({ path }) => basename(path))).toEqual(['decode-worker.js'])
  })

  test('a page gets nothing of Node', () => {
    // Everything that browser.js reaches, by its import lines.
    const seen = new Set<string>()
    const outside: string[] = []
    const visit = (file: string) => {
      if (seen.has(file)) return
      seen.add(file)
      for (const [, stated, asked = stated] of readFileSync(file, 'utf8').matchAll(
        /^(?:import|export) (?:[^;]*?from )?'([^']+)'|\bimport\('(\.[^']+)'\)/gm,
      )) {
        if (asked.startsWith('.')) visit(join(file, '..', asked))
        else outside.push(asked)
      }
    }
    visit(join(root, 'dist', 'src', 'browser.js'))
    expect(seen.size).toBeGreaterThan(50)
    expect(outside).toEqual([])
  })
})
