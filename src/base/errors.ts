import { formatShape } from './format.ts'
import { printable } from './printable.ts'

/**
 * Details of an error. Every error of the library has one layout: place, given values, expected values and fix.
 *
 *   ShapeError: conv2d: the channels of x and weight differ
 *     x       [64,32,32,64] f16
 *     weight  [128,3,3,32] f16
 *     expected the last axis of weight to be 64, as the last axis of x
 *     Fix: build the layer with inChannels = 64.
 */
export interface ErrorDetails {
  /** Given values by name, printed one per line. */
  readonly given?: Readonly<Record<string, unknown>>
  /** Description of correct values, as the end of the sentence "expected …". */
  readonly expected?: string
  /** Advice on how to correct the error, as a sentence. */
  readonly fix?: string
  readonly cause?: unknown
}

/** Base class of all errors of the library: `catch (error) { if (error instanceof WgradError) … }`. */
export class WgradError extends Error {
  // Written out, as minifiers change the names of classes.
  override name = 'WgradError'
  readonly #parts: WgradError['parts']

  constructor(where: string, what: string, details: ErrorDetails = {}) {
    super(layout(where, what, details), details.cause === undefined ? undefined : { cause: details.cause })
    this.#parts = { where, what, details }
  }

  /** Parts that the message was laid out from, for an error that repeats it about another place or with other advice. */
  get parts(): { readonly where: string; readonly what: string; readonly details: ErrorDetails } {
    return this.#parts
  }
}

/** Error about shapes that do not fit each other or the operation. */
export class ShapeError extends WgradError {
  override name = 'ShapeError'
}
/** Error about a storage type that the operation does not accept. */
export class DtypeError extends WgradError {
  override name = 'DtypeError'
}
/** Error about an option, argument or setting that is unknown or out of range. */
export class OptionError extends WgradError {
  override name = 'OptionError'
}
/** Error about WGSL that does not compile, or a launch that does not fit its shader. */
export class ShaderError extends WgradError {
  override name = 'ShaderError'
}
/** Error of the GPU: no adapter, a lost device, a limit exceeded, out of memory, or an error that the GPU reported. */
export class DeviceError extends WgradError {
  override name = 'DeviceError'
}
/** Error about Inf or NaN, present or imminent, in numbers from which nothing useful can be computed any more. */
export class NotFiniteError extends WgradError {
  override name = 'NotFiniteError'
}
/** Error about an invalid or missing file, folder, image, archive or checkpoint. */
export class DataError extends WgradError {
  override name = 'DataError'
}
/** Error about bytes of a file that are not an image. Unlike with an unreadable file, reading them again does not help. */
export class DecodeError extends DataError {
  override name = 'DecodeError'
}

/** Most characters of a given value that are printed: a shape or name in a damaged file can have millions. */
const SHOWN = 2000

function layout(where: string, what: string, { given = {}, expected, fix }: ErrorDetails): string {
  const lines = [`${printable(where).replaceAll('\n', '\\x0a')}: ${printable(what)}`]
  const names = Object.keys(given)
  const width = Math.max(0, ...names.map((name) => name.length))
  for (const name of names) lines.push(`  ${name.padEnd(width)}  ${shortened(printable(text(given[name])))}`)
  if (expected !== undefined) lines.push(`  expected ${expected}`)
  if (fix !== undefined) lines.push(`  Fix: ${fix}`)
  return lines.join('\n')
}

function shortened(value: string): string {
  return value.length > SHOWN ? `${value.slice(0, SHOWN)} …` : value
}

function text(value: unknown): string {
  if (Array.isArray(value)) return `[${value.join(',')}]`
  const { shape, dtype } = Object(value) as { readonly shape?: unknown; readonly dtype?: string }
  return Array.isArray(shape) && dtype ? formatShape({ shape, dtype }) : String(value)
}
