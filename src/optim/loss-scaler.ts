import { launch } from '../tensor/launch.ts'
import { keep, release } from '../tensor/scope.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { item, tensor, upload } from '../tensor/read-write.ts'
import '../gpu/wgsl/optim/advance-scale.ts'

/** Scale of the first step. Source: defaults of torch.cuda.amp.GradScaler. */
const FIRST_SCALE = 65536
/** Number of consecutive good steps after which the scale doubles; a bad step halves it (optim/advance-scale.wgsl). */
const GROWTH_INTERVAL = 2000

/**
 * Scale of the loss before backward, which keeps small gradients from vanishing in f16. It is computed on the GPU.
 *
 * A step whose gradients contain Inf or NaN is bad: it is skipped without changing parameters or moments, and halves the
 * scale. In f32 the scale stays 1 and gradients are not checked.
 * Source: Micikevicius et al. 2018, arXiv:1710.03740; torch.cuda.amp.GradScaler.
 */
export class LossScaler {
  /** True in mixed precision: f16 activations. */
  readonly mixed: boolean
  /** Loss scale, [] f32: the seed of backward, by which the optimizer divides gradients. */
  readonly scale: Tensor
  /** [] u32: 1 if the last completed step was bad. */
  readonly skipped: Tensor
  /** Number of bad steps so far, [] f32. */
  readonly skippedSteps: Tensor
  private readonly goodSteps: Tensor

  constructor({ mixed }: { readonly mixed: boolean }) {
    this.mixed = mixed
    this.scale = keep(tensor([mixed ? FIRST_SCALE : 1], []))
    this.skipped = keep(tensor([0], [], 'u32'))
    this.skippedSteps = keep(tensor([0], []))
    this.goodSteps = keep(tensor([0], [], 'u32'))
  }

  /** Ends a step and sets the scale of the next one. `foundInfinity`, [] u32, is 1 if the step was bad, and is cleared. */
  advance(foundInfinity: Tensor): void {
    if (!this.mixed) return
    const { scale, skipped, skippedSteps, goodSteps } = this
    launch(
      'optim/advance-scale',
      { scale, foundInfinity, skipped, skippedSteps, goodSteps },
      { groups: 1, shape: { GROWTH_INTERVAL }, track: 'optimizer' },
    )
  }

  /** Reads the state that a checkpoint saves. */
  async state(): Promise<{ readonly scale: number; readonly goodSteps: number }> {
    return { scale: await item(this.scale), goodSteps: await item(this.goodSteps) }
  }

  /** Restores a saved state. */
  loadState({ scale, goodSteps }: { readonly scale: number; readonly goodSteps: number }): void {
    upload(this.scale, [scale])
    upload(this.goodSteps, [goodSteps])
  }

  /** Releases its buffers. */
  close(): void {
    for (const made of [this.scale, this.skipped, this.skippedSteps, this.goodSteps]) release(made)
  }
}
