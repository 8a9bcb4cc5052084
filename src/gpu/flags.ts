/*
 * Flags of WebGPU by their names in the specification. The globals of the same meaning (`GPUBufferUsage`, `GPUMapMode`,
 * `GPUShaderStage`) exist in browsers only, and in Node once a binding has installed them.
 *
 * Source: https://www.w3.org/TR/webgpu/#namespacedef-gpubufferusage, #namespacedef-gpumapmode, #namespacedef-gpushaderstage.
 */

/** Usage flags of a buffer, to be combined with `|`. */
export const BUFFER_USAGE = {
  MAP_READ: 0x1,
  COPY_SRC: 0x4,
  COPY_DST: 0x8,
  UNIFORM: 0x40,
  STORAGE: 0x80,
  QUERY_RESOLVE: 0x200,
} as const

/** Flags of the ways to map a buffer. */
export const MAP_MODE = { READ: 0x1 } as const

/** Flags of the shader stages that see a binding. */
export const SHADER_STAGE = { COMPUTE: 0x4 } as const

/** Most workgroups per dimension of a dispatch (maxComputeWorkgroupsPerDimension, guaranteed by WebGPU). */
export const GRID_LIMIT = 65535
