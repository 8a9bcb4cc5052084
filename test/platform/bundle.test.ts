/** A program for Node that a bundler made CommonJS, whose modules have no address of their own. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { afterAll, expect, test } from 'vitest'
import { encodeJpeg } from '../../src/image/encode-jpeg.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
// Packages are looked for beside the program.
const folder = mkdtempSync(join(root, 'dist', 'bundle-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Bundles a program of the built package, runs it, and returns what it prints. */
async function run(program: string, external: readonly string[] = []): Promise<string> {
  const outfile = join(folder, 'program.cjs')
  await build({
    stdin: { contents: program, resolveDir: root },
    bundle: true,
    format: 'cjs',
    platform: 'node',
    external: [...external],
    logLevel: 'error',
    logOverride: { 'empty-import-meta': 'silent' },
    outfile,
  })
  const { stdout } = await promisify(execFile)(process.execPath, [outfile, join(folder, 'image.jpg')])
  return stdout
}

test("says that Dawn's binding is no part of a bundle", async () => {
  const said = await run(`
    import { openGpu } from './dist/src/node.js'
    openGpu().catch((error) => console.log(String(error)))`)
  expect(said).toContain("Dawn's binding (package webgpu) does not load")
  expect(said).toContain(
    'Fix: let the bundler leave packages out of what it makes for Node (esbuild --packages=external)',
  )
  expect(said).not.toContain('npm ci')
})

test('decodes JPEG files in place, as the message about its threads advises', async () => {
  const pixels = { width: 3, height: 2, data: new Uint8Array(24).fill(255) }
  writeFileSync(join(folder, 'image.jpg'), encodeJpeg(pixels, 90))
  const said = await run(
    `
    import { createNodePlatform } from './dist/src/node.js'
    createNodePlatform({ threads: 0 }).decoder.decode({ path: process.argv[2] })
      .then(({ width, height }) => console.log(width, height), (error) => console.log(String(error)))`,
    ['webgpu'],
  )
  expect(said).toBe('3 2\n')
})
