import { ShaderError } from '../base/errors.ts'
import { shaderTexts } from './shader-table.ts'
import type { BuiltInShader } from './wgsl/names.ts'

/** Name of a shader that was registered with `registerShader`. */
export type RegisteredShader = string & { readonly __shader: 'registered' }

/** Name of a shader that can be launched: one of the library's, or one that was registered. */
export type ShaderName = BuiltInShader | RegisteredShader

/** Types that a `@const` may have. */
const CONSTANT_TYPES = ['u32', 'i32', 'f32', 'bool'] as const
export type ConstantType = (typeof CONSTANT_TYPES)[number]

/** Text of a shader together with what its header lines and bindings declare (see shaders/README.md). */
export interface ShaderSource {
  readonly text: string
  /** Library files that it uses, dependencies first. */
  readonly uses: readonly string[]
  /** Extensions of WGSL, those of the library files included. */
  readonly enables: readonly string[]
  /** Name and WGSL type of every `@const`. */
  readonly constants: readonly (readonly [name: string, type: ConstantType])[]
  /** Fields of `shape`. */
  readonly shape: readonly string[]
  /** True if the loops that it marks are unrolled on every adapter, not only where sizes are constants. */
  readonly unrolled: boolean
  readonly bindings: readonly ShaderBinding[]
  /** Constants and sizes with which tests compile the shader; none in the embedded text. */
  readonly sample: Readonly<Record<string, number | boolean>>
}

/** Buffer that a shader binds. */
export interface ShaderBinding {
  readonly index: number
  readonly access: 'read' | 'read_write' | 'uniform'
  readonly name: string
  /** Type of its numbers; `storage` is that of the launch. */
  readonly holds: 'storage' | 'f32' | 'f16' | 'u32' | 'struct'
}

/** Names of registered shaders. */
const registered = new Set<string>()
const sources = new Map<string, ShaderSource>()

/** Returns a shader with its declarations. */
export function shaderSource(name: ShaderName): ShaderSource {
  const known = sources.get(name)
  if (known) return known
  const text = shaderTexts[name]
  if (text === undefined) {
    throw new ShaderError(name, 'no such shader is loaded', {
      fix: 'register your own with registerShader; the library imports its own from gpu/wgsl where it launches them, and those of a family when openGpu({ family }) asks for it',
    })
  }
  const source = parseShader(name, text)
  sources.set(name, source)
  return source
}

/** Adds a shader to the table. @throws ShaderError  if its declarations are invalid, or `check` throws */
export function addShader(name: string, text: string, check: (name: string, source: ShaderSource) => void): void {
  // First, since errors name its place.
  registered.add(name)
  const source = parseShader(name, text)
  check(name, source)
  sources.set(name, source)
  shaderTexts[name] = text
}

/** Returns the place that errors report: the file of one of the library's shaders, or the name of a registered one. */
export function shaderPlace(name: string): string {
  return registered.has(name) ? `shader ${name}` : `shaders/${name}.wgsl`
}

/** Parses the declarations of a shader. @throws ShaderError  if they are invalid */
export function parseShader(name: string, text: string): ShaderSource {
  const headers = (word: string) => headersOf(text, word)
  const uses = [...new Set(headers('use').flatMap((use) => dependencies(name, use)))]
  const enables = [
    ...new Set([text, ...uses.map((use) => shaderTexts[use])].flatMap((part) => headersOf(part, 'enable'))),
  ]
  const bindings = [
    ...text.matchAll(
      /^\s*@group\(0\)\s*@binding\((\d+)\)\s*var<(?:storage,\s*(read|read_write)|(uniform))>\s*(\w+)\s*:\s*([^;]+);/gm,
    ),
  ].map(([, index, storage, uniform, binding, type]) => ({
    index: Number(index),
    access: (uniform ?? storage) as ShaderBinding['access'],
    name: binding,
    holds: contentOf(type),
  }))
  if (bindings.length === 0) {
    throw new ShaderError(shaderPlace(name), 'declares no buffer', {
      expected: '@group(0) @binding(0) var<…> name: type;',
    })
  }
  const sample = headers('sample').map((word) => {
    const [key, value] = word.split('=')
    return [key, value === 'true' ? true : value === 'false' ? false : Number(value)] as const
  })
  const constants = headers('const').map((word) => constantOf(name, word))
  const unrolled = headers('unroll').includes('everywhere')
  return {
    text,
    uses,
    enables,
    constants,
    shape: headers('shape'),
    unrolled,
    bindings,
    sample: Object.fromEntries(sample),
  }
}

function constantOf(name: string, word: string): ShaderSource['constants'][number] {
  const [constant, named] = word.split(':')
  const type = CONSTANT_TYPES.find((known) => known === named)
  if (type !== undefined && /^[A-Z][A-Z0-9_]*$/.test(constant)) return [constant, type]
  throw new ShaderError(shaderPlace(name), `'@const ${word}' cannot be read`, {
    expected: 'NAME:u32, i32, f32 or bool',
  })
}

/** Returns the type of the numbers that a binding holds, by the WGSL type of the binding. */
function contentOf(type: string): ShaderBinding['holds'] {
  const element = (type.match(/\w+/g) ?? []).find((word) => !/^(array|atomic|vec[234])$/.test(word)) ?? ''
  if (['T4', 'T2', 'Pair', 'Group', 'Chunk'].includes(element)) return 'storage'
  const [, letter, bits] = element.match(/^(?:vec[234])?([fhu])(16|32)?$/) ?? []
  if (letter === undefined) return 'struct'
  return letter === 'u' ? 'u32' : letter === 'h' || bits === '16' ? 'f16' : 'f32'
}

/** Returns the words of the lines `// @word …`, which may be indented as the code around a template literal is. */
function headersOf(text: string, word: string): string[] {
  return [...text.matchAll(new RegExp(`^[ \\t]*//[ \\t]*@${word}[ \\t](.*)$`, 'gm'))].flatMap((match) =>
    match[1].trim().split(/\s+/),
  )
}

/** Returns a library file and those that it uses itself, dependencies first. */
function dependencies(name: string, use: string): string[] {
  const text = shaderTexts[use]
  if (text !== undefined && use.startsWith('lib/')) {
    return [...headersOf(text, 'use').flatMap((inner) => dependencies(use, inner)), use]
  }
  throw new ShaderError(shaderPlace(name), `'@use ${use}' names a file that does not exist`, {
    expected: Object.keys(shaderTexts)
      .filter((known) => known.startsWith('lib/'))
      .join(' '),
  })
}
