import { formatShape } from './format.ts'
import { printable } from './printable.ts'

/**
 * Every error of the library has one shape: where · what was given · what was expected · what to do.
 *
 *   ShapeError: conv2d: the channels of x and weight differ
 *     x       [64,32,32,64] f16
 *     weight  [128,3,3,32] f16
 *     expected the last axis of weight to be 64, as the last axis of x
 *     Fix: build the layer with inChannels = 64.
 */
export interface ErrorDetails {
  /** What was given, a name and its text a line. */
  readonly given?: Readonly<Record<string, unknown>>
  /** What would have been right, as the end of the sentence "expected …". */
  readonly expected?: string
  /** What to do now, as a sentence. */
  readonly fix?: string
  readonly cause?: unknown
}

/** The common base: `catch (error) { if (error instanceof WgradError) … }`. */
export class WgradError extends Error {
  constructor(where: string, what: string, details: ErrorDetails = {}) {
    super(layout(where, what, details), details.cause === undefined ? undefined : { cause: details.cause })
    this.name = new.target.name
  }
}

/** Shapes that do not fit each other or the operation. */
export class ShapeError extends WgradError {}
/** A storage type that the operation does not take. */
export class DtypeError extends WgradError {}
/** An option, argument or setting outside its range. */
export class OptionError extends WgradError {}
/** WGSL that does not compile, or a launch that does not fit its shader. */
export class ShaderError extends WgradError {}
/** No adapter, a lost device, a limit passed, memory used up, an error reported by the GPU. */
export class DeviceError extends WgradError {}
/** Numbers that are infinite or NaN, or about to be, where nothing useful can be computed any more. */
export class NotFiniteError extends WgradError {}
/** A file, folder, image, archive or checkpoint that is not what it should be. */
export class DataError extends WgradError {}
/** File bytes that are not an image: reading them again does not help, unlike with a file that could not be read. */
export class DecodeError extends DataError {}

/** Letters of a given value at most: a shape or name of a damaged file can have millions. */
const SHOWN = 2000

function layout(where: string, what: string, { given, expected, fix }: ErrorDetails): string {
  const lines = [`${printable(where).replaceAll('\n', '\\x0a')}: ${printable(what)}`]
  const names = Object.keys(given ?? {})
  const width = Math.max(0, ...names.map((name) => name.length))
  for (const name of names) lines.push(`  ${name.padEnd(width)}  ${shortened(printable(text(given?.[name])))}`)
  if (expected !== undefined) lines.push(`  expected ${expected}`)
  if (fix !== undefined) lines.push(`  Fix: ${fix}`)
  return lines.join('\n')
}

function shortened(value: string): string {
  return value.length > SHOWN ? `${value.slice(0, SHOWN)} …` : value
}

function text(value: unknown): string {
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return `[${value.join(',')}]`
  if (
    typeof value === 'object' &&
    value !== null &&
    'shape' in value &&
    'dtype' in value &&
    Array.isArray(value.shape)
  ) {
    return formatShape({ shape: value.shape, dtype: String(value.dtype) })
  }
  return String(value)
}
