/** Size of the product that a matrix unit computes at once: M×K by K×N. */
export interface MatrixSize {
  readonly M: number
  readonly N: number
  readonly K: number
}

/** Matrix units (tensor cores) of an adapter that training can use: f16 operands, f32 sums. */
export interface Matrices {
  /** Sizes of product, largest first. */
  readonly sizes: readonly MatrixSize[]
  /** Number of lanes of the subgroups that matrix kernels require. */
  readonly lanes: number
  /** True if the adapter has no such units: matrix kernels then run in plain WGSL (shaders/lib/matrix-emulated.wgsl), for tests. */
  readonly emulated: boolean
}

/** Device features that matrix kernels enable, see shaders/lib/matrix.wgsl. */
const FEATURES = ['chromium-experimental-subgroup-matrix', 'shader-f16', 'subgroups', 'subgroup-size-control']

/** Number of lanes of NVIDIA's warps, which AMD and Intel support too. */
const USUAL_LANES = 32

/**
 * Number of lanes with which Mesa's software adapter can compile its matrices of 8×8 (from 25.2 on): with 16 lanes the
 * process crashes (Mesa 26.1.6, lvp_nir_lower_cooperative_matrix.c).
 */
const LLVMPIPE_LANES = 8

/** Item of `adapter.info.subgroupMatrixConfigs`, an experimental part of WebGPU (Dawn, src/dawn/dawn.json). */
interface MatrixConfig extends MatrixSize {
  readonly componentType: string
  readonly resultComponentType: string
}

/** Returns the matrix units of an adapter, or emulated ones of 16×16×16. */
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
