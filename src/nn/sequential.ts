import { ANY, checkArgument, checkOptions, listOf } from '../base/options.ts'
import { gradEnabled } from '../tensor/op.ts'
import { recompute } from '../tensor/recompute.ts'
import { release, scope } from '../tensor/scope.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { Module } from './module.ts'
import { rowsUnder, type LayerRow } from './summary.ts'

/** Options of a `Sequential`. */
export interface SequentialOptions {
  /**
   * Ranges of layers, in order, each from a first index to an exclusive end, whose activations are not kept for
   * backward but computed again there (see tensor/recompute.ts). Default none
   */
  readonly recomputed?: readonly (readonly [first: number, end: number])[]
}

const LAYERS = listOf({
  expected: 'a layer, or a name and a layer',
  is: (value) =>
    value instanceof Module || (Array.isArray(value) && typeof value[0] === 'string' && value[1] instanceof Module),
})

/** Layers that run one after the other. They are named `0`, `1`, … unless names are given. */
export class Sequential extends Module {
  static override readonly replayable: boolean = true
  readonly layers: readonly Module[]
  private readonly recomputed: readonly (readonly [number, number])[]

  constructor(layers: readonly (Module | readonly [string, Module])[], options: SequentialOptions = {}) {
    super()
    checkArgument('Sequential', 'layers', layers, LAYERS)
    checkOptions('Sequential', options, { recomputed: ANY })
    const { recomputed = [] } = options
    this.recomputed = recomputed
    this.layers = layers.map((layer, i) => {
      const [name, module] = layer instanceof Module ? [String(i), layer] : layer
      return this.addChild(name, module)
    })
  }

  forward(input: Tensor): Tensor {
    let x = input
    let done = 0
    for (const [first, end] of this.recomputed) {
      x = runLayers(this.layers.slice(done, first), x)
      x = recompute(x, (start) => runLayers(this.layers.slice(first, end), start))
      done = end
    }
    return runLayers(this.layers.slice(done), x)
  }

  override describe(input: Shape): readonly LayerRow[] {
    return describeLayers(this.children(), input)
  }
}

/** Returns the rows of layers that run one after the other. */
export function describeLayers(layers: ReturnType<Module['children']>, input: Shape): readonly LayerRow[] {
  const rows: LayerRow[] = []
  for (const [name, layer] of layers) {
    rows.push(...rowsUnder(name, layer.describe(rows.at(-1)?.output ?? input)))
  }
  return rows
}

/**
 * Runs layers one after the other. If no gradients are recorded, each layer's input is released once its output exists,
 * so that evaluation holds two activations instead of all.
 */
export function runLayers(layers: readonly Module[], input: Tensor): Tensor {
  return layers.reduce((x, layer) => {
    if (gradEnabled()) return layer.forward(x)
    const y = scope(() => layer.forward(x))
    if (x !== input && x.storage !== y.storage) release(x)
    return y
  }, input)
}
