import { checkArgument, listOf } from '../base/options.ts'
import { isRecording } from '../tensor/op.ts'
import { recompute } from '../tensor/recompute.ts'
import { release, scope } from '../tensor/scope.ts'
import type { Shape } from '../tensor/shape.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { Module } from './module.ts'
import { rowsUnder, type LayerRow } from './summary.ts'

export interface SequentialOptions {
  /**
   * Runs of layers, each from a first number to before a last one, in order: what they compute is not kept for
   * backward but computed again there (see tensor/recompute.ts). Default none
   */
  readonly recomputed?: readonly (readonly [first: number, end: number])[]
}

const LAYERS = listOf({
  expected: 'a layer, or a name and a layer',
  is: (value) =>
    value instanceof Module || (Array.isArray(value) && typeof value[0] === 'string' && value[1] instanceof Module),
})

/** Layers one after the other. They are called `0`, `1`, …, unless they are given with names. */
export class Sequential extends Module {
  static override readonly replayable: boolean = true
  readonly layers: readonly Module[]
  private readonly recomputed: readonly (readonly [number, number])[]

  constructor(layers: readonly (Module | readonly [string, Module])[], { recomputed = [] }: SequentialOptions = {}) {
    super()
    checkArgument('Sequential', 'layers', layers, LAYERS)
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

  describe(input: Shape): readonly LayerRow[] {
    const rows: LayerRow[] = []
    for (const [name, layer] of this.children()) {
      rows.push(...rowsUnder(name, layer.describe(rows.at(-1)?.output ?? input)))
    }
    return rows
  }
}

/**
 * Runs layers one after the other. Where nothing is remembered for backward, each layer's input is given back as soon
 * as its output is there, so that evaluation holds two activations and not all of them.
 */
export function runLayers(layers: readonly Module[], input: Tensor): Tensor {
  return layers.reduce((x, layer) => {
    if (isRecording()) return layer.forward(x)
    const y = scope(() => layer.forward(x))
    if (x !== input && x.storage !== y.storage) release(x)
    return y
  }, input)
}
