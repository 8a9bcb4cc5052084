import type { TuneOptions } from '../../ops/convolution/tuner.ts'
import { goingOn, tunes } from '../../ops/convolution/tunes.ts'
import { backward } from '../../tensor/backward.ts'
import { noGrad } from '../../tensor/op.ts'
import { tensor } from '../../tensor/read-write.ts'
import { keep, release, scope } from '../../tensor/scope.ts'
import type { FitState } from './state.ts'
import { modelOutputs, requireLoss } from './step.ts'

/**
 * Trains after a search for kernels (see `tuneKernels`). A search tries kernels that other fits of the GPU would launch as well,
 * so that it waits for another one, fits wait for it, and there is none while another fit trains.
 */
export async function withTunedKernels(
  state: FitState,
  options: TuneOptions,
  train: () => Promise<void>,
): Promise<void> {
  const going = goingOn()
  const search = going.searched.then(async () => {
    if (going.fits === 0) return tuneKernels(state, options)
    if (!tunes(options)) return
    state.platform.log('another fit on this GPU is going on: no kernels are searched for before this one')
  })
  going.searched = search.catch(() => undefined)
  await search
  going.fits++
  try {
    await train()
  } finally {
    going.fits--
  }
}

/**
 * Times kernel variants for the model's convolutions, forward and both gradients, before a fit on a GPU. One forward
 * pass collects the shapes; if all of them have been tuned before, that pass is the only cost. Otherwise it takes half as
 * long as the steps of the fit at most, which a few of them show, and 20 s for all fits of a GPU together; with `seconds`,
 * that long. Choices are kept if forward and backward pass of a whole batch get faster. Weights, running statistics and
 * random numbers stay as they are. An interrupted fit tunes no further.
 *
 * @throws ShapeError, OptionError  if outputs, targets and loss do not fit together, as the first step of the fit would
 */
async function tuneKernels(state: FitState, options: TuneOptions): Promise<void> {
  const { loaders, loss, model } = state
  const stopped = (): boolean => state.interrupted
  if (stopped() || !tunes(options)) return
  const dtype = state.precision === 'mixed' ? 'f16' : 'f32'
  const optimizer = state.openOptimizer()
  const batch = await loaders.oneBatch()
  const one = keep(tensor([1], []))
  // The loss scale of mixed precision changes no kernel.
  const step = (): void =>
    scope(() => {
      backward(requireLoss(state, loss.mean(modelOutputs(state, batch.augment(dtype)), batch.targets)), one)
      // With the flag of an overflow, which is none of the fit.
      optimizer.zeroGradients()
    })
  try {
    // Keeps the running statistics unchanged; the fit itself calls `train()`.
    model.eval()
    scope(() => noGrad(() => void modelOutputs(state, batch.input(dtype))))
    // Loaded when it is needed: software adapters do without.
    const { tune } = await import('../../ops/convolution/tuner.ts')
    await tune({ gradients: true, stopped, step, steps: state.epochs * loaders.train.batchCount, ...options })
  } finally {
    batch.release()
    release(one)
  }
}
