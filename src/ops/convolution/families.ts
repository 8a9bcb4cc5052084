import type { Gpu, KernelFamily } from '../../gpu/device.ts'
import type { MatrixSize } from '../../gpu/matrices.ts'
import type { ShaderName } from '../../gpu/shader-source.ts'
import { mostThreads } from '../../gpu/workgroup.ts'
import { padTo4 } from '../../tensor/shape.ts'
import { productOf, type ConvolutionSizes, type ConvolutionPass } from './sizes.ts'

/** Variant of the kernel of a pass. */
export interface KernelVariant {
  readonly family: KernelFamily
  /** Rows of the product that a workgroup computes. */
  readonly rows: number
  /** Columns of the product that a workgroup computes. */
  readonly columns: number
  /** Values of the shader's `@const` constants. */
  readonly constants: Readonly<Record<string, number>>
  /** In the broadcast family: twice as many rows and half as many columns. */
  readonly narrow?: boolean
  /** In the matrix family: subgroups of another width than the adapter's usual one. */
  readonly asksLanes?: boolean
  /** Kernel that a program has registered (see own-kernels.ts), and its shader. */
  readonly own?: { readonly name: string; readonly shader: ShaderName }
  /** Number of slices of a weight gradient that has too few workgroups to fill the GPU. */
  readonly slices: 'many' | 'few'
}

/** Kernel of a program for one pass. */
export interface OwnKernel {
  readonly pass: ConvolutionPass
  readonly variant: KernelVariant
  /** Returns true for sizes that it can compute. */
  readonly takes: (sizes: ConvolutionSizes) => boolean
  /** Name and fingerprint of its text, tile and constants. */
  readonly version: string
}

/** Kernels that programs have registered. */
export const ownKernels: OwnKernel[] = []

const SHADERS: Readonly<Record<KernelFamily, Readonly<Record<ConvolutionPass, ShaderName>>>> = {
  broadcast: {
    forward: 'conv2d/forward-broadcast',
    'backward-input': 'conv2d/backward-input-broadcast',
    'backward-weight': 'conv2d/backward-weight-broadcast',
  },
  tile: {
    forward: 'conv2d/forward-tile',
    'backward-input': 'conv2d/backward-input-tile',
    'backward-weight': 'conv2d/backward-weight-tile',
  },
  matrix: {
    forward: 'conv2d/forward-matrix',
    'backward-input': 'conv2d/backward-input-matrix',
    'backward-weight': 'conv2d/backward-weight-matrix',
  },
}

/** Broadcast kernels with half as many columns, for products with few columns. */
const NARROW_SHADERS: Partial<Readonly<Record<ConvolutionPass, ShaderName>>> = {
  forward: 'conv2d/forward-broadcast-narrow',
  'backward-input': 'conv2d/backward-input-broadcast-narrow',
}

/** Returns the shader of a kernel variant. */
export function shaderOf({ family, narrow, own }: KernelVariant, pass: ConvolutionPass): ShaderName {
  return own?.shader ?? (narrow ? NARROW_SHADERS[pass] : undefined) ?? SHADERS[family][pass]
}

type Tile = readonly [number, number, number, number, number]

/** TILE_M, TILE_N, TILE_K of a workgroup and THREAD_M, THREAD_N of a thread. */
const TILES: readonly Tile[] = [
  [64, 64, 16, 8, 8],
  [32, 32, 16, 4, 4],
  [128, 128, 16, 8, 8],
  [64, 64, 16, 4, 4],
  [128, 32, 16, 8, 4],
  [32, 128, 16, 4, 8],
]
/**
 * Tiles considered for the default variant, which uses the first that suits, and the smallest number of workgroups for which
 * that is one of the larger tiles.
 */
interface TileRule {
  readonly tiles: readonly Tile[]
  readonly enough: number
}

/**
 * Rule of adapters without one of their own, measured on an H200 (see `ENOUGH_MATRICES`): with 132 multiprocessors, 512
 * workgroups of 32×32 are faster than 128 of 64×64. All of the tiles fit any device: 128 threads and 13 KiB at most.
 */
const TILE_RULE: TileRule = { tiles: [TILES[0], TILES[4], TILES[1]], enough: 256 }

/**
 * Rules by vendor, as the adapter reports it, from data sheets and compilers and not from measurements; the tuner replaces
 * what they choose.
 *
 * - The sums of a thread must stay in registers, beside operands and indices: 4×4 where these are few
 * (src/gpu/registers.ts). Qualcomm's hold 8×4, but with 4×4 two to three times as many threads, and fewer instructions for a
 * multiplication in most kernels (bench/results/qualcomm-compiler.md).
 * - `enough` is two workgroups for each core of the vendor's largest GPU, as on an H200: 80 cores of Apple (M3 Ultra), 32 of
 * Intel (Arc A770), 24 of Arm (Immortalis-G925), and not more for Qualcomm.
 */
const TILE_RULES: Readonly<Record<string, TileRule>> = {
  apple: { ...TILE_RULE, enough: 160 },
  arm: { tiles: [TILES[3], TILES[1]], enough: 48 },
  intel: { tiles: [TILES[3], TILES[1]], enough: 64 },
  qualcomm: { tiles: [TILES[3], TILES[1]], enough: 48 },
}

/** TILE_M and TILE_N of a workgroup, and the number of subgroups along each. */
type MatrixTile = readonly [number, number, number, number]

/**
 * Tiles considered for the default variant, which uses the first that suits. Tiles of 256×64 are for products of 64 columns: a
 * 3×3 convolution [256,32,32,64]→64 takes 129 instead of 138 µs with those of 64×64, its gradient of the input 137 instead of
 * 157 µs (H200).
 */
const RULE_TILES: readonly MatrixTile[] = [
  [128, 128, 2, 4],
  [256, 64, 4, 2],
  [64, 64, 2, 2],
  [128, 32, 4, 1],
  [32, 32, 1, 2],
]
/** Tiles that the tuner tries. */
const MATRIX_TILES: readonly MatrixTile[] = [
  ...RULE_TILES,
  [128, 64, 2, 2],
  [64, 128, 2, 2],
  [32, 128, 1, 4],
  [32, 64, 1, 2],
]

/**
 * TILE_K: the first that fits into workgroup memory is used. Steps of 64 take 0.7 of the time of steps of 32: a 3×3
 * convolution [64,32,32,64]→64 takes 32 instead of 43 µs, [64,4,4,512]→512 takes 33 instead of 46 µs (H200, tiles of
 * 64×64).
 */
const MATRIX_STEPS = [64, 32] as const

/**
 * Number of workgroups that fill the device: two CPU cores alternate well at 32; a GPU needs several for each of its
 * hundred or so multiprocessors.
 */
const FULL = { software: 32, gpu: 1024 }
/** Divisor of the number of slices for `slices: 'few'`, which leaves less to add up. */
const FEW = 4

/** Number of f16 values that a matrix kernel loads into workgroup memory at once: 16 bytes. */
const GROUP = 8

/**
 * Returns true if matrix kernels can compute a pass: in f16, if the channels along which its operands are contiguous
 * are stored in whole groups.
 */
export function takesMatrices(pass: ConvolutionPass, { C, O, dtype }: ConvolutionSizes): boolean {
  const along = pass === 'forward' ? [C] : [C, O]
  return dtype === 'f16' && along.every((channels) => padTo4(channels) % GROUP === 0)
}

/** Returns the family of a pass when `wanted` is requested: `tile` if matrix kernels cannot compute it. */
function familyFor(gpu: Gpu, pass: ConvolutionPass, wanted: KernelFamily, sizes: ConvolutionSizes): KernelFamily {
  const matrices = takesMatrices(pass, sizes) && matrixKernels(gpu, RULE_TILES).length > 0
  return wanted === 'matrix' && !matrices ? 'tile' : wanted
}

/**
 * Returns the default kernel variant: the first tile with enough workgroups and little idle work, otherwise the
 * smallest tile.
 */
export function defaultKernel(
  gpu: Gpu,
  pass: ConvolutionPass,
  sizes: ConvolutionSizes,
  wanted: KernelFamily = gpu.family,
): KernelVariant {
  const family = familyFor(gpu, pass, wanted, sizes)
  if (family === 'broadcast') return broadcastKernel(gpu, pass, sizes)
  const { tiles, enough } = TILE_RULES[gpu.vendor] ?? TILE_RULE
  const kernels =
    family === 'matrix'
      ? matrixKernels(gpu, RULE_TILES)
      : tiles.map(tileKernel).filter((kernel) => tileKernelFits(gpu, kernel))
  const suits = (kernel: KernelVariant) =>
    idleShare(kernel, pass, sizes) <= IDLE &&
    (pass === 'backward-weight' ||
      workgroupsOf(kernel, pass, sizes) >= (family === 'matrix' ? ENOUGH_MATRICES : enough))
  const kernel = kernels.find(suits) ?? kernels[kernels.length - 1]
  return family === 'matrix' && pass === 'backward-weight' ? { ...kernel, slices: 'few' } : kernel
}

/**
 * Smallest number of workgroups for which a tile of matrix kernels is used. Large tiles reuse loaded values more often;
 * small ones are better where large ones would leave most of a GPU idle. An H200 has 132 multiprocessors, on whose matrix
 * units 128 workgroups of 128×128, or of 64×64, are faster than more of the next smaller tile, and 64 are not. A weight
 * gradient is split into slices until there are enough workgroups, in matrix kernels into few: 0.7 to 0.9 of the time of
 * many at most shapes of xresnet18.
 */
const ENOUGH_MATRICES = 128

/**
 * Largest fraction of the tiles that may lie beyond the product: with 32 columns in tiles of 64, half of the work is
 * idle.
 */
const IDLE = 0.25

function idleShare(kernel: KernelVariant, pass: ConvolutionPass, sizes: ConvolutionSizes): number {
  const { rows, columns } = productOf(pass, sizes)
  const whole = (count: number, tile: number) => Math.ceil(count / tile) * tile
  return 1 - (rows * columns) / (whole(rows, kernel.rows) * whole(columns, kernel.columns))
}

/**
 * Returns the candidates of the tuner: every tile that this GPU can run and that is not far larger than the product.
 * Where there are matrix units, only the default variant of the family `tile` is included, since matrix kernels were
 * four to nine times as fast at every shape of xresnet18 (H200). Kernels that programs have registered come last.
 */
export function candidateKernels(gpu: Gpu, pass: ConvolutionPass, sizes: ConvolutionSizes): readonly KernelVariant[] {
  const { rows, columns } = productOf(pass, sizes)
  const tileKernels = TILES.map(tileKernel).filter((kernel) => tileKernelFits(gpu, kernel))
  const matrices = takesMatrices(pass, sizes) && !gpu.matrices.emulated ? matrixCandidates(gpu) : []
  const all = matrices.length > 0 ? [defaultKernel(gpu, pass, sizes, 'tile'), ...matrices] : tileKernels
  const fitting = all.filter(
    (kernel) => kernel.rows < 2 * Math.max(rows, 32) && kernel.columns < 2 * Math.max(columns, 32),
  )
  const own = ownKernels.filter((one) => one.pass === pass && one.takes(sizes)).map(({ variant }) => variant)
  const candidates = [...fitting, ...own]
  if (pass !== 'backward-weight') return candidates
  return candidates.flatMap((kernel) =>
    slicesWanted(gpu, kernel, sizes) > 1 ? [kernel, { ...kernel, slices: 'few' as const }] : [kernel],
  )
}

/**
 * Formats the name of a kernel variant, as used in tables of choices: `tile 64×64×16, 8×8 a thread`, `matrix
 * 128×128×32, 2×2 subgroups, 16×16×16`.
 */
export function kernelName({
  family,
  rows,
  columns,
  constants,
  slices,
  own,
  asksLanes = false,
}: KernelVariant): string {
  const few = slices === 'few' ? ', few slices' : ''
  if (own) return `${own.name} ${rows}×${columns}${few}`
  const { TILE_K, THREAD_M, THREAD_N, LANES, SUBGROUPS_M, SUBGROUPS_N } = constants
  const { MATRIX_M, MATRIX_N, MATRIX_K, MATRIX_F32 } = constants
  const unit = `${MATRIX_M}×${MATRIX_N}×${MATRIX_K}${MATRIX_F32 ? ' f32' : ''}`
  const how = {
    broadcast: '',
    tile: `×${TILE_K}, ${THREAD_M}×${THREAD_N} a thread`,
    matrix: `×${TILE_K}, ${SUBGROUPS_M}×${SUBGROUPS_N} subgroups${asksLanes ? ` of ${LANES}` : ''}, ${unit}`,
  }[family]
  return `${family} ${rows}×${columns}${how}${few}`
}

/** Returns the number of workgroups of a pass before it is split into slices. */
export function workgroupsOf(kernel: KernelVariant, pass: ConvolutionPass, sizes: ConvolutionSizes): number {
  const { rows, columns, classes } = productOf(pass, sizes)
  return classes * Math.ceil(rows / kernel.rows) * Math.ceil(columns / kernel.columns)
}

/** Returns the number of slices into which a weight gradient should be split. */
export function slicesWanted(gpu: Gpu, kernel: KernelVariant, sizes: ConvolutionSizes): number {
  const full = (gpu.software ? FULL.software : FULL.gpu) / (kernel.slices === 'few' ? FEW : 1)
  return Math.ceil(full / workgroupsOf(kernel, 'backward-weight', sizes))
}

/**
 * Relative cost of a column in a narrow kernel: a wide one reaches 145 GFLOP/s, a narrow one 132, where neither has
 * idle lanes.
 */
const NARROW_COST = 1.1

/**
 * Makes a broadcast variant, pixels (or output channels) by channels: four channels per lane, or two where that leaves
 * fewer lanes idle (see shaders/lib/broadcast-tile.wgsl).
 */
function broadcastKernel({ subgroupSize }: Gpu, pass: ConvolutionPass, sizes: ConvolutionSizes): KernelVariant {
  const lanes = Math.min(subgroupSize, 16)
  const STEP = sizes.dtype === 'f32' && lanes === 16 ? 2 : 4
  const wide = {
    family: 'broadcast',
    rows: 2 * lanes,
    columns: 4 * subgroupSize,
    constants: { STEP },
    slices: 'many',
  } as const
  const { columns } = productOf(pass, sizes)
  const computed = (tile: number) => Math.ceil(columns / tile) * tile
  if (NARROW_SHADERS[pass] === undefined || computed(wide.columns) <= NARROW_COST * computed(wide.columns / 2)) {
    return wide
  }
  return { ...wide, rows: 2 * wide.rows, columns: wide.columns / 2, narrow: true }
}

function tileKernel([TILE_M, TILE_N, TILE_K, THREAD_M, THREAD_N]: Tile): KernelVariant {
  return {
    family: 'tile',
    rows: TILE_M,
    columns: TILE_N,
    constants: { TILE_M, TILE_N, TILE_K, THREAD_M, THREAD_N },
    slices: 'many',
  }
}

/** Returns true if a tile variant satisfies the limits of the device: small ones have 16 KiB and 128 threads. */
function tileKernelFits({ device: { limits } }: Gpu, kernel: KernelVariant): boolean {
  const { rows, columns, constants } = kernel
  const threads = (rows / constants.THREAD_M) * (columns / constants.THREAD_N)
  return tileBytes(kernel) <= limits.maxComputeWorkgroupStorageSize && threads <= mostThreads(limits)
}

/**
 * Returns the workgroup memory in bytes of the largest of the three shaders: two tiles of vec4f, each row one vector
 * longer than the step.
 */
function tileBytes({ rows, columns, constants: { TILE_K } }: KernelVariant): number {
  return (rows + columns) * (TILE_K / 4 + 1) * 16
}

/**
 * Returns the matrix variants of the tuner: all tiles for the preferred matrices, and for other operands or subgroups those
 * that the rule considers.
 */
function matrixCandidates(gpu: Gpu): readonly KernelVariant[] {
  const { sizes } = gpu.matrices
  const first = ({ component, lanes }: MatrixSize, i: number) =>
    i === sizes.findIndex((size) => size.component === component && size.lanes === lanes)
  return sizes.filter(first).flatMap((size, i) => matrixKernels(gpu, i === 0 ? MATRIX_TILES : RULE_TILES, size))
}

/** Returns the matrix variants of some tiles that this GPU can run, by default for the preferred matrices that it offers. */
function matrixKernels(gpu: Gpu, tiles: readonly MatrixTile[], size = gpu.matrices.sizes[0]): readonly KernelVariant[] {
  return tiles.flatMap(([rows, columns, down, across]) => {
    const kernels = MATRIX_STEPS.map((step) => matrixKernel(gpu, [rows, columns, step, down, across], size))
    return kernels.find((kernel) => matrixKernelFits(gpu, kernel)) ?? []
  })
}

/** Makes a matrix variant from a tile and the size of a hardware matrix. */
export function matrixKernel(
  gpu: Gpu,
  [TILE_M, TILE_N, TILE_K, SUBGROUPS_M, SUBGROUPS_N]: Tile,
  { M, N, K, component, lanes = gpu.matrices.lanes }: MatrixSize,
): KernelVariant {
  const constants = {
    LANES: lanes,
    TILE_M,
    TILE_N,
    TILE_K,
    SUBGROUPS_M,
    SUBGROUPS_N,
    MATRIX_M: M,
    MATRIX_N: N,
    MATRIX_K: K,
    MATRIX_F32: component === 'f32' ? 1 : 0,
  }
  const variant = { family: 'matrix', rows: TILE_M, columns: TILE_N, constants, slices: 'many' } as const
  return lanes === gpu.matrices.lanes ? variant : { ...variant, asksLanes: true }
}

/** Returns true if a matrix variant satisfies the `const_assert`s of the shaders and the limits of the device. */
export function matrixKernelFits({ device: { limits } }: Gpu, { constants }: KernelVariant): boolean {
  const { LANES, TILE_M, TILE_N, TILE_K, SUBGROUPS_M, SUBGROUPS_N } = constants
  const { MATRIX_M, MATRIX_N, MATRIX_K, MATRIX_F32 } = constants
  const threads = LANES * SUBGROUPS_M * SUBGROUPS_N
  const loaders = threads / (TILE_K / GROUP)
  const whole = [
    TILE_M / (SUBGROUPS_M * MATRIX_M),
    TILE_N / (SUBGROUPS_N * MATRIX_N),
    TILE_K / MATRIX_K,
    ...[TILE_M, TILE_N, TILE_K].map((side) => side / (2 * GROUP)),
    loaders,
    TILE_M / loaders,
    TILE_N / loaders,
    (TILE_K * TILE_M) / (GROUP * threads),
    (TILE_K * TILE_N) / (GROUP * threads),
    threads / (TILE_N / GROUP),
  ]
  // Two tiles of f16 or f32, each row 16 bytes longer than its contents; the first also has room for one row of results of
  // every subgroup.
  const tileOf = (side: number) => (MATRIX_F32 ? 4 : 2) * side * TILE_K + 16 * Math.max(side, TILE_K)
  const bytes = Math.max(tileOf(TILE_M), 4 * SUBGROUPS_M * MATRIX_M * TILE_N) + tileOf(TILE_N)
  return (
    whole.every(Number.isInteger) && threads <= mostThreads(limits) && bytes <= limits.maxComputeWorkgroupStorageSize
  )
}
