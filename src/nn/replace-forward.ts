import type { Tensor } from '../tensor/tensor.ts'

/** The `forward` of any module: some take more than the input, such as BatchNorm's. */
type Forward = (x: Tensor, ...more: unknown[]) => Tensor

/** Replaces the `forward` of a module by one made from it. @returns a function that puts the former back */
export function replaceForward(module: { forward: Forward }, make: (forward: Forward) => Forward): () => void {
  const own = Object.getOwnPropertyDescriptor(module, 'forward')
  module.forward = make(module.forward.bind(module))
  return () => {
    if (own) Object.defineProperty(module, 'forward', own)
    else delete (module as Partial<typeof module>).forward
  }
}
