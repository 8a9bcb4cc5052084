import { DeviceError, OptionError } from '../base/errors.ts'
import { formatBytes } from '../base/format.ts'
import { currentGpu } from '../gpu/device.ts'
import { clear, copy, elementwise, launch } from '../tensor/launch.ts'
import { isChecked, watchOverflow } from '../tensor/overflow.ts'
import { allocateWithin, keep, release } from '../tensor/scope.ts'
import { storedCount } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { Track } from '../tensor/track.ts'
import { tensor, zeros } from '../tensor/read-write.ts'
import type { Trainable } from './optimizer.ts'
import '../gpu/wgsl/cast/to-f16.ts'
import '../gpu/wgsl/optim/check-overflow.ts'

/**
 * Elements of a block, see shaders/lib/blocks.wgsl. Every parameter starts a block: at a multiple of 1024 bytes of f32 or
 * 512 of f16, where a binding may begin.
 */
export const BLOCK = 256

/** Options of a launch over blocks, see shaders/lib/blocks.wgsl: four blocks per workgroup, four vectors per thread. */
export function overBlocks(blocks: number): {
  readonly groups: number
  readonly shape: { readonly BLOCKS: number; readonly TURNS: number }
  readonly track: Track
} {
  return { groups: Math.ceil(blocks / 4), shape: { BLOCKS: blocks, TURNS: 4 }, track: 'optimizer' }
}

/** Position of a parameter in the buffers. */
export interface Slot {
  readonly parameter: Trainable
  /** Number of the parameter among all. */
  readonly index: number
  /** Elements before it in its chunk, a multiple of BLOCK. */
  readonly offset: number
}

/** Parameters that fit one binding, one after the other, each padded with zeros up to the next block. */
export interface Chunk {
  readonly slots: readonly Slot[]
  readonly blocks: number
  /** Values of the parameters, [blocks·BLOCK] f32. */
  readonly values: Tensor
  /** Gradients of the parameters, in the layout of the values. */
  readonly gradients: Tensor
  /** Number of the parameter that each block belongs to, [blocks] u32. */
  readonly owners: Tensor
  /** Copies of the values, [blocks·BLOCK] f16; undefined until `keepF16Copies`. */
  f16Copies: Tensor | undefined
}

/** Buffers that each parameter is attached to at present. */
const attachedTo = new WeakMap<Trainable, ParameterBuffers>()

/**
 * All parameters of a model in a few large buffers, and all their gradients in others, so that one launch updates them all.
 *
 * Making the buffers attaches the parameters: their tensors become parts of these, and they are detached from the buffers
 * of an earlier optimizer, which are released with the last of their parameters.
 */
export class ParameterBuffers {
  readonly chunks: readonly Chunk[]
  /** Number of parameters. */
  readonly count: number
  /** Overflow flag shared by all gradients, [] u32: 1 once a check has found Inf or NaN in this step. */
  readonly foundInfinity: Tensor
  /** Number of parameters that are still attached. */
  private attached: number

  /** @throws OptionError  if a parameter is given twice  @throws DeviceError  if one is larger than a binding */
  constructor(parameters: readonly Trainable[]) {
    if (parameters.length === 0) throw new OptionError('optimizer', 'there are no parameters')
    const twice = parameters.find((parameter, i) => parameters.indexOf(parameter) !== i)
    if (twice) throw new OptionError('optimizer', 'a parameter is given twice', { given: { parameter: twice.path } })
    this.count = parameters.length
    this.attached = parameters.length
    this.foundInfinity = keep(zeros([], 'u32'))
    const limit = Math.floor(currentGpu().buffers.limitBytes / 4 / BLOCK) * BLOCK
    this.chunks = layOut(parameters, limit).map((slots) => this.makeChunk(slots))
  }

  /** Requires all parameters to be attached. @throws OptionError  if some were attached to the buffers of another optimizer */
  requireAttached(): void {
    if (this.attached === this.count) return
    throw new OptionError('optimizer', 'its parameters now belong to another optimizer', {
      given: { parameters: this.count, taken: this.count - this.attached },
      fix: 'a model has one optimizer at a time: use the optimizer, or the learner, that was made last',
    })
  }

  /** Makes f16 copies of all parameters, which forward passes read and the optimizer keeps up to date. */
  keepF16Copies(): void {
    this.requireAttached()
    for (const chunk of this.chunks) {
      if (chunk.f16Copies) continue
      const f16Copies = keep(zeros(chunk.values.shape, 'f16'))
      launch('cast/to-f16', { x: chunk.values, y: f16Copies }, { ...elementwise(chunk.values), dtype: 'f16' })
      chunk.f16Copies = f16Copies
      for (const slot of chunk.slots) slot.parameter.f16Copy = region(f16Copies, slot)
    }
  }

  /** Raises the overflow flag for gradients that were not checked as they were written. */
  checkOverflow(): void {
    for (const { slots, gradients, blocks } of this.chunks) {
      const isClear = ({ parameter: { leaf } }: Slot) =>
        !leaf.hasGradient || (leaf.gradient !== undefined && isChecked(leaf.gradient))
      if (slots.every(isClear)) continue
      launch('optim/check-overflow', { gradients, foundInfinity: this.foundInfinity }, overBlocks(blocks))
    }
  }

  /** Clears the overflow flag; does nothing once all parameters are detached, as the flag is released then. */
  clearOverflow(): void {
    if (this.attached > 0) clear(this.foundInfinity)
  }

  /** Returns zeros in the shapes of the chunks, one number per number of the parameters. */
  zerosAlike(): Tensor[] {
    return this.chunks.map(({ values }) => keep(zeros(values.shape)))
  }

  private makeChunk(slots: readonly Slot[]): Chunk {
    const owners = slots.flatMap((slot) => new Array<number>(blocksOf(slot.parameter)).fill(slot.index))
    const shape = [owners.length * BLOCK]
    const chunk: Chunk = {
      slots,
      blocks: owners.length,
      values: keep(zeros(shape)),
      gradients: keep(zeros(shape)),
      owners: keep(tensor(owners, [owners.length], 'u32')),
      f16Copies: undefined,
    }
    for (const slot of slots) this.attach(chunk, slot)
    return chunk
  }

  /** Makes a parameter's tensors parts of a chunk. */
  private attach(chunk: Chunk, slot: Slot): void {
    const { parameter } = slot
    const { leaf } = parameter
    const gradient = region(chunk.gradients, slot)
    watchOverflow(gradient, this.foundInfinity)
    parameter.moveTo(region(chunk.values, slot))
    // A gradient of an earlier step, which may be of a skipped one, is not copied.
    if (leaf.gradient && leaf.hasGradient) copy(leaf.gradient, gradient)
    if (leaf.gradient) release(leaf.gradient)
    leaf.gradient = gradient
    attachedTo.get(parameter)?.detachOne()
    attachedTo.set(parameter, this)
  }

  /** Counts a parameter as detached, and releases the buffers with the last one. */
  private detachOne(): void {
    if (--this.attached > 0) return
    for (const { values, gradients, owners, f16Copies } of this.chunks) {
      for (const made of [values, gradients, owners, f16Copies]) if (made) release(made)
    }
    release(this.foundInfinity)
  }
}

/** Returns the buffers that all of these parameters are attached to. @throws OptionError  if there are no such buffers */
export function buffersOf(parameters: readonly Trainable[]): ParameterBuffers {
  const [buffers, ...others] = new Set(parameters.map((parameter) => attachedTo.get(parameter)))
  if (buffers && others.length === 0) return buffers
  throw new OptionError('optimizer', 'some of these parameters belong to another optimizer', {
    given: { parameters: parameters.length },
    fix: 'use the optimizer that was made last',
  })
}

/** Returns the part of a parameter in a buffer with the layout of its chunk. */
export function region(whole: Tensor, { parameter, offset }: Slot): Tensor {
  const bytes = whole.dtype === 'f16' ? 2 : 4
  return allocateWithin(whole, { shape: parameter.shape, dtype: whole.dtype }, offset * bytes)
}

/** Sets a parameter's gradient to zeros. */
export function clearGradient({ parameter }: Slot): void {
  if (parameter.leaf.gradient) clear(parameter.leaf.gradient)
}

function blocksOf({ shape }: Trainable): number {
  return Math.ceil(storedCount({ shape, dtype: 'f32' }) / BLOCK)
}

/** Returns the slots of parameters, in order, in chunks of at most `limit` elements. */
function layOut(parameters: readonly Trainable[], limit: number): Slot[][] {
  const chunks: Slot[][] = []
  let used = limit
  parameters.forEach((parameter, index) => {
    const size = blocksOf(parameter) * BLOCK
    if (size > limit) {
      throw new DeviceError(parameter.path, 'this parameter is larger than this adapter can bind', {
        given: { parameter: formatBytes(size * 4) },
        expected: `at most ${formatBytes(limit * 4)} (maxStorageBufferBindingSize)`,
      })
    }
    if (used + size > limit) {
      chunks.push([])
      used = 0
    }
    chunks[chunks.length - 1].push({ parameter, index, offset: used })
    used += size
  })
  return chunks
}
