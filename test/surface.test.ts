import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { build } from 'esbuild'
import { publint } from 'publint'
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

/** Most bytes, minified and gzipped, of a bundle that imports these names: 5% above what they took on 2026-11-26. */
const BUDGETS = [
  ['tensors and one operation', 'exports/tensor.js', 'conv2d, tensor', 33_900],
  [
    "the README's page",
    'browser.js',
    'accuracy, CategoryBlock, DataBlock, getImageFiles, ImageBlock, imagenetStats, Learner, normalize, openGpu, parentLabel, resize, urlFiles, xresnet18',
    142_500,
  ],
  ['the whole root', 'browser.js', '* as all', 169_500],
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

  test.each(BUDGETS)('%s fit the budget of a page', async (_name, file, names, budget) => {
    const path = JSON.stringify(join(root, 'dist', 'src', file))
    const bare = names.startsWith('*')
    const { outputFiles, metafile } = await build({
      stdin: {
        contents: `import ${bare ? names : `{ ${names} }`} from ${path}; console.log(${bare ? 'all' : names})`,
        resolveDir: root,
      },
      bundle: true,
      splitting: true,
      outdir: root,
      minify: true,
      format: 'esm',
      write: false,
      metafile: true,
      external: ['echarts'],
    })
    // The entry and the parts that it imports at once; what is imported later is loaded where it is used.
    const parts = new Set<string>()
    const add = (path: string): void => {
      parts.add(path)
      for (const { path: next, kind } of metafile.outputs[path].imports) {
        if (kind === 'import-statement' && next in metafile.outputs && !parts.has(next)) add(next)
      }
    }
    const entry = Object.keys(metafile.outputs).find((path) => metafile.outputs[path].entryPoint !== undefined) ?? ''
    add(entry)
    const loaded = outputFiles.filter((part) => [...parts].some((path) => part.path.endsWith(path)))
    expect(loaded).toHaveLength(parts.size)
    const size = loaded.reduce((sum, { contents }) => sum + gzipSync(contents, { level: 9 }).length, 0)
    expect(size).toBeLessThanOrEqual(budget)
    // A budget far above what is used notices nothing.
    expect(size).toBeGreaterThan(0.85 * budget)
  })
})
