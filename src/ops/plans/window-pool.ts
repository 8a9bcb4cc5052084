import { formatShape } from '../../base/format.ts'
import { imagePass, onGrid } from '../../gpu/grid.ts'
import type { ShaderName } from '../../gpu/shader-source.ts'
import { launch, storageDtype } from '../../tensor/launch.ts'
import { parts } from '../../tensor/parts.ts'
import { padTo4, type Shape } from '../../tensor/shape.ts'
import type { Tensor } from '../../tensor/tensor.ts'

/** Plan of a pool that makes images of P × Q windows from images of H × W pixels: its result, and its launches but for their grids. */
export interface WindowPoolPlan {
  readonly output: Shape
  readonly shape: Readonly<Record<'H' | 'W' | 'P' | 'Q' | 'VECTORS', number>> & { readonly WINDOW?: number }
  readonly constants?: Readonly<Record<string, number>>
  readonly dtype: 'f32' | 'f16'
  readonly detail: string
}

/**
 * Plans a pool of x [N,H,W,C] to [N,P,Q,C].
 *
 * @param options.WINDOW     side of a window, for kernels that take it as a size
 * @param options.constants  constants of the kernels
 */
export function planWindowPool(
  x: Tensor,
  P: number,
  Q: number,
  { WINDOW, constants }: { WINDOW?: number; constants?: Readonly<Record<string, number>> } = {},
): WindowPoolPlan {
  const [N, H, W, C] = x.shape
  return {
    output: [N, P, Q, C],
    shape: { H, W, P, Q, VECTORS: padTo4(C) / 4, ...(WINDOW && { WINDOW }) },
    ...(constants && { constants }),
    dtype: storageDtype(x),
    detail: `${formatShape(x.shape)}→${formatShape([P, Q])}`,
  }
}

/**
 * Launches a kernel of a pool on images and their windows, as many images at a time as a dispatch has workgroups.
 *
 * @param result  name of the tensor that it writes pixel by pixel
 */
export function launchPool<Result extends 'y' | 'dx'>(
  shader: ShaderName,
  plan: WindowPoolPlan,
  tensors: Readonly<Record<string, Tensor> & Record<Result, Tensor>>,
  result: Result,
): void {
  for (const part of parts(tensors)) {
    const [N, rows, columns] = part[result].shape
    launch(shader, part, onGrid(imagePass(N, rows, columns, plan.shape.VECTORS), plan))
  }
}
