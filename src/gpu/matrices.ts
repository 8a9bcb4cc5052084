/** Size of the product that a matrix unit computes at once: M×K by K×N, with sums in f32. */
export interface MatrixSize {
  readonly M: number
  readonly N: number
  readonly K: number
  /** Type of the operands as the unit multiplies them; halves are staged as f32 for the latter. Default f16 */
  readonly component?: 'f32'
  /** Number of lanes of the subgroups that compute with it. Default: `Matrices.lanes` */
  readonly lanes?: number
}

/** Matrix units (tensor cores) of an adapter that training can use: f16 or f32 operands, f32 sums. */
export interface Matrices {
  /**
   * Sizes of product, the preferred one first: f16 operands before f32, the largest before smaller ones. One that subgroups of
   * several widths may compute is there once for each.
   */
  readonly sizes: readonly MatrixSize[]
  /** Number of lanes of the subgroups that matrix kernels require, unless a size says otherwise. */
  readonly lanes: number
  /** True if the adapter has no such units: matrix kernels then run in plain WGSL (shaders/lib/matrix-emulated.wgsl), for tests. */
  readonly emulated: boolean
}

/** Device features that matrix kernels enable, see shaders/lib/matrix.wgsl. */
const FEATURES = ['chromium-experimental-subgroup-matrix', 'shader-f16', 'subgroups', 'subgroup-size-control']

/** Number of lanes of the subgroups of NVIDIA and Apple, which AMD and Intel support too. */
const USUAL_LANES = 32
/** Other numbers of lanes to try where an adapter has them: Intel's units take 8 or 16 lanes, by generation; AMD's also 64. */
const OTHER_LANES = [16, 64, 8]

/**
 * Number of lanes with which Mesa's software adapter can compile its matrices of 8×8 (from 25.2 on): with 16 lanes the
 * process crashes (Mesa 26.1.6, lvp_nir_lower_cooperative_matrix.c).
 */
const LLVMPIPE_LANES = 8

/** Item of `adapter.info.subgroupMatrixConfigs`, an experimental part of WebGPU (Dawn, src/dawn/dawn.json). */
interface MatrixConfig extends MatrixSize {
  readonly componentType: string
  readonly resultComponentType: string
  /** Width of the subgroups that it requires, where an implementation tells. */
  readonly subgroupSize?: number
}

/**
 * Returns the matrix units of an adapter, or emulated ones of 16×16×16. Units that add up in f16 (Dawn on Metal, D3D12) are
 * left out: a sum of some thousand products would be rounded to 11 bits after each.
 */
export function matricesOf(info: GPUAdapterInfo, features: ReadonlySet<string>): Matrices {
  const configs = 'subgroupMatrixConfigs' in info ? [...(info.subgroupMatrixConfigs as Iterable<MatrixConfig>)] : []
  const { subgroupMinSize = 0, subgroupMaxSize = 0 } = info
  const offered = (lanes: number) => subgroupMinSize <= lanes && lanes <= subgroupMaxSize
  const lanes = offered(USUAL_LANES) ? USUAL_LANES : subgroupMaxSize
  const others = OTHER_LANES.filter((other) => offered(other) && other !== lanes)
  const usable = configs
    .filter(({ componentType, resultComponentType }) => {
      return resultComponentType === 'f32' && (componentType === 'f16' || componentType === 'f32')
    })
    .sort((a, b) => rankOf(a) - rankOf(b) || b.M * b.N * b.K - a.M * a.N * a.K)
  const sizes = [undefined, ...others].flatMap((other) =>
    usable
      .filter(({ subgroupSize }) => other === undefined || subgroupSize === undefined)
      .map(({ M, N, K, componentType, subgroupSize = other }): MatrixSize => {
        const component = componentType === 'f32' ? { component: 'f32' as const } : {}
        return { M, N, K, ...component, ...(subgroupSize === undefined ? {} : { lanes: subgroupSize }) }
      }),
  )
  const broken = info.description.includes('llvmpipe') && lanes !== LLVMPIPE_LANES
  if (sizes.length > 0 && !broken && FEATURES.every((feature) => features.has(feature))) {
    return { sizes, lanes, emulated: false }
  }
  return { sizes: [{ M: 16, N: 16, K: 16 }], lanes: USUAL_LANES, emulated: true }
}

/** Returns the place of a configuration's operands: halves are stored as such and take half of the workgroup memory. */
function rankOf({ componentType }: MatrixConfig): number {
  return componentType === 'f16' ? 0 : 1
}

/** Formats a size of product, its operands unless they are f16, and the width of its subgroups if it has one of its own. */
export function describeMatrix({ M, N, K, component, lanes }: MatrixSize): string {
  return `${M}×${N}×${K}${component === undefined ? '' : ` ${component}`}${lanes === undefined ? '' : ` by ${lanes} lanes`}`
}
