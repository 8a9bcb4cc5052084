import { checkArgument } from '../base/options.ts'
import { observeOps, type ExecutedOp } from '../tensor/op.ts'
import { elementCount, type Shape } from '../tensor/shape.ts'
import { RESULT, type Tensor } from '../tensor/tensor.ts'
import type { Parameter } from './parameter.ts'
import { replaceForward } from './replace-forward.ts'
import { layerRow, rowsUnder, type LayerRow } from './summary.ts'

/** Members of a module that describing it needs; the class itself imports this file. */
interface Described {
  forward(x: Tensor, ...more: unknown[]): Tensor
  describe(input: Shape): readonly LayerRow[]
  children(): readonly (readonly [string, Described])[]
  parameters(): readonly Parameter[]
}

/**
 * Runs a module that has no `describe` of its own, and describes the layers that it calls and itself.
 *
 * @param inherited  the `describe` of a module that has none of its own
 */
export function describeRun(
  module: Described,
  inherited: Described['describe'],
  x: Tensor,
  run = () => module.forward(x),
): { readonly rows: readonly LayerRow[]; readonly output: Tensor } {
  const rows: LayerRow[] = []
  // A child that has several names is called by the last one, once for each call.
  const children = new Map(module.children().map(([name, child]) => [child, name]))
  const restore = [...children].map(([child, name]) =>
    replaceForward(child, (forward) => (given, ...more) => {
      if (child.describe !== inherited) {
        rows.push(...rowsUnder(name, child.describe(given.shape)))
        return observeOps(
          () => {},
          () => forward(given, ...more),
        )
      }
      const described = describeRun(child, inherited, given, () => forward(given, ...more))
      rows.push(...rowsUnder(name, described.rows))
      return described.output
    }),
  )
  try {
    let flops = 0
    const output = observeOps((op) => (flops += flopsOf(op)), run)
    checkArgument(`module ${module.constructor.name}`, 'its output', output, RESULT)
    const nested = new Set(module.children().flatMap(([, child]) => child.parameters()))
    const parameters = module.parameters().filter((parameter) => !nested.has(parameter))
    return { rows: [...rows, layerRow(module.constructor.name, output.shape, parameters, flops)], output }
  } finally {
    for (const each of restore) each()
  }
}

/** Returns the operations of a convolution or matrix product that a module runs itself, 0 for any other operation. */
function flopsOf({ name, inputs: [, weight], output }: ExecutedOp): number {
  if ((name !== 'conv2d' && name !== 'linear') || !weight) return 0
  return 2 * elementCount(output.shape) * elementCount(weight.shape.slice(1))
}
