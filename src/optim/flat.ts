import { DeviceError, OptionError } from '../base/errors.ts'
import { formatBytes } from '../base/format.ts'
import { currentGpu } from '../gpu/device.ts'
import { clear, copy, elementwise, launch } from '../tensor/launcher.ts'
import { isChecked, watchOverflow } from '../tensor/overflow.ts'
import { allocateWithin, keep, release } from '../tensor/scope.ts'
import { storedCount } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { Track } from '../tensor/track.ts'
import { tensor, zeros } from '../tensor/transfer.ts'
import type { Trainable } from './optimizer.ts'

/**
 * Elements to which a parameter's place is rounded up, those of a block in shaders/lib/blocks.wgsl: with 1024 bytes of f32
 * and 512 of f16, a binding may begin there.
 */
export const BLOCK = 256

/** Options of a launch over blocks, see shaders/lib/blocks.wgsl: four blocks per workgroup. */
export function overBlocks(blocks: number): {
  readonly groups: number
  readonly shape: { readonly BLOCKS: number }
  readonly track: Track
} {
  return { groups: Math.ceil(blocks / 4), shape: { BLOCKS: blocks }, track: 'optimizer' }
}

/** A parameter's place. */
export interface Slot {
  readonly parameter: Trainable
  /** Its number among all. */
  readonly index: number
  /** Elements before it in its chunk, a multiple of BLOCK. */
  readonly offset: number
}

/** As much as one binding can hold: parameters one behind the other, with zeros up to the next block. */
export interface Chunk {
  readonly slots: readonly Slot[]
  readonly blocks: number
  /** f32 [blocks·BLOCK] */
  readonly values: Tensor
  readonly gradients: Tensor
  /** Number of the parameter that each block belongs to, u32 [blocks]. */
  readonly owners: Tensor
  /** f16 */
  halves: Tensor | undefined
}

/** Who lives where, so that a place is given back when the last parameter has moved out, to another optimizer's. */
const homes = new WeakMap<Trainable, FlatParameters>()

/**
 * All parameters of a model in a few large buffers, and their gradients alike, so that one launch updates them all.
 * Each parameter's tensors become parts of these.
 */
export class FlatParameters {
  readonly chunks: readonly Chunk[]
  readonly count: number
  /** [] u32: 1 while a gradient of this step is known to be an infinity or NaN. */
  readonly foundInfinity: Tensor
  private residents: number

  /** @throws OptionError when a parameter is given twice, DeviceError when one is larger than a binding */
  constructor(parameters: readonly Trainable[]) {
    if (parameters.length === 0) throw new OptionError('optimizer', 'there are no parameters')
    const twice = parameters.find((parameter, i) => parameters.indexOf(parameter) !== i)
    if (twice) throw new OptionError('optimizer', 'a parameter is given twice', { given: { parameter: twice.path } })
    this.count = parameters.length
    this.residents = parameters.length
    this.foundInfinity = keep(zeros([], 'u32'))
    const limit = Math.floor(currentGpu().device.limits.maxStorageBufferBindingSize / 4 / BLOCK) * BLOCK
    this.chunks = assign(parameters, limit).map((slots) => this.settle(slots))
  }

  /** @throws OptionError when another optimizer has taken parameters from here */
  requireResidents(): void {
    if (this.residents === this.count) return
    throw new OptionError('optimizer', 'another optimizer has taken its parameters since', {
      given: { parameters: this.count, taken: this.count - this.residents },
      fix: 'a model has one optimizer at a time: go on with the optimizer, or the learner, that was made last',
    })
  }

  /** Makes f16 copies of all parameters, for forward passes to read and the optimizer to keep up to date. */
  keepHalves(): void {
    this.requireResidents()
    for (const chunk of this.chunks) {
      if (chunk.halves) continue
      const halves = keep(zeros(chunk.values.shape, 'f16'))
      launch('cast/to-f16', { x: chunk.values, y: halves }, { ...elementwise(chunk.values), dtype: 'f16' })
      chunk.halves = halves
      for (const slot of chunk.slots) slot.parameter.half = region(halves, slot)
    }
  }

  /** Looks for infinities and NaN where that was not done as the gradients were written. */
  checkOverflow(): void {
    for (const { slots, gradients, blocks } of this.chunks) {
      const isClear = ({ parameter: { leaf } }: Slot) =>
        !leaf.hasGradient || (leaf.gradient !== undefined && isChecked(leaf.gradient))
      if (slots.every(isClear)) continue
      launch('optim/check-overflow', { gradients, foundInfinity: this.foundInfinity }, overBlocks(blocks))
    }
  }

  /** Forgets what was found; nothing, where all parameters have moved to another optimizer. */
  forgetOverflow(): void {
    if (this.residents > 0) clear(this.foundInfinity)
  }

  /** Zeros in the shape of the chunks: an average for each number. */
  zerosAlike(): Tensor[] {
    return this.chunks.map(({ values }) => keep(zeros(values.shape)))
  }

  private settle(slots: readonly Slot[]): Chunk {
    const owners = slots.flatMap((slot) => new Array<number>(blocksOf(slot.parameter)).fill(slot.index))
    const shape = [owners.length * BLOCK]
    const chunk: Chunk = {
      slots,
      blocks: owners.length,
      values: keep(zeros(shape)),
      gradients: keep(zeros(shape)),
      owners: keep(tensor(owners, [owners.length], 'u32')),
      halves: undefined,
    }
    for (const slot of slots) this.moveIn(chunk, slot)
    return chunk
  }

  private moveIn(chunk: Chunk, slot: Slot): void {
    const { parameter } = slot
    const { leaf } = parameter
    const gradient = region(chunk.gradients, slot)
    watchOverflow(gradient, this.foundInfinity)
    parameter.moveTo(region(chunk.values, slot))
    // One that is not of this step is left behind, and with it what a bad step may have left in it.
    if (leaf.gradient && leaf.hasGradient) copy(leaf.gradient, gradient)
    if (leaf.gradient) release(leaf.gradient)
    leaf.gradient = gradient
    homes.get(parameter)?.moveOut()
    homes.set(parameter, this)
  }

  private moveOut(): void {
    if (--this.residents > 0) return
    for (const { values, gradients, owners, halves } of this.chunks) {
      for (const made of [values, gradients, owners, halves]) if (made) release(made)
    }
    release(this.foundInfinity)
  }
}

/** The buffers that an optimizer has made for all of these parameters. @throws OptionError when there are none such */
export function homeOf(parameters: readonly Trainable[]): FlatParameters {
  const [home, ...others] = new Set(parameters.map((parameter) => homes.get(parameter)))
  if (home && others.length === 0) return home
  throw new OptionError(
    'optimizer',
    'these parameters do not live together: another optimizer has taken some of them',
    {
      given: { parameters: parameters.length },
      fix: 'use the optimizer that was made last',
    },
  )
}

/** A parameter's part of a buffer that is laid out as its chunk. */
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

/** Parameters to chunks of at most `limit` elements, in their order. */
function assign(parameters: readonly Trainable[], limit: number): Slot[][] {
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
