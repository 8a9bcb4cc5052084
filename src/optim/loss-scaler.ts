import { launch } from '../tensor/launch.ts'
import { keep, release } from '../tensor/scope.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { item, tensor, upload } from '../tensor/read-write.ts'

/** Source: torch.cuda.amp.GradScaler's defaults: twice as much after 2000 good steps, half after a bad one (optim/advance-scale.wgsl). */
const FIRST_SCALE = 65536
const GROWTH_INTERVAL = 2000

/**
 * What the loss is multiplied by before backward, so that small gradients do not vanish in f16; all of it on the GPU.
 *
 * A step whose gradients hold an infinity is bad: it moves no parameter, forgets nothing, and f16Copies the scale. In f32
 * the scale stays 1 and nothing is looked for.
 * Source: Micikevicius et al. 2018, arXiv:1710.03740; torch.cuda.amp.GradScaler.
 */
export class LossScaler {
  /** Mixed precision: f16 activations. */
  readonly mixed: boolean
  /** [] f32: what backward begins with, and the optimizer divides gradients by. */
  readonly scale: Tensor
  /** [] u32: 1 when the last step that has ended was bad. */
  readonly skipped: Tensor
  /** [] f32: bad steps so far. */
  readonly skippedSteps: Tensor
  private readonly goodSteps: Tensor

  constructor({ mixed }: { readonly mixed: boolean }) {
    this.mixed = mixed
    this.scale = keep(tensor([mixed ? FIRST_SCALE : 1], []))
    this.skipped = keep(tensor([0], [], 'u32'))
    this.skippedSteps = keep(tensor([0], []))
    this.goodSteps = keep(tensor([0], [], 'u32'))
  }

  /** Ends a step: the scale for the next one. `foundInfinity`, [] u32, is 1 when it was a bad one, and 0 afterwards. */
  advance(foundInfinity: Tensor): void {
    if (!this.mixed) return
    const { scale, skipped, skippedSteps, goodSteps } = this
    launch(
      'optim/advance-scale',
      { scale, foundInfinity, skipped, skippedSteps, goodSteps },
      { groups: 1, shape: { GROWTH_INTERVAL }, track: 'optimizer' },
    )
  }

  /** For a checkpoint. */
  async state(): Promise<{ readonly scale: number; readonly goodSteps: number }> {
    return { scale: await item(this.scale), goodSteps: await item(this.goodSteps) }
  }

  loadState({ scale, goodSteps }: { readonly scale: number; readonly goodSteps: number }): void {
    upload(this.scale, [scale])
    upload(this.goodSteps, [goodSteps])
  }

  /** Gives its buffers back. */
  close(): void {
    for (const made of [this.scale, this.skipped, this.skippedSteps, this.goodSteps]) release(made)
  }
}
