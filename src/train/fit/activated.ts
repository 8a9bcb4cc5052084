import { sigmoid } from '../../ops/activations.ts'
import { softmax } from '../../ops/softmax.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { Activation } from './losses.ts'

/** Computes predictions from outputs of a model, [N,K] f32. */
export function activated({ activation }: { readonly activation?: Activation | undefined }, outputs: Tensor): Tensor {
  if (activation === 'none') return outputs
  return activation === 'sigmoid' ? sigmoid(outputs) : softmax(outputs)
}
