import { FLAG, NUMBER, type Kind } from '../../base/options.ts'
import { passesWithGpu } from '../../tensor/load-with-gpu.ts'
import type { OpDefinition } from '../../tensor/op.ts'
import type { ElementInputs, ElementOptions, ElementPlan, elementPasses } from './element-passes.ts'

const REDUCTION: Kind = {
  expected: "'mean', 'sum', 'rows' or 'none'",
  is: (value) => ['mean', 'sum', 'rows', 'none'].includes(value as string),
}

/** Returns the definition of an operation that compares each output with a target of its own (shaders/element-loss). */
export function elementLoss(
  name: string,
  kind: Parameters<typeof elementPasses>[1],
): OpDefinition<ElementInputs, ElementOptions, ElementPlan> {
  return {
    name,
    required: 2,
    options: { reduction: REDUCTION, delta: NUMBER, smooth: FLAG },
    ...passesWithGpu(name, async () => (await import('./element-passes.ts')).elementPasses(name, kind)),
  }
}
