import { DataError } from '../base/errors.ts'
import { checkOptions, type Kinds } from '../base/options.ts'
import { elementCount, sameShape, type Shape } from '../tensor/shape.ts'
import type { Module } from './module.ts'
import { fromTorch, isCounter, torchShape, type StateDict, type StateEntry } from './state-dict.ts'
import { RENAMINGS } from './weight-names.ts'

/** A weight whose shape in the file is not that in the model; both in PyTorch's layout. */
export interface ShapeMismatch {
  readonly name: string
  readonly file: Shape
  readonly model: Shape
}

/** Result of loading weights into a model. */
export interface LoadReport {
  /** Names in the model of the tensors that were loaded. */
  readonly matched: readonly string[]
  /** Names in the model of tensors that the file does not have; they stay as they were. */
  readonly missing: readonly string[]
  /** Names in the file of tensors that the model does not have. */
  readonly unexpected: readonly string[]
  /** Names of filters that were added up over the colors, as the model has images of one channel. */
  readonly summed: readonly string[]
  /** Tensors of both whose shapes differ; they stay as they were. */
  readonly mismatched: readonly ShapeMismatch[]
  /** All of it in one line. */
  readonly text: string
}

/** Options of `loadWeights`. */
export interface LoadWeightsOptions {
  /**
   * Tensors that must fit: `true` all of them, 'body' all except those of the head (the model's last layer), whose outputs
   * may be others, `false` at least one. Default 'body'
   */
  readonly strict?: boolean | 'body'
}

const KINDS: Kinds<LoadWeightsOptions> = {
  strict: { expected: "true, false or 'body'", is: (value) => value === 'body' || typeof value === 'boolean' },
}

/** Names that an error or a line of text lists at most. */
const LISTED = 4

/**
 * Loads the weights of a file into a model, under the names of timm, torchvision or fastai alike: the naming is the one by
 * which most tensors fit. The first filters of a model of grey images are the sum of the file's over red, green and blue, by
 * which a grey image makes the features that it made in colors. What does not fit stays as it was and is reported, such as a head of another number of classes.
 *
 * @param weights  as `readWeights` returns them
 * @throws DataError  when a tensor does not fit that must (see `strict`); the model is unchanged then
 * Source: fastai vision/learner.py, _load_pretrained_weights; timm models/_manipulate.py, adapt_input_conv (the sum).
 */
export function loadWeights(model: Module, weights: StateDict, options: LoadWeightsOptions = {}): LoadReport {
  checkOptions('loadWeights', options, KINDS)
  const { strict = 'body' } = options
  const best = bestFit(model, weights)
  const isHead = headOf(model)
  const wrong = (name: string) => strict === true || (strict === 'body' && !isHead(name))
  const bad = {
    missing: best.missing.filter(wrong),
    unexpected: best.unexpected.filter(({ renamed }) => wrong(renamed)).map(({ name }) => name),
    'other shapes': best.mismatched.filter(({ name }) => wrong(name)).map(shapesText),
  }
  const badCount = Object.values(bad).reduce((sum, { length }) => sum + length, 0)
  if (badCount > 0 || best.matched.length === 0) {
    throw new DataError('loadWeights', 'these are not the weights of this model', {
      given: {
        fitting: `${best.matched.length} of ${model.states().length} tensors`,
        ...Object.fromEntries(Object.entries(bad).map(([what, names]) => [what, listed(names)])),
      },
      fix:
        strict === true
          ? "build the same architecture with the same options, or allow another head: { strict: 'body' }"
          : 'build the same architecture with the same options; { strict: false } loads whatever fits',
    })
  }
  for (const { state, entry } of best.matched) state.write(fromTorch(entry.data, state.shape))
  const report = {
    matched: best.matched.map(({ state }) => state.path),
    missing: best.missing,
    unexpected: best.unexpected.map(({ name }) => name),
    mismatched: best.mismatched,
    summed: best.summed,
  }
  return { ...report, text: reportText(report, model.states().length) }
}

/**
 * The same weights under the names of a model, where they have those of timm, torchvision or fastai; names of tensors that
 * the model does not have stay what they are.
 */
export function fittingNames(model: Module, weights: StateDict): StateDict {
  const { rename } = bestFit(model, weights)
  return new Map([...weights].map(([name, entry]) => [rename(name) ?? name, entry]))
}

/** The way of reading names by which most tensors fit. */
function bestFit(model: Module, weights: StateDict) {
  const fits = RENAMINGS.map((rename) => ({ rename, ...compare(model, weights, rename) }))
  return fits.reduce((a, b) => (b.matched.length > a.matched.length ? b : a))
}

/** Tensors of a model beside those of a file, whose names are read in one way. */
function compare(model: Module, weights: StateDict, rename: (name: string) => string | undefined) {
  const renamed = new Map<string, StateEntry>()
  const unexpected: { readonly name: string; readonly renamed: string }[] = []
  const known = new Set(model.states().map(({ path }) => path))
  for (const [name, entry] of weights) {
    if (isCounter(name)) continue
    const own = rename(name) ?? name
    if (known.has(own) && !renamed.has(own)) renamed.set(own, entry)
    else unexpected.push({ name, renamed: own })
  }
  const matched: { readonly state: ReturnType<Module['states']>[number]; readonly entry: StateEntry }[] = []
  const missing: string[] = []
  const mismatched: ShapeMismatch[] = []
  const summed: string[] = []
  const first = model.states().find((state) => state.shape.length === 4)
  for (const state of model.states()) {
    const entry = renamed.get(state.path)
    const shape = torchShape(state.shape)
    if (!entry) missing.push(state.path)
    else if (sameShape(entry.shape, shape) && entry.data.length === elementCount(shape)) matched.push({ state, entry })
    else if (state === first && sameShape(entry.shape, withChannels(shape, 3)) && shape[1] === 1) {
      matched.push({ state, entry: summedColors(entry) })
      summed.push(state.path)
    } else mismatched.push({ name: state.path, file: entry.shape, model: shape })
  }
  return { matched, missing, unexpected, mismatched, summed }
}

/** Shape of filters for images of that many channels, [O,C,R,S]. */
function withChannels([O, , R, S]: Shape, channels: number): Shape {
  return [O, channels, R, S]
}

/** Filters for grey images: the sum of those for red, green and blue. */
function summedColors({ shape, data }: StateEntry): StateEntry {
  const [, C, R, S] = shape
  const size = R * S
  const sums = new Float32Array(data.length / C)
  data.forEach((value, i) => (sums[Math.floor(i / (C * size)) * size + (i % size)] += value))
  return { shape: withChannels(shape, 1), data: sums }
}

/** Returns a function that is true for names in the head: the last layer of a model that has weights. */
function headOf(model: Module): (name: string) => boolean {
  const head = model.children().findLast(([, child]) => child.parameters().length > 0)?.[0]
  return (name) => head !== undefined && name.startsWith(`${head}.`)
}

function reportText(
  { matched, missing, unexpected, mismatched, summed }: Omit<LoadReport, 'text'>,
  count: number,
): string {
  const parts: readonly (readonly [string, readonly string[]])[] = [
    ['left as initialised', [...mismatched.map(shapesText), ...missing]],
    ['not in the model', unexpected],
    ['added up over the colors', summed],
  ]
  const others = parts.filter(([, names]) => names.length > 0).map(([what, names]) => `; ${what}: ${listed(names)}`)
  return `${matched.length} of ${count} tensors loaded${others.join('')}`
}

function shapesText({ name, file, model }: ShapeMismatch): string {
  return `${name} (${file.join('×')} in the file, ${model.join('×')} here)`
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, LISTED).join(', ')
  return names.length > LISTED ? `${shown} … (${names.length} in all)` : shown || 'none'
}
