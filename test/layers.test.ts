import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))

const BELOW_TRAIN = ['base', 'image', 'platform', 'gpu/wgsl', 'tensor', 'ops', 'nn', 'onnx', 'optim', 'data']
const TRAIN = ['train/fit', 'train/results', 'train/report', 'train/files', 'train/callbacks', 'train']
const CORE = [...BELOW_TRAIN, 'gpu', 'testing', ...TRAIN]

/** Which rooms a room may import from, besides itself. Rooms only open downwards. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  // Packages, bundled.
  vendor: [],
  image: ['base', 'vendor'],
  platform: ['base', 'image'],
  gpu: ['base', 'platform', 'gpu/wgsl'],
  // Generated: each module adds the text of a shader to a table, and is imported by what launches the shader.
  'gpu/wgsl': ['gpu'],
  tensor: ['base', 'gpu', 'gpu/wgsl'],
  ops: ['base', 'gpu', 'gpu/wgsl', 'tensor'],
  nn: ['base', 'gpu/wgsl', 'tensor', 'ops'],
  // Checks and measurements of operations.
  testing: ['base', 'gpu', 'gpu/wgsl', 'tensor', 'ops'],
  onnx: ['base', 'vendor', 'tensor', 'ops', 'nn'],
  optim: ['base', 'gpu', 'gpu/wgsl', 'tensor'],
  data: ['base', 'image', 'platform', 'gpu', 'gpu/wgsl', 'tensor'],
  'train/fit': BELOW_TRAIN,
  'train/results': [...BELOW_TRAIN, 'train/fit'],
  // Pages of figures and images, which nothing that trains needs.
  'train/report': [...BELOW_TRAIN, 'train/fit', 'train/results'],
  'train/files': [...BELOW_TRAIN, 'train/fit', 'train/results'],
  'train/callbacks': [...BELOW_TRAIN, 'vendor', 'train/fit', 'train/results', 'train/files'],
  // The learner, which nothing else knows: everything below it works on its `FitState`.
  train: [...BELOW_TRAIN, 'train/fit', 'train/results', 'train/report', 'train/files', 'train/callbacks'],
  'platform/node': ['base', 'image', 'platform'],
  'platform/browser': ['base', 'image', 'platform'],
  index: CORE,
  exports: CORE,
  // Only these choose a platform.
  node: ['index', ...CORE, 'platform/node'],
  cli: ['node', 'exports', 'base', 'platform', 'platform/node', 'train/report'],
  browser: ['index', ...CORE, 'platform/browser'],
}

/** Rooms of `src` that a folder of `bench` may import from: tools look deeper than users, but not everywhere. */
const BENCH: Readonly<Record<string, readonly string[]>> = {
  bench: ['node', 'exports', 'cli', 'base', 'image', 'gpu', 'tensor', 'testing', 'platform/node'],
  'bench/fuzz': ['base', 'image', 'platform', 'platform/node', 'platform/browser', 'data', 'nn', 'train/files'],
  'bench/frames': ['browser', 'exports', 'base'],
  'bench/gpu-report': ['node', 'exports', 'base', 'gpu', 'ops', 'testing', 'platform/node', 'train/report'],
  'bench/kernels': ['node', 'exports', 'base', 'gpu', 'gpu/wgsl', 'tensor', 'testing', 'ops', 'nn', 'optim', 'data'],
  'bench/lesson': [
    'node',
    'exports',
    'cli',
    'base',
    'platform',
    'platform/node',
    'tensor',
    'data',
    'train/fit',
    'train/results',
    'train/report',
  ],
  'bench/machine': ['node', 'exports', 'gpu'],
  // As any page: only by the names of the package.
  'bench/page': [],
  'bench/recipe': ['node', 'exports', 'cli', 'base', 'platform/node'],
  'bench/steps': ['node', 'exports', 'base', 'image', 'gpu', 'tensor', 'nn', 'platform/node', 'train/report'],
}

describe('rooms', () => {
  const files = sources('src')

  test('open only downwards', () => {
    const wrong = files.flatMap((file) =>
      imports(file)
        .filter((imported) => !allowed(file, imported))
        .map((imported) => `${file} may not import ${imported}`),
    )
    expect(wrong).toEqual([])
  })

  test('the table is about the rooms there are', () => {
    expect([...new Set(files.map(room))].sort()).toEqual(Object.keys(ROOMS).sort())
  })

  test('no import circle exists, types included', () => {
    expect(circles(new Map(files.map((file) => [file, imports(file)])))).toEqual([])
  })

  test('no package is imported that an installation of this one would not have', () => {
    const { dependencies, peerDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      dependencies: object
      peerDependencies: object
    }
    const installed = [...Object.keys(dependencies), ...Object.keys(peerDependencies)]
    const allowed = (name: string) =>
      name.startsWith('node:') || installed.some((one) => name === one || name.startsWith(`${one}/`))
    // Types are gone once compiled, and what src/vendor names is bundled.
    const missing = files
      .filter((file) => !file.endsWith('.d.ts'))
      .flatMap((file) =>
        [
          ...readFileSync(join(root, file), 'utf8').matchAll(
            /^(?:import|export)(?! type\b)(?:[\w\s{},*]*\bfrom)? '([^.'][^']*)'|\bimport\('([^.'][^']*)'\)/gm,
          ),
        ]
          .map(([, fixed, later]) => fixed ?? later)
          .filter((name) => !allowed(name))
          .map((name) => `${file} imports ${name}`),
      )
    expect(missing).toEqual([])
  })

  test('a circle is seen', () => {
    const graph = { a: ['b'], b: ['c', 'e'], c: ['a'], d: ['a'], e: [] }
    expect(circles(new Map(Object.entries(graph)))).toEqual(['a b c'])
  })

  test('tools import from the rooms that the table names, and src imports no tool', () => {
    const folder = (file: string) => file.split('/').slice(0, -1).slice(0, 2).join('/')
    const wrong = sources('bench').flatMap((file) =>
      imports(file)
        .filter((imported) => imported.startsWith('src/') && !BENCH[folder(file)]?.includes(room(imported)))
        .map((imported) => `${file} may not import ${imported}`),
    )
    expect(wrong).toEqual([])
    expect(files.flatMap(imports).filter((imported) => !imported.startsWith('src/'))).toEqual([])
  })

  test('operations know nothing of each other', () => {
    const wrong = files
      .filter((file) => /^src\/ops\/(?!index)[^/]+$/.test(file))
      .flatMap((file) =>
        imports(file)
          .filter((imported) => /^src\/ops\/[^/]+$/.test(imported))
          .map((imported) => `${file} imports ${imported}`),
      )
    expect(wrong).toEqual([])
  })

  test('a forbidden import is seen', () => {
    expect(allowed('src/gpu/queue.ts', 'src/tensor/tensor.ts')).toBe(false)
    expect(allowed('src/gpu/queue.ts', 'src/platform/node/index.ts')).toBe(false)
    expect(allowed('src/ops/add.ts', 'src/tensor/op.ts')).toBe(true)
  })
})

describe('operations', () => {
  const names = sources('src/ops')
    .filter((file) => /^src\/ops\/[^/]+$/.test(file) && !file.endsWith('/index.ts'))
    .map(stem)

  test('each has its test, and each test its operation', () => {
    expect(names).toEqual(
      sources('test/ops')
        .filter((file) => /^test\/ops\/[^/]+\.test\.ts$/.test(file))
        .map(stem),
    )
  })

  test('the index names each', () => {
    const named = imports('src/ops/index.ts').map(stem)
    expect(named.sort()).toEqual(names)
  })
})

function allowed(file: string, imported: string): boolean {
  const [from, to] = [room(file), room(imported)]
  return from === to || (ROOMS[from] ?? []).includes(to)
}

/** src/ops/add.ts → ops, src/platform/node/gpu.ts → platform/node, src/index.ts → index */
function room(file: string): string {
  const [, first, second = ''] = file.split('/')
  const divided = first === 'platform' || first === 'train'
  if (file.startsWith('src/gpu/wgsl/')) return 'gpu/wgsl'
  return divided && !second.endsWith('.ts') ? `${first}/${second}` : first.replace(/\.ts$/, '')
}

/** Files of ours that a file imports or re-exports, types too. */
function imports(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8')
  return [...text.matchAll(/(?:\bfrom|\bimport|new URL\()\s*'(\.[^']*)'/g)].map(([, path]) =>
    relative(root, join(root, dirname(file), path)),
  )
}

/**
 * Groups of files that import each other, directly or through others, each as one text.
 *
 * Source: Tarjan 1972, strongly connected components.
 */
function circles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const order = new Map<string, number>()
  const lowest = new Map<string, number>()
  const open: string[] = []
  const found: string[] = []
  const visit = (file: string): void => {
    order.set(file, order.size)
    let low = order.size - 1
    open.push(file)
    for (const imported of graph.get(file) ?? []) {
      if (!graph.has(imported)) continue
      if (!order.has(imported)) visit(imported)
      if (open.includes(imported)) low = Math.min(low, lowest.get(imported) ?? order.get(imported) ?? low)
    }
    lowest.set(file, low)
    if (low !== order.get(file)) return
    const group = open.splice(open.indexOf(file))
    if (group.length > 1) found.push(group.sort().join(' '))
  }
  for (const file of graph.keys()) if (!order.has(file)) visit(file)
  return found
}

function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter(({ name }) => name !== 'node_modules')
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`
      return entry.isDirectory() ? sources(path) : entry.name.endsWith('.ts') ? [path] : []
    })
    .sort()
}

function stem(file: string): string {
  return file.replace(/.*\//, '').replace(/(\.test)?\.ts$/, '')
}
