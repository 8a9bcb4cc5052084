import { createRequire } from 'node:module'
import type { PlatformDecoder, PlatformImage } from '../../image/decode.ts'
import type { ImageKind } from '../../image/image-kind.ts'
import type { Pixels } from '../../image/pixels.ts'
import { sharpDecoder } from './sharp.ts'

interface TurboPackage {
  decode(bytes: Uint8Array): { readonly width: number; readonly height: number; readonly data: Uint8ClampedArray }
}

/** Its types name one of the browser, which a program in Node may lack. */
const PACKAGE = '@cwasm/jpeg-turbo'

let loaded: Promise<PlatformDecoder> | undefined

/** Decoder of JPEG files by @cwasm/jpeg-turbo, which is libjpeg-turbo in WebAssembly, and of other formats by sharp. */
export function turboDecoder(): Promise<PlatformDecoder> {
  return (loaded ??= load())
}

async function load(): Promise<PlatformDecoder> {
  const others = await sharpDecoder()
  let turbo = newInstance()
  return {
    kinds: new Set<ImageKind>([...others.kinds, 'JPEG']),
    absent: others.absent,
    async decode(image) {
      if (image.kind !== 'JPEG') return others.decode(image)
      try {
        return decode(turbo, image)
      } catch (error) {
        // A file that it refuses leaves its memory and stack as they were in the middle of decoding.
        turbo = newInstance()
        throw error
      }
    },
  }
}

/** Loads a new instance of the package. */
function newInstance(): TurboPackage {
  // A module that a bundler has made CommonJS has no address: its program's stands for it.
  const require = createRequire(import.meta.url ?? process.argv[1])
  const file = require.resolve(PACKAGE)
  delete require.cache[file]
  return require(file) as TurboPackage
}

function decode(turbo: TurboPackage, { bytes, size, shrink }: PlatformImage): Pixels {
  // It always decodes the whole image.
  if (size) shrink(size.width, size.height)
  const { width, height, data } = turbo.decode(bytes)
  return { width, height, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) }
}
