import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const run = promisify(execFile)
const root = fileURLToPath(new URL('..', import.meta.url))

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'wgrad-types-'))
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(root, join(folder, 'node_modules', 'wgrad'))
  mkdirSync(join(folder, 'node_modules', '@webgpu'))
  symlinkSync(join(root, 'node_modules', '@webgpu', 'types'), join(folder, 'node_modules', '@webgpu', 'types'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
})
afterAll(() => rmSync(folder, { recursive: true }))

/** A program whose declarations name what it gets: an own layer, an own operation, and parts of every room. */
const PROGRAM = `
import { Learner, openGpu, resize, xresnet18, type Gpu, type Metric } from 'wgrad'
import { kFold, type BatchTransform, type ItemTransform, type Loaders, type NormalizeTransform, type Splitter } from 'wgrad/data'
import { currentGpu, type Launch } from 'wgrad/gpu'
import { layerRow, Module, type LayerRow } from 'wgrad/nn'
import { defineOp, elementwise, empty, launch, registerShader, Tensor, type LaunchOptions, type ShaderName, type Shape, type Spec } from 'wgrad/tensor'
import { focalLoss, precision, type Occupancy } from 'wgrad/train'

export const shader: ShaderName = registerShader('mine/double', '// @shape VECTORS')
export const spec: Spec = { shape: [2, 2], dtype: 'f32' }
export const options: LaunchOptions = { ...elementwise(spec), detail: 'mine' }
export const double = defineOp<readonly [Tensor], undefined, Spec>({
  name: 'double',
  plan: ([x]) => ({ shape: x.shape, dtype: x.dtype }),
  forward(made, [x]) {
    const y = empty(made)
    launch(shader, { x, y }, elementwise(made))
    return y
  },
  backward: (_made, dy, _saved, _needs, target) => {
    launch(shader, { x: dy, y: target(0) }, options)
    return [target(0)]
  },
})
export class Mine extends Module {
  forward(x: Tensor) {
    return double([x], undefined)
  }
  override describe(input: Shape): readonly LayerRow[] {
    return [layerRow('mine', input, [])]
  }
}
export const transforms: ItemTransform[] = [resize(8)]
export const folds: Splitter[] = kFold(5)
export const batch: readonly (BatchTransform | NormalizeTransform)[] = []
export function learner(loaders: Loaders, metrics: readonly Metric[] = [precision()]) {
  return new Learner(loaders, xresnet18({ outputs: 3 }), { loss: focalLoss(), metrics })
}
// Options that a program passes on, of which some may be missing.
export function passedOn(loaders: Loaders, { seed, lr }: { seed?: number; lr?: number }) {
  return new Learner(loaders, xresnet18({ seed }), { seed, lr })
}
export const occupied = (of: Learner): Occupancy => of.occupancy
export const launched: Launch[] = []
export const opened = async (): Promise<Gpu> => (await openGpu()) ?? currentGpu()
`

/** TypeScript before 6 has no types of WebGPU of its own; the README names the package that has them. */
const webgpu = ['--types', '@webgpu/types']

describe.each<[name: string, compiler: string, types: readonly string[]]>([
  ['TypeScript 7', 'typescript', []],
  ['TypeScript 5.9', 'typescript-5.9', webgpu],
])('a program against dist, with %s', (_name, compiler, types) => {
  const tsc = join(root, 'node_modules', compiler, 'bin', 'tsc')
  const check = async (name: string, text: string, options: readonly string[]) => {
    writeFileSync(join(folder, `${name}.ts`), text)
    return run(process.execPath, [tsc, ...options, ...types, `${name}.ts`], { cwd: folder }).then(
      () => '',
      (error: { stdout: string }) => error.stdout,
    )
  }
  const strict = ['--noEmit', 'false', '--declaration', '--outDir', 'out', '--strict', '--skipLibCheck', 'false']
  const strictest = ['--noUncheckedIndexedAccess', '--exactOptionalPropertyTypes', '--isolatedModules']

  test('compiles without skipLibCheck, with declarations', async () => {
    const options = [...strict, ...strictest, '--target', 'es2022', '--lib', 'es2023,dom', '--module', 'nodenext']
    expect(await check('program', PROGRAM, options)).toBe('')
    expect(readFileSync(join(folder, 'out', 'program.d.ts'), 'utf8')).toContain('launched: Launch[]')
  })

  test('a wrong one does not', async () => {
    const wrong = `${PROGRAM}\nlearner({} as Loaders, [precision({ avarage: 'macro' })])\nkFold(5, { stratify: String })\n`
    const options = [...strict, '--target', 'es2022', '--lib', 'es2023,dom', '--module', 'nodenext']
    const said = await check('wrong', wrong, options)
    expect(said).toContain("'avarage' does not exist in type 'AverageOptions'")
    expect(said).toContain("'stratify' does not exist in type 'KFoldOptions'")
  })

  test('compiles in a project of tsc --init', async () => {
    const project = join(folder, `project-${compiler}`)
    mkdirSync(project)
    await run(process.execPath, [tsc, '--init'], { cwd: project })
    const config = readFileSync(join(project, 'tsconfig.json'), 'utf8')
    expect(config).toContain('"strict": true')
    writeFileSync(join(project, 'tsconfig.json'), config.replace(/"skipLibCheck": true/, '"skipLibCheck": false'))
    writeFileSync(join(project, 'package.json'), '{ "type": "module" }')
    writeFileSync(join(project, 'program.ts'), PROGRAM)
    const said = await run(process.execPath, [tsc, '--noEmit', ...types], { cwd: project }).then(
      () => '',
      (error: { stdout: string }) => error.stdout,
    )
    expect(said).toBe('')
  })
})

test('every type that a public declaration names is public too', () => {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    exports: Record<string, string | Record<string, string | { types: string }>>
  }
  const entries = Object.values(exports)
    .flatMap((entry) => (typeof entry === 'string' ? [] : Object.values(entry)))
    .map((entry) => (typeof entry === 'string' ? entry : entry.types))
    .filter((path) => path.endsWith('.d.ts'))
    .map((path) => join(root, path))
  const open = new Set(entries.flatMap((entry) => [...exportsOf(entry).keys()].map((name) => originOf(entry, name))))
  expect(open.size).toBeGreaterThan(300)
  const closed = [...open].flatMap((id) =>
    namesIn(id)
      .filter((named) => !open.has(named))
      .map((named) => `${named} in ${id}`),
  )
  expect(closed.map((line) => line.replaceAll(join(root, 'dist', 'src'), ''))).toEqual([])
})

interface Origin {
  readonly file: string
  readonly name: string
}

/** Text of a declaration file without comments. */
function declarations(file: string): string {
  return readFileSync(file, 'utf8')
    .replace(/\/\*[^]*?\*\//g, '')
    .replace(/\/\/[^\n]*/g, '')
}

const beside = (file: string, path: string) => join(dirname(file), path.replace(/\.[jt]s$/, '.d.ts'))

/** Names of `{ A, type B as C }`, as [the name there, the name here]. */
const pairs = (list: string) =>
  list
    .split(',')
    .map((part) => part.trim().replace(/^type /, ''))
    .filter(Boolean)
    .map((part) => part.split(' as '))
    .map(([there, here = there]) => [there, here] as const)

function exportsOf(file: string): Map<string, Origin> {
  const found = new Map<string, Origin>()
  const text = declarations(file)
  for (const [, list, path] of text.matchAll(/export (?:type )?\{([^}]*)\} from '([^']+)'/g)) {
    for (const [there, here] of pairs(list)) found.set(here, { file: beside(file, path), name: there })
  }
  for (const [, path] of text.matchAll(/export \* from '([^']+)'/g)) {
    for (const [name, origin] of exportsOf(beside(file, path))) found.set(name, origin)
  }
  const own = /export (?:declare )?(?:abstract )?(?:function|class|const|interface|type) (\w+)/g
  for (const [, name] of text.matchAll(own)) found.set(name, { file, name })
  return found
}

/** Returns `file#name` of where a name is declared. */
function originOf(file: string, name: string): string {
  const origin = exportsOf(file).get(name)
  return !origin || origin.file === file ? `${file}#${name}` : originOf(origin.file, origin.name)
}

/** Returns what the declaration of `file#name` names, of the library: imported types, and others of its file. */
function namesIn(id: string): string[] {
  const [file, name] = id.split('#')
  const text = declarations(file)
  const own = text
    .split(/\n(?=(?:export|declare|import|type|interface) )/)
    .filter((part) =>
      new RegExp(`^\\s*(export )?(declare )?(abstract )?(function|class|const|interface|type) ${name}\\b`).test(part),
    )
    .join('\n')
  const known = new Map<string, string>()
  for (const [, here] of text.matchAll(/(?:^|\n)(?:export )?(?:declare )?(?:interface|type|class) (\w+)/g)) {
    known.set(here, `${file}#${here}`)
  }
  for (const [, list, path] of text.matchAll(/import (?:type )?\{([^}]*)\} from '(\.[^']+)'/g)) {
    for (const [there, here] of pairs(list)) known.set(here, originOf(beside(file, path), there))
  }
  const words = new Set(Array.from(own.matchAll(/\b[A-Z]\w*\b/g), ([word]) => word))
  return [...words].flatMap((word) => (word !== name && known.has(word) ? [known.get(word)!] : []))
}
