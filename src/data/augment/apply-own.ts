import { ShapeError } from '../../base/errors.ts'
import { formatShape } from '../../base/format.ts'
import { ignoreRejection } from '../../base/options.ts'
import { noGrad } from '../../tensor/op.ts'
import { RESULT, Tensor } from '../../tensor/tensor.ts'
import type { Phase } from './draw.ts'
import type { DrawnTensors, OwnBatchTransform } from './own.ts'

/** Records the work of a transform. @throws ShapeError  if it does not return images of the same shape and type */
export function applyOwnBatch(
  { name, apply }: OwnBatchTransform,
  images: Tensor,
  drawn: DrawnTensors,
  phase: Phase,
): Tensor {
  const made: unknown = noGrad(() => apply(images, drawn, phase))
  if (made instanceof Tensor && made.dtype === images.dtype && made.shape.join() === images.shape.join()) return made
  const fix = ignoreRejection(made) ? RESULT.fix : undefined
  throw new ShapeError(`batch transform ${name}`, 'its result differs from its input in shape or type', {
    given: { result: made instanceof Tensor ? made : String(made) },
    expected: formatShape(images),
    ...(fix !== undefined && { fix }),
  })
}
