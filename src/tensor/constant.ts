import { currentGpu, type Gpu } from '../gpu/device.ts'
import { tensor } from './read-write.ts'
import { keep } from './scope.ts'
import type { Tensor } from './tensor.ts'

/** Returns a function that returns numbers as a tensor [n] f32 of the open GPU, to which they are sent once. */
export function constant(numbers: readonly number[]): () => Tensor {
  const tensors = new WeakMap<Gpu, Tensor>()
  return () => {
    const gpu = currentGpu()
    const made = tensors.get(gpu) ?? keep(tensor(numbers, [numbers.length]))
    tensors.set(gpu, made)
    return made
  }
}
