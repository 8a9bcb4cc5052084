import type { Sharp } from 'sharp'
import { DecodeError } from '../../base/errors.ts'
import type { PlatformDecoder, PlatformImage } from '../../image/decode.ts'
import { needsPackage, type ImageKind } from '../../image/image-kind.ts'
import { swapsSides, toOrientation, upright } from '../../image/orientation.ts'
import type { Pixels } from '../../image/pixels.ts'

/** Formats that the binaries of sharp on npm read. HEIC is not among them, as its patents forbid. */
const KINDS: readonly ImageKind[] = ['JPEG', 'PNG', 'GIF', 'WebP', 'TIFF', 'AVIF']

/** Decoder that is there without the package: it reads nothing, and names the package. */
const ABSENT: PlatformDecoder = {
  kinds: new Set(),
  absent: { package: 'sharp', kinds: new Set(KINDS) },
  decode: ({ path, kind }) => Promise.reject(new DecodeError(path, needsPackage(kind, 'sharp'))),
}

type SharpPackage = (typeof import('sharp'))['default']

let loaded: Promise<PlatformDecoder> | undefined

/** Decoder by the optional package sharp (libvips, with libjpeg-turbo's relative mozjpeg, libwebp, libaom and libtiff). */
export function sharpDecoder(): Promise<PlatformDecoder> {
  return (loaded ??= import('sharp').then(({ default: sharp }) => decoderOf(sharp), absentDecoder))
}

/** Codes of a package that is not there: of `import`, and of `require`, which bundlers and Jest may make of it. */
const NOT_THERE: readonly unknown[] = ['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND']

/** A package that is there and does not load is as absent, except that the reason is worth a line. */
export function absentDecoder(error: unknown): PlatformDecoder {
  // Not `instanceof Error`: in Jest errors of the system are of another realm than the code under test.
  const { code } = new Object(error) as { readonly code?: unknown }
  if (!NOT_THERE.includes(code)) console.warn(`sharp is installed and does not load: ${String(error)}`)
  return ABSENT
}

function decoderOf(sharp: SharpPackage): PlatformDecoder {
  // Images are decoded on several threads already, and each only once.
  sharp.concurrency(1)
  sharp.cache(false)
  const suffixes: readonly string[] = sharp.format.heif?.input.fileSuffix ?? []
  const heic: readonly ImageKind[] = suffixes.includes('.heic') ? ['HEIC', 'HEIF'] : []
  return { kinds: new Set([...KINDS, ...heic]), decode: (image) => decode(sharp, image) }
}

/** Types of samples of which the lowest is black and the highest is white; libvips cuts others off at 0 and 255. */
const SHADES: ReadonlySet<string | undefined> = new Set(['uchar', 'ushort'])

async function decode(sharp: SharpPackage, { path, kind, bytes, turn, size, shrink }: PlatformImage): Promise<Pixels> {
  // The size is checked below, with a message that says so. Colours stay those of the file.
  const open = (): Sharp => sharp(bytes, { limitInputPixels: false, ignoreIcc: true })
  // The size is known of JPEG and PNG only, whose samples are unsigned integers.
  const known = size && { ...size, orientation: 1, depth: 'uchar' }
  const { width, height, orientation: stated, depth } = known ?? (await open().metadata())
  if (!SHADES.has(depth)) {
    throw new DecodeError(path, `a ${kind} whose samples (${depth}) do not say which are black and which white`, {
      expected: 'unsigned integers of 8 or 16 bits',
      fix: 'store it as these, with the range that is to be seen from 0 to 255 or 65535',
    })
  }
  const orientation = turn ? toOrientation(stated) : 1
  const divisor = swapsSides(orientation) ? shrink(height, width) : shrink(width, height)
  const image = open().toColourspace('srgb').ensureAlpha()
  if (divisor > 1) {
    const part = (side: number): number => Math.ceil(side / divisor)
    image.resize(part(width), part(height), { fit: 'fill', kernel: 'linear' })
  }
  const { data, info } = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true })
  // Memory of its own, which can be handed to another thread.
  return upright({ width: info.width, height: info.height, data: new Uint8Array(data) }, orientation)
}
