import type { Module } from '../../src/nn/module.ts'
import type { LayerRow } from '../../src/nn/summary.ts'
import type { ConvolutionSizes } from '../../src/ops/convolution/passes.ts'
import { elementCount, type Shape } from '../../src/tensor/shape.ts'
import type { Use } from './harness.ts'

/** Operation fused into the pass of a batch norm: none, a ReLU, or the sum with the residual and a ReLU. */
export type FollowUp = 'nothing' | 'relu' | 'residual'

/** Sizes that determine the work of a kernel, by kind of layer; shapes are those of the input. */
interface Sizes {
  readonly convolution: ConvolutionSizes
  readonly norm: { readonly shape: Shape; readonly then: FollowUp }
  readonly maxPool: {
    readonly shape: Shape
    readonly kernelSize: number
    readonly stride: number
    readonly padding: number
  }
  readonly avgPool: { readonly shape: Shape; readonly kernelSize: number; readonly stride: number }
  readonly globalAvgPool: { readonly shape: Shape }
  readonly linear: { readonly N: number; readonly C: number; readonly O: number }
}

type Kind = keyof Sizes

/** Sizes with the networks that use them, and how often. */
export interface Occurrence<Of> {
  readonly sizes: Of
  readonly uses: readonly Use[]
}

/** Sizes at which networks run the library's kernels, each once. */
export type NetworkShapes = { readonly [Each in Kind]: readonly Occurrence<Sizes[Each]>[] }

/** Network whose shapes are wanted. */
export interface Network {
  readonly name: string
  readonly model: Module
  /** Shape of the input, [N,H,W,3]. */
  readonly input: Shape
  readonly dtype: 'f32' | 'f16'
}

/** Returns the combined shapes of several networks. */
export function shapesOf(networks: readonly Network[]): NetworkShapes {
  const layers = networks.flatMap(({ name, model, input, dtype }) => {
    return layersOf(model.describe(input), input, dtype).map((layer) => ({ ...layer, network: name }))
  })
  const distinct = <Wanted extends Kind>(wanted: Wanted): readonly Occurrence<Sizes[Wanted]>[] => {
    const found = new Map<string, { sizes: Sizes[Wanted]; counts: Map<string, number> }>()
    for (const { kind, sizes, network } of layers) {
      if (kind !== wanted) continue
      const key = JSON.stringify(sizes)
      const entry = found.get(key) ?? { sizes: sizes as Sizes[Wanted], counts: new Map<string, number>() }
      entry.counts.set(network, (entry.counts.get(network) ?? 0) + 1)
      found.set(key, entry)
    }
    return [...found.values()].map(({ sizes, counts }) => {
      return { sizes, uses: [...counts].map(([network, count]) => ({ network, count })) }
    })
  }
  return {
    convolution: distinct('convolution'),
    norm: distinct('norm'),
    maxPool: distinct('maxPool'),
    avgPool: distinct('avgPool'),
    globalAvgPool: distinct('globalAvgPool'),
    linear: distinct('linear'),
  }
}

type Layer = { readonly [Each in Kind]: { readonly kind: Each; readonly sizes: Sizes[Each] } }[Kind]

/**
 * Returns the layers of a network with their inputs. Rows give outputs only; the input follows from the output, since
 * all sides of the images are multiples of the strides.
 *
 * @throws Error  for an unknown kind of layer, so that the benchmark never omits a kernel of a network
 */
function layersOf(rows: readonly LayerRow[], input: Shape, dtype: 'f32' | 'f16'): Layer[] {
  return rows.map((row, i): Layer => {
    const [kind, ...numbers] = parse(row.layer)
    const before = i === 0 ? input : rows[i - 1].output
    const [N, P, Q, O] = row.output
    if (kind === 'conv') {
      const [R, S, STRIDE = 1] = numbers
      const C = row.flops / (2 * elementCount(row.output) * R * S)
      return {
        kind: 'convolution',
        sizes: { N, H: P * STRIDE, W: Q * STRIDE, C, P, Q, O, R, S, STRIDE, PAD: R >> 1, dtype },
      }
    }
    if (kind === 'batch norm') {
      return { kind: 'norm', sizes: { shape: row.output, then: followUp(row.path, rows[i + 1]?.path) } }
    }
    const [kernelSize, , stride] = numbers
    if (kind === 'max pool') {
      return { kind: 'maxPool', sizes: { shape: before, kernelSize, stride, padding: kernelSize >> 1 } }
    }
    if (kind === 'avg pool') {
      return { kind: 'avgPool', sizes: { shape: [N, P * stride, Q * stride, O], kernelSize, stride } }
    }
    if (kind === 'global avg pool') return { kind: 'globalAvgPool', sizes: { shape: before } }
    if (kind === 'linear') {
      return { kind, sizes: { N, C: row.flops / (2 * elementCount(row.output)), O: row.output[1] } }
    }
    throw new Error(`bench: no kernel is known for the layer '${row.layer}' of ${row.path}`)
  })
}

/** Parses the description of a layer: `conv 3×3 / 2` → conv, 3, 3, 2 */
function parse(layer: string): [string, ...number[]] {
  const [, kind, kernelSize = '', stride = ''] = /^(.*?)(?: (\d+×\d+))?(?: \/ (\d+))?$/.exec(layer) ?? []
  return [kind, ...kernelSize.split('×').filter(Boolean).map(Number), ...(stride === '' ? [] : [Number(stride)])]
}

/**
 * Returns the operation after a batch norm: a block ends with its last batch norm, to which the shortcut is added;
 * nothing follows on the shortcut itself.
 */
function followUp(path: string, next: string | undefined): FollowUp {
  if (path.includes('idpath.')) return 'nothing'
  const end = path.indexOf('convpath.')
  return end >= 0 && !next?.startsWith(path.slice(0, end + 'convpath.'.length)) ? 'residual' : 'relu'
}
