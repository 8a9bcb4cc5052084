import { adam, crossEntropy, xresnet18 } from 'wgrad'
import { backward, cast, item, keep, release, scope, tensor } from 'wgrad/tensor'
import { LossScaler } from 'wgrad/train'

/** A training step by hand, on the images x [N,H,W,3] with the classes a [N]: returns a function that makes one. */
export function stepByHand(x: Float32Array, shape: readonly [number, number, number, 3], a: Uint32Array) {
  const model = xresnet18({ outputs: 10 })
  const optimizer = adam()([model.parameters()])
  optimizer.keepF16Copies()
  const scaler = new LossScaler({ mixed: true })
  const images = keep(tensor(x, shape, 'f16'))
  const classes = keep(tensor(a, [a.length], 'u32'))

  return async (): Promise<number> => {
    optimizer.setHyperparameters([{ lr: 1e-3, momentum: 0.9 }])
    const loss = scope(() => {
      const mean = crossEntropy().mean(cast(model.forward(images), 'f32'), { a: classes })
      backward(mean, scaler.scale)
      optimizer.step(scaler)
      optimizer.zeroGradients()
      return mean
    })
    const value = await item(loss)
    release(loss)
    return value
  }
}
