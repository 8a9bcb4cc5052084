import { requireInteger } from '../../base/check.ts'
import { OptionError } from '../../base/errors.ts'
import { checkOptions, FUNCTION, NUMBER, objectWith, oneOfTexts, TEXT, type Kinds } from '../../base/options.ts'
import { rng } from '../../base/rng.ts'
import { shaderSource, type RegisteredShader } from '../../gpu/shader-source.ts'
import { ownKernels } from './families.ts'
import { PASSES, type ConvolutionPass, type ConvolutionSizes } from './sizes.ts'

/** Convolution kernel of a program, for one pass. */
export interface ConvolutionKernel {
  /** Name in tables of choices and in messages. */
  readonly name: string
  readonly pass: ConvolutionPass
  /** Shader, as `registerShader` returned it. */
  readonly shader: RegisteredShader
  /** Rows and columns of the product (see `ConvolutionPass`) that a workgroup computes, which say how many are launched. */
  readonly rows: number
  readonly columns: number
  /** Values of the shader's `@const` constants. Default none */
  readonly constants?: Readonly<Record<string, number>>
  /** Returns true for sizes that the kernel can compute. Default: all */
  readonly takes?: (sizes: ConvolutionSizes) => boolean
}

/** Check of the name of a pass. */
export const PASS = oneOfTexts(...PASSES)

const KINDS: Kinds<ConvolutionKernel> = {
  name: TEXT,
  pass: PASS,
  shader: TEXT,
  rows: NUMBER,
  columns: NUMBER,
  constants: objectWith('{ … }'),
  takes: FUNCTION,
}

/**
 * Registers a kernel for one pass of convolutions and matrix products as a variant beside the library's: the tuner times it with
 * them, and uses it for the sizes where it is fastest and its results are those of the family `tile`. Before the tuner runs
 * nothing changes; `tune({ force: true })` runs it on any adapter.
 *
 * It is tried for every pass that it takes, at the next fit or `tune`, also for those that the tuner has chosen a kernel for:
 * choices are stored with the kernels of programs that were compared, and a kernel whose text, tile or constants have changed is
 * a new one. A fit that is resumed from a checkpoint keeps the kernels of the checkpoint.
 *
 *   const shader = registerShader('mine/forward', wgsl)
 *   registerConvolutionKernel({ name: 'mine', pass: 'forward', shader, rows: 16, columns: 64 })
 *
 * The shader has the bindings of the pass, in this order, and the line `@shape N H W C P Q O R S STRIDE PAD`, for
 * 'backward-weight' with `SLICES` as well. Tensors are those of `ConvolutionSizes`, their last axis padded to a multiple of four
 * with zeros, in the storage type `T4` (see shaders/README.md); dw is f32. It is launched with a workgroup for each tile of the
 * product, ⌈rows of the product / rows⌉ · ⌈columns of the product / columns⌉ of them:
 *
 *   pass             bindings      product, rows × columns              workgroups
 *   forward          x weight y    N·P·Q × O                            a count, see `workgroupIndex`
 *   backward-input   dy weight dx  N·⌈H/STRIDE⌉·⌈W/STRIDE⌉ × C          a count, once for each of STRIDE² classes of pixels
 *   backward-weight  x dy dw       O × 4·R·S·⌈C/4⌉                      [columns, rows, SLICES]
 *
 * A pixel of dx belongs to the class of its row and column modulo STRIDE, as those of a class have the same taps; a kernel may
 * number pixels in another way. The library divides the gradient of the weight into SLICES where there are too few workgroups
 * to fill the GPU, and adds them up: each slice writes a dw of its own, all of it, into dw [SLICES,O,R,S,C]. There the pixels of
 * a 1×1 convolution may lie in other rows and images than those of `takes`. A binding `foundInfinity` (lib/overflow) is
 * optional.
 *
 * test/examples/own-convolution.mjs has a plain kernel of each pass.
 *
 * @throws OptionError  if an option is not of its kind, the shader is not registered, or the name is taken
 */
export function registerConvolutionKernel(kernel: ConvolutionKernel): void {
  checkOptions('registerConvolutionKernel', kernel, KINDS, ['name', 'pass', 'shader'])
  const { name, pass, shader, rows, columns, constants = {}, takes = () => true } = kernel
  requireInteger('registerConvolutionKernel', 'rows', rows, { from: 1 })
  requireInteger('registerConvolutionKernel', 'columns', columns, { from: 1 })
  if (name === '' || ownKernels.some(({ variant }) => variant.own?.name === name)) {
    throw new OptionError('registerConvolutionKernel', 'the name cannot be used', {
      given: { name },
      expected: 'a name that no other kernel has',
    })
  }
  // Refuses a shader that does not exist, with its name.
  const { text } = shaderSource(shader)
  const fingerprint = rng(0, JSON.stringify([text, rows, columns, constants]))
    .bits()
    .toString(16)
  const variant = { family: 'tile', own: { name, shader }, rows, columns, constants, slices: 'many' } as const
  ownKernels.push({ pass, variant, takes, version: `${name} ${fingerprint}` })
}
