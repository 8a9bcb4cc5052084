import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseShader, type ShaderSource } from '../../src/gpu/shader-source.ts'

/** Constants and sizes with which tests compile a shader, from its file: the embedded text has none. */
export function shaderSample(name: string): ShaderSource['sample'] {
  const file = fileURLToPath(new URL(`../../shaders/${name}.wgsl`, import.meta.url))
  return parseShader(name, readFileSync(file, 'utf8')).sample
}
