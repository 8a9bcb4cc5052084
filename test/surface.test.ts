import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { build } from 'vite'
import { describe, expect, test } from 'vitest'
import * as data from '../src/exports/data.ts'
import * as gpu from '../src/exports/gpu.ts'
import * as nn from '../src/exports/nn.ts'
import * as tensors from '../src/exports/tensor.ts'
import * as testing from '../src/exports/testing.ts'
import * as train from '../src/exports/train.ts'
import * as main from '../src/node.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))
const subpaths = { data, gpu, nn, tensors, testing, train }

/** Most names of functions, classes and constants that the package's root may have: what fits one screen of completions. */
const ROOT_NAMES = 100

const README_PAGE =
  'accuracy, CategoryBlock, DataBlock, getImageFiles, ImageBlock, imagenetStats, Learner, normalize, openGpu, parentLabel, resize, urlFiles, xresnet18'

/** Modules that a page loads as it opens a GPU, makes its loaders and trains: those of the README's page by the end. */
const TRAINING = [
  ...['/gpu/gpu.js', '/nn/describe-run.js', '/optim/adam-optimizer.js', '/ops/convolution/others.js'],
  ...['batch-norm', 'cross-entropy', 'element'].map((operation) => `/ops/plans/${operation}-passes.js`),
  ...['/ops/max-blur-pool.js', '/data/make-loaders.js', '/train/running.js'],
]

/**
 * Most bytes, minified and gzipped, of what a page loads that imports these names: before it runs, and by the end of the
 * README's program, whose parts are loaded as they are used. 15 and 61 kB, by whole kilobytes, are the most that a page should
 * take (60 until layers, callbacks and tensors refused mistakes that trained wrongly in silence). Mistakes in operations of
 * one's own took 0.15 and 0.2 more, images that no thread can be sent and the like 0.1 of the page, kernels that compile beside 0.1, sums that keep what they have
 * loaded 0.03 and 0.1; the others are some per cent above what they took on 2026-11-28.
 */
const BUDGETS = [
  ['tensors and one operation', 'exports/tensor.js', 'conv2d, tensor', [], 15_180],
  ["the README's page", 'browser.js', README_PAGE, [], 61_400],
  ["the README's page that has trained", 'browser.js', README_PAGE, TRAINING, 139_200],
  ['the whole root', 'browser.js', '* as all', [], 109_800],
] as const

describe('names', () => {
  test('the root has few enough to look through', () => {
    expect(Object.keys(main).length).toBeLessThanOrEqual(ROOT_NAMES)
  })

  test('each name is exported from one place', () => {
    const all = [main, ...Object.values(subpaths)].flatMap((part) => Object.keys(part))
    expect(all.filter((name, i) => all.indexOf(name) !== i)).toEqual([])
  })
})

describe('the package', () => {
  test('is one that publint has nothing to say of', async () => {
    const { messages } = await publint({ pkgDir: root, strict: true, pack: false })
    expect(messages).toEqual([])
  })

  test('has types wherever its modules are found', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'wgrad-pack-'))
    try {
      const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder]
      const { stdout } = await run('npm', args, { cwd: root, maxBuffer: 2 ** 26 })
      const [{ filename }] = JSON.parse(stdout) as [{ filename: string }]
      const checked = await checkPackage(createPackageFromTarballData(readFileSync(join(folder, filename))))
      if (!checked.types) throw new Error('the package has no types')
      // The package is made of ES modules: Node 10's resolution and require() without them are left out on purpose.
      const unintended = checked.problems.filter(
        (problem) => !('resolutionKind' in problem && /^node1(0|6-cjs)$/.test(problem.resolutionKind)),
      )
      expect(unintended).toEqual([])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test.each(BUDGETS)('%s fit the budget of a page', async (_name, file, names, later, budget) => {
    const size = await pageBytes(file, names, later)
    expect(size).toBeLessThanOrEqual(budget)
    // A budget far above what is used notices nothing.
    expect(size).toBeGreaterThan(0.85 * budget)
  })
})

/**
 * Bytes, minified and gzipped, that a page loads which Vite builds of a program with these imports.
 *
 * @param later  ends of the modules that it imports later and that count as well
 */
async function pageBytes(file: string, names: string, later: readonly string[]): Promise<number> {
  const path = JSON.stringify(join(root, 'dist', 'src', file))
  const bare = names.startsWith('*')
  const program = `import ${bare ? names : `{ ${names} }`} from ${path}; console.log(${bare ? 'all' : names})`
  const built = await build({
    root,
    configFile: false,
    logLevel: 'error',
    publicDir: false,
    build: { write: false, rolldownOptions: { input: 'page', external: /^echarts/ } },
    worker: { format: 'es' },
    plugins: [
      {
        name: 'program',
        resolveId: (id) => (id === 'page' ? `${root}page.js` : undefined),
        load: (id) => (id === `${root}page.js` ? program : undefined),
      },
    ],
  })
  if (!('output' in built)) throw new Error('nothing was built')
  const chunks = built.output.filter((part) => part.type === 'chunk')
  const loaded = new Set<(typeof chunks)[number]>()
  const add = (chunk: (typeof chunks)[number] | undefined): void => {
    if (!chunk || loaded.has(chunk)) return
    loaded.add(chunk)
    for (const next of chunk.imports) add(chunks.find(({ fileName }) => fileName === next))
  }
  add(chunks.find(({ isEntry }) => isEntry))
  for (const end of later) {
    const chunk = chunks.find(({ moduleIds }) => moduleIds.some((id) => id.endsWith(end)))
    expect(chunk, end).toBeDefined()
    add(chunk)
  }
  return [...loaded].reduce((sum, { code }) => sum + gzipSync(code, { level: 9 }).length, 0)
}
