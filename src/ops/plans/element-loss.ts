import { FLAG, NUMBER, oneOfTexts } from '../../base/options.ts'
import { passesWithGpu } from '../../tensor/load-with-gpu.ts'
import type { OpDefinition } from '../../tensor/op.ts'
import type { ElementInputs, ElementOptions, ElementPlan, elementPasses } from './element-passes.ts'

/** Returns the definition of an operation that compares each output with a target of its own (shaders/element-loss). */
export function elementLoss(
  name: string,
  kind: Parameters<typeof elementPasses>[1],
): OpDefinition<ElementInputs, ElementOptions, ElementPlan> {
  return {
    name,
    required: 2,
    options: { reduction: oneOfTexts('mean', 'sum', 'rows', 'none'), delta: NUMBER, smooth: FLAG },
    ...passesWithGpu(name, async () => (await import('./element-passes.ts')).elementPasses(name, kind)),
  }
}
