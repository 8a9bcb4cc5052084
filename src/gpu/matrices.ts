/** What a matrix unit multiplies at once: M×K by K×N. */
export interface MatrixSize {
  readonly M: number
  readonly N: number
  readonly K: number
}

/** The matrix units (tensor cores) of an adapter, as far as training can use them: f16 operands, f32 sums. */
export interface Matrices {
  /** Largest first. */
  readonly sizes: readonly MatrixSize[]
  /** Lanes of the subgroups that kernels of matrices are pinned to. */
  readonly lanes: number
  /** There are no such units. Kernels of matrices run in plain WGSL (shaders/lib/matrix-emulated.wgsl), for tests. */
  readonly emulated: boolean
}

/** The device features that the kernels of matrices enable, see shaders/lib/matrix.wgsl. */
const FEATURES = ['chromium-experimental-subgroup-matrix', 'shader-f16', 'subgroups', 'subgroup-size-control']

/** Warps of NVIDIA, and what AMD and Intel can be pinned to. */
const USUAL_LANES = 32

/**
 * Mesa's software adapter has matrices of 8×8 from 25.2 on, and takes the number of its lanes for that 8: with 16 lanes
 * the process crashes as they are compiled (Mesa 26.1.6, lvp_nir_lower_cooperative_matrix.c).
 */
const LLVMPIPE_LANES = 8

/** One of `adapter.info.subgroupMatrixConfigs`, an experimental part of WebGPU (Dawn, src/dawn/dawn.json). */
interface MatrixConfig extends MatrixSize {
  readonly componentType: string
  readonly resultComponentType: string
}

export function matricesOf(info: GPUAdapterInfo, features: ReadonlySet<string>): Matrices {
  const configs = 'subgroupMatrixConfigs' in info ? (info.subgroupMatrixConfigs as readonly MatrixConfig[]) : []
  const sizes = configs
    .filter(({ componentType, resultComponentType }) => componentType === 'f16' && resultComponentType === 'f32')
    .map(({ M, N, K }) => ({ M, N, K }))
    .sort((a, b) => b.M * b.N * b.K - a.M * a.N * a.K)
  const { subgroupMinSize = 0, subgroupMaxSize = 0 } = info
  const lanes = subgroupMinSize <= USUAL_LANES && USUAL_LANES <= subgroupMaxSize ? USUAL_LANES : subgroupMaxSize
  const broken = info.description.includes('llvmpipe') && lanes !== LLVMPIPE_LANES
  if (sizes.length > 0 && !broken && FEATURES.every((feature) => features.has(feature))) {
    return { sizes, lanes, emulated: false }
  }
  return { sizes: [{ M: 16, N: 16, K: 16 }], lanes: USUAL_LANES, emulated: true }
}
