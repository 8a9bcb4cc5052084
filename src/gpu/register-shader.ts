import { OptionError } from '../base/errors.ts'
import { addShader, type RegisteredShader } from './shader-source.ts'
import { shaderTexts } from './shader-table.ts'
// A shader may use every library file.
import './wgsl/lib/index.ts'
import { BUILT_IN_SHADERS } from './wgsl/names.ts'

/**
 * Registers a WGSL compute shader, so that `launch` can run it like those of the library. The text declares
 * its parameters in header lines, `// @shape COUNT`, `// @const STEP:u32`, `// @use lib/rows`, and its entry point is `main`;
 * see shaders/README.md.
 *
 * @param name  of the form 'mine/forward', unlike any shader of the library
 * @param text  WGSL, with its header lines
 * @returns     the name, for `launch`
 * @throws OptionError  if the name is taken
 * @throws ShaderError  if a header line cannot be read, no binding is declared or a library file does not exist
 */
export function registerShader(name: string, text: string): RegisteredShader {
  const known = (BUILT_IN_SHADERS as readonly string[]).includes(name) || (shaderTexts[name] ?? text) !== text
  if (!/^[\w-]+(\/[\w-]+)+$/.test(name) || name.startsWith('lib/') || known) {
    throw new OptionError('registerShader', 'the name cannot be used', {
      given: { name },
      expected: "a name such as 'mine/forward' that no other shader has",
    })
  }
  addShader(name, text)
  return name as RegisteredShader
}
