import { DeviceError } from '../base/errors.ts'
import { currentGpu } from '../gpu/device.ts'
import { KERNEL_FAMILIES, shadersOfFamily } from '../gpu/kernel-families.ts'
import type { OpDefinition } from './op.ts'
import type { Inputs } from './tensor.ts'

/** Declares a part that a page does not need before it computes: it is loaded as a GPU is opened, or at once if one was. */
export function loadWithGpu(load: () => Promise<unknown>): void {
  for (const family of KERNEL_FAMILIES) shadersOfFamily(family, load)
}

/**
 * Declares a part as `loadWithGpu` does.
 *
 * @returns  function that returns the part, for the operation of a name
 * @throws DeviceError  from the function, if no GPU is open, or the part has not arrived since it was declared after that
 */
export function partWithGpu<Part>(load: () => Promise<Part>): (operation: string) => Part {
  let part: Part | undefined
  loadWithGpu(async () => {
    part = await load()
  })
  return (operation) => {
    if (part) return part
    currentGpu()
    throw new DeviceError(operation, 'its kernels are not loaded yet', { fix: 'import it before the GPU is opened' })
  }
}

/** Functions of an operation that only run with tensors, and therefore with a GPU. */
export type Passes<I extends Inputs, Options, Plan> = Pick<
  OpDefinition<I, Options, Plan>,
  'plan' | 'forward' | 'backward'
>

/** Returns functions of an operation that are loaded as a GPU is opened: see `partWithGpu`. */
export function passesWithGpu<I extends Inputs, Options, Plan>(
  operation: string,
  load: () => Promise<Passes<I, Options, Plan>>,
): Passes<I, Options, Plan> {
  const passes = partWithGpu(load)
  return {
    plan: (...given) => passes(operation).plan(...given),
    forward: (...given) => passes(operation).forward(...given),
    backward: (...given) => passes(operation).backward(...given),
  }
}
