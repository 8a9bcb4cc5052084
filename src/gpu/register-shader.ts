import { OptionError, ShaderError } from '../base/errors.ts'
import { checkArgument, nearest, TEXT } from '../base/options.ts'
import {
  addShader,
  shaderPlace,
  type RegisteredShader,
  type ShaderBinding,
  type ShaderSource,
} from './shader-source.ts'
import { shaderTexts } from './shader-table.ts'
import { requireUnrollable } from './unroll.ts'
// A shader may use every library file.
import './wgsl/lib/index.ts'
import { BUILT_IN_SHADERS } from './wgsl/names.ts'

/** Words of the header lines, see shaders/README.md. */
const HEADERS = ['enable', 'use', 'const', 'shape', 'unroll', 'sample']

/**
 * Registers a WGSL compute shader, so that `launch` can run it like those of the library. The text declares
 * its parameters in header lines, `// @shape COUNT`, `// @const STEP:u32`, `// @use lib/rows`, and its entry point is `main`;
 * see shaders/README.md.
 *
 * @param name  of the form 'mine/forward', unlike any shader of the library
 * @param text  WGSL, with its header lines
 * @returns     the name, for `launch`
 * @throws OptionError  if the name is taken
 * @throws ShaderError  if a header line or a binding cannot be read, no binding or entry point is declared, a size is read that
 *   `@shape` does not declare, or a library file does not exist
 */
export function registerShader(name: string, text: string): RegisteredShader {
  checkArgument('registerShader', 'text', text, TEXT)
  const known = (BUILT_IN_SHADERS as readonly string[]).includes(name) || (shaderTexts[name] ?? text) !== text
  if (!/^[\w-]+(\/[\w-]+)+$/.test(name) || name.startsWith('lib/') || known) {
    throw new OptionError('registerShader', 'the name cannot be used', {
      given: { name },
      expected: "a name such as 'mine/forward' that no other shader has",
    })
  }
  addShader(name, text, requireReadable)
  return name as RegisteredShader
}

/**
 * Requires every declaration of a shader to be one that was read: another would be missing from the prelude or from the launch,
 * and the compiler's message would be about its consequences.
 */
function requireReadable(name: string, { text, uses, bindings, shape, constants }: ShaderSource): void {
  for (const [line, word, next] of text.matchAll(/^[ \t]*\/\/[ \t]*@(\w+)(\S?).*$/gm)) {
    const near = nearest(word, HEADERS)
    if (near === undefined || (HEADERS.includes(word) && next === '')) continue
    throw new ShaderError(shaderPlace(name), `there is no header line '@${word}${next}'`, {
      given: { line: line.trim() },
      expected: HEADERS.map((known) => `@${known}`).join(', '),
      fix: `write @${near}`,
    })
  }
  const [unroll] = /^[ \t]*\/\/[ \t]*@unroll[ \t]+(?!everywhere[ \t]*$).+/m.exec(text) ?? []
  if (unroll !== undefined) {
    throw new ShaderError(shaderPlace(name), `'${unroll.trim()}' cannot be read`, { expected: '// @unroll everywhere' })
  }
  const field = shape.find((one, i) => !/^[A-Z][A-Z0-9_]*$/.test(one) || shape.indexOf(one) !== i)
  if (field !== undefined) {
    throw new ShaderError(shaderPlace(name), `'@shape ${field}' cannot be read`, {
      given: { shape: shape.join(' ') },
      expected: 'different names in capitals with spaces between them, such as N H W',
    })
  }
  const twice = constants.find(([constant], i) => constants.findIndex(([other]) => other === constant) !== i)?.[0]
  if (twice !== undefined) throw new ShaderError(shaderPlace(name), `'@const ${twice}' is declared twice`)
  const code = text.replace(/\/\/.*/g, '')
  const [directive, what, extension] = /^\s*(enable|requires|diagnostic)\b([^;]*);/m.exec(code) ?? []
  if (directive !== undefined) {
    throw new ShaderError(shaderPlace(name), 'a directive would come after the prelude, where WGSL allows none', {
      given: { directive: directive.trim() },
      fix:
        what === 'enable'
          ? `write the header line // @enable ${extension.trim()}`
          : 'leave it out; a diagnostic may be an attribute of a function, @diagnostic(…)',
    })
  }
  const all = [code, ...uses.map((use) => shaderTexts[use].replace(/\/\/.*/g, ''))].join('\n')
  const sizes = Array.from(all.matchAll(/\bshape\.([A-Z][A-Z0-9_]*)/g), ([, size]) => size)
  const missing = [...new Set(sizes)].filter((size) => !shape.includes(size))
  // A shader may have a variable of this name.
  if (missing.length > 0 && !/\b(?:let|const|var(?:<[^>]*>)?)\s+shape\b/.test(code)) {
    throw new ShaderError(shaderPlace(name), `shape.${missing[0]} is read and not declared`, {
      given: { '@shape': shape.join(' ') || 'none' },
      fix: `write the header line // @shape ${[...shape, ...missing].join(' ')}`,
    })
  }
  if (!/\bfn\s+main\b/.test(all)) {
    const expected = '@compute @workgroup_size(64) fn main(…)'
    throw new ShaderError(shaderPlace(name), 'has no entry point', { expected })
  }
  const known = ['SUBGROUP', 'AT_ONCE', ...constants.map(([constant]) => constant)].map((one) => `const ${one} = 1u;`)
  const libraries = ['lib/storage-f32', ...uses].map((use) => shaderTexts[use])
  requireUnrollable(name, [...known, ...libraries, text].join('\n'))
  const declared = code.match(/@binding\b.*/g) ?? []
  const distinct = (of: (binding: ShaderBinding) => unknown) => new Set(bindings.map(of)).size === declared.length
  if (distinct(({ index }) => index) && distinct((binding) => binding.name)) return
  throw new ShaderError(shaderPlace(name), 'a binding cannot be read, or is declared twice', {
    given: { declared: declared.join('  '), read: bindings.map((one) => `${one.index} ${one.name}`).join(', ') },
    expected: '@group(0) @binding(0) var<storage, read> name: type; read_write in place of read, or var<uniform>',
  })
}
