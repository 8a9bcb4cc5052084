import { ShaderError } from '../base/errors.ts'
import { GRID_LIMIT } from './flags.ts'
import { shaderPlace, type ConstantType, type ShaderSource } from './shader-source.ts'
import { shaderTexts } from './shader-table.ts'
import { keepRolled, unroll } from './unroll.ts'
import './wgsl/lib/elements.ts'
import './wgsl/lib/long-sum.ts'
import './wgsl/lib/mask.ts'
import './wgsl/lib/nan.ts'
import './wgsl/lib/overflow.ts'
import './wgsl/lib/rows.ts'
import './wgsl/lib/storage-f16.ts'
import './wgsl/lib/storage-f32.ts'

/**
 * Number of loads that a thread of a sum issues on a GPU before it uses the first. With one, 512 workgroups of 256 threads had
 * 8 KB per multiprocessor of an H200 on their way, and the sums of batch norm 1.2 TB/s; 21 KB would fill its memory. With
 * eight they are no faster than with four (0.98 and 0.99 ms, 1.52 and 1.55 in a step), and compile longer.
 */
const AT_ONCE = 4

/** Value of a `@const` of a shader. */
export type ConstantValue = number | boolean

/** Values with which a shader is compiled. */
export interface Specialisation {
  /** Storage type of `T4`. */
  readonly dtype: 'f32' | 'f16'
  readonly constants: Readonly<Record<string, ConstantValue>>
  /** Sizes that become module constants; undefined declares them as a uniform instead. */
  readonly shape: Readonly<Record<string, number>> | undefined
  /** Number of lanes of a subgroup. */
  readonly subgroupSize: number
  /** True makes kernels whose workgroup is one subgroup ask for this number of lanes. Default false */
  readonly pinSubgroups?: boolean
  /** True replaces matrix units by plain WGSL: lib/matrix-emulated for lib/matrix, without extensions. Default false */
  readonly emulateMatrices?: boolean
  /** True if WGSL's pack2x16float rounds as `store4` of lib/storage-f16 has to. Default false */
  readonly nativeHalves?: boolean
}

/** Attribute of the kernels whose workgroup is one subgroup (shaders/lib/broadcast-tile.wgsl). */
const ONE_SUBGROUP = '@workgroup_size(SUBGROUP)'

/** Returns the WGSL of a shader for the driver, and the number of `lines` before the text of its file. */
export function specialise(
  name: string,
  source: ShaderSource,
  special: Specialisation,
): { code: string; lines: number } {
  const emulated = special.emulateMatrices === true && source.uses.includes('lib/matrix')
  const inPlace: Readonly<Record<string, string>> = {
    ...(emulated ? { 'lib/matrix': 'lib/matrix-emulated' } : {}),
    ...(special.constants.EACH === 2 ? { 'lib/chunk-four': 'lib/chunk-eight' } : {}),
  }
  const uses = source.uses.map((use) => inPlace[use] ?? use)
  const pinned = special.pinSubgroups === true && source.text.includes(ONE_SUBGROUP)
  const parts = [
    ...(emulated ? [] : source.enables).map((extension) => `enable ${extension};`),
    ...(pinned ? ['enable subgroup_size_control;'] : []),
    ...(!emulated && source.uses.includes('lib/matrix')
      ? [`alias MatrixComponent = ${special.constants.MATRIX_F32 ? 'f32' : 'f16'};`]
      : []),
    ...['lib/storage-' + special.dtype, ...uses].map((library) => shaderTexts[library]),
    `const SUBGROUP: u32 = ${special.subgroupSize}u;`,
    `const NATIVE_HALVES: bool = ${special.nativeHalves === true};`,
    `const AT_ONCE: u32 = ${special.shape ? AT_ONCE : 1}u;`,
    `fn workgroupIndex(id: vec3u) -> u32 { return id.x + id.y * ${GRID_LIMIT}u; }`,
    ...source.constants.map(([constant, type]) => declaration(name, constant, type, special.constants[constant])),
    ...shapeDeclaration(source.shape, special.shape),
  ]
  for (const constant of Object.keys(special.constants)) {
    if (!source.constants.some(([known]) => known === constant)) {
      throw new ShaderError(shaderPlace(name), `does not declare the constant ${constant}`, {
        given: { declared: source.constants.map(([known]) => known).join(' ') || 'none' },
      })
    }
  }
  const libraryText = parts.join('\n') + '\n'
  // A GPU's compiler needs it; emulated matrices compile faster as loops.
  const unrolled = source.unrolled || (special.shape !== undefined && !emulated)
  const prelude = emulated && !unrolled ? keepRolled(libraryText) : libraryText
  const text = pinned ? source.text.replace(ONE_SUBGROUP, `${ONE_SUBGROUP} @subgroup_size(SUBGROUP)`) : source.text
  const code = prelude + text
  return { code: unrolled ? unroll(name, code) : code, lines: prelude.split('\n').length - 1 }
}

function declaration(name: string, constant: string, type: ConstantType, value: ConstantValue | undefined): string {
  if (value === undefined) throw new ShaderError(shaderPlace(name), `the launch gives no value for ${constant}`)
  if (!HOLDS[type](Number(value))) {
    throw new ShaderError(shaderPlace(name), `${constant} is not a number of ${type}`, { given: { [constant]: value } })
  }
  return `const ${constant}: ${type} = ${literal(type, value)};`
}

/** Functions that return true for a number that a constant of a type can hold. */
const HOLDS: Readonly<Record<ConstantType, (value: number) => boolean>> = {
  u32: (value) => value >>> 0 === value,
  i32: (value) => (value | 0) === value,
  f32: (value) => Number.isFinite(Math.fround(value)),
  bool: () => true,
}

function literal(type: string, value: ConstantValue): string {
  if (type === 'bool') return String(Boolean(value))
  if (type === 'u32') return `${Number(value)}u`
  if (type === 'i32') return `${Number(value)}i`
  const text = String(Number(value))
  return /[.e]/.test(text) ? `${text}f` : `${text}.0f`
}

function shapeDeclaration(fields: readonly string[], shape: Specialisation['shape']): string[] {
  if (fields.length === 0) return []
  const struct = `struct Shape { ${fields.map((field) => `${field}: u32`).join(', ')} }`
  return [
    struct,
    shape
      ? `const shape = Shape(${fields.map((field) => `${shape[field]}u`).join(', ')});`
      : '@group(1) @binding(0) var<uniform> shape: Shape;',
  ]
}
