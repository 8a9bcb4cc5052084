/** Formats of images, known by the first bytes of a file. */
import { DecodeError } from '../base/errors.ts'

/** Formats that are told apart. */
export type ImageKind = 'JPEG' | 'PNG' | 'GIF' | 'WebP' | 'TIFF' | 'AVIF' | 'HEIC' | 'HEIF' | 'BMP'

/** Formats that are read without the platform's decoder. */
const BUILT_IN_KINDS: ReadonlySet<ImageKind> = new Set<ImageKind>(['JPEG', 'PNG', 'BMP'])

/** Formats that a platform reads besides JPEG and PNG. */
export interface PlatformFormats {
  readonly kinds: ReadonlySet<ImageKind>
  /** Formats that an optional package reads, where it is not installed. */
  readonly absent?: { readonly package: string; readonly kinds: ReadonlySet<ImageKind> } | undefined
}

/**
 * Format of an image by its first bytes.
 *
 * @param formats  those that are read besides JPEG and PNG
 * @throws DecodeError  when it is not one that is read here
 */
export function checkKind(path: string, bytes: Uint8Array, formats?: PlatformFormats): ImageKind {
  const kind = imageKind(bytes)
  if (kind !== undefined && (BUILT_IN_KINDS.has(kind) || formats?.kinds.has(kind))) return kind
  throw notAnImage(path, bytes, kind, formats?.absent)
}

function notAnImage(
  path: string,
  bytes: Uint8Array,
  kind: ImageKind | undefined,
  absent: PlatformFormats['absent'],
): DecodeError {
  if (bytes.length === 0) return new DecodeError(path, 'the file is empty', { expected: 'a JPEG or PNG' })
  if (kind !== undefined && absent?.kinds.has(kind)) {
    return new DecodeError(path, needsPackage(kind, absent.package))
  }
  if (kind !== undefined) {
    return new DecodeError(path, `a ${kind} image, a format that is not read here`, {
      fix:
        kind === 'HEIC' || kind === 'HEIF'
          ? 'convert it to JPEG, for instance by heif-convert; an iPhone takes JPEG with Settings, Camera, Formats, Most Compatible.'
          : 'convert it to JPEG or PNG.',
    })
  }
  const start = Array.from(bytes.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0')).join(' ')
  return new DecodeError(path, `not an image (starts ${start}${startingText(bytes)})`, { expected: 'a JPEG or PNG' })
}

/** Characters of a text that are shown: enough for `<!doctype html>`, a form's boundary or an error in JSON. */
const SHOWN = 32

/** The beginning of a file that is a text, such as a server's answer that was stored as an image; '' for any other. */
function startingText(bytes: Uint8Array): string {
  const text = String.fromCharCode(...bytes.subarray(0, SHOWN)).trim()
  return /^[\s\x20-\x7e]+$/.test(text) ? `, the text ${JSON.stringify(text)}` : ''
}

/** Complaint about an image whose decoder is not installed, with what to do in the same line: lists show only that. */
export function needsPackage(kind: ImageKind, name: string): string {
  return `${kind.startsWith('A') ? 'an' : 'a'} ${kind} image needs the package ${name}: npm install ${name}`
}

/** First bytes by which a format is known; `.` stands for any byte. */
const SIGNATURES: readonly (readonly [kind: ImageKind, start: string])[] = [
  ['JPEG', '\xff\xd8\xff'],
  ['PNG', '\x89PNG\r\n\x1a\n'],
  ['GIF', 'GIF8'],
  ['WebP', 'RIFF....WEBP'],
  ['TIFF', 'II*\0'],
  ['TIFF', 'MM\0*'],
  ['AVIF', '....ftypavi'],
  ['HEIC', '....ftyphei'],
  ['HEIF', '....ftypmif1'],
  // Two letters say little; the four reserved bytes behind the file size are zero.
  ['BMP', 'BM....\0\0\0\0'],
]

/** The image format that the bytes start like, whatever the file is called. */
export function imageKind(bytes: Uint8Array): ImageKind | undefined {
  const matches = (start: string): boolean =>
    Array.from(start).every((c, i) => c === '.' || bytes[i] === c.charCodeAt(0))
  return SIGNATURES.find(([, start]) => matches(start))?.[0]
}
