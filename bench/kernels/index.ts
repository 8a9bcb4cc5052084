import { xresnet18, xresnet50 } from '../../src/nn/xresnet.ts'
import type { Module } from '../../src/exports/nn.ts'
import type { Case } from './harness.ts'
import { augmentCases } from './augment.ts'
import { batchNormCases } from './batch-norm.ts'
import { conv2dCases, yardstickCases } from './conv2d.ts'
import { elementwiseCases } from './elementwise.ts'
import { headCases } from './head.ts'
import { layerCases } from './layers.ts'
import { optimizerCases } from './optimizer.ts'
import { poolCases } from './pools.ts'
import { shapesOf, type Network, type NetworkShapes } from './shapes.ts'

export const MODELS: Readonly<Record<string, () => Module>> = { xresnet18, xresnet50 }

/** Selection of kernels: all combinations of networks, image sizes and storage types. */
export interface Selection {
  readonly models: readonly string[]
  readonly sizes: readonly number[]
  readonly dtypes: readonly ('f32' | 'f16')[]
  readonly batch: number
}

/** Returns the shapes at which the selected networks run kernels. */
export function networkShapes(selection: Selection): NetworkShapes {
  return shapesOf(selection.dtypes.flatMap((dtype) => networksOf(selection, dtype)))
}

/** Returns every kernel of the selected networks, once per shape. */
export function kernelCases(selection: Selection): Case[] {
  const { models, sizes, dtypes, batch } = selection
  const cases = dtypes.flatMap((dtype) => {
    const networks = networksOf(selection, dtype)
    const shapes = shapesOf(networks)
    const once = (of: readonly Network[]) => of.map(({ name }) => ({ network: name, count: 1 }))
    // The parameters are f32 for both storage types.
    const optimizers =
      dtype !== dtypes[0]
        ? []
        : models.flatMap((name) => {
            return optimizerCases(
              name,
              MODELS[name](),
              once(networks.filter((network) => network.name.startsWith(`${name} `))),
            )
          })
    return [
      ...yardstickCases(dtype),
      ...conv2dCases(shapes),
      ...batchNormCases(shapes, dtype),
      ...poolCases(shapes, dtype),
      ...headCases(shapes, dtype),
      ...sizes.flatMap((size) =>
        augmentCases(batch, size, dtype, once(networks.filter(({ input }) => input[1] === size))),
      ),
      ...elementwiseCases(shapes, dtype),
      ...sizes.flatMap((size) => layerCases(batch, size, dtype)),
      ...optimizers,
    ]
  })
  // Some cases do not depend on the storage type.
  return [...new Map(cases.map((item) => [item.name, item])).values()]
}

function networksOf({ models, sizes, dtypes, batch }: Selection, dtype: 'f32' | 'f16'): Network[] {
  return models.flatMap((model) =>
    sizes.map((size) => {
      const name = `${model} at ${size} px${dtypes.length > 1 ? `, ${dtype}` : ''}`
      return { name, model: MODELS[model](), input: [batch, size, size, 3], dtype }
    }),
  )
}
