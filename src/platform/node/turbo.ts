import type { ImageKind, PlatformDecoder, PlatformImage } from '../../image/decode.ts'
import type { Pixels } from '../../image/pixels.ts'
import { sharpDecoder } from './sharp.ts'

interface TurboPackage {
  decode(bytes: Uint8Array): { readonly width: number; readonly height: number; readonly data: Uint8ClampedArray }
}

/** Its types name one of the browser, which a program in Node may lack. */
const PACKAGE: string = '@cwasm/jpeg-turbo'

let loaded: Promise<PlatformDecoder> | undefined

/**
 * Decoder of JPEG files by the optional package @cwasm/jpeg-turbo, which is libjpeg-turbo in WebAssembly, and of other formats
 * by sharp. Without the package it reads no JPEG.
 */
export function turboDecoder(): Promise<PlatformDecoder> {
  return (loaded ??= load())
}

async function load(): Promise<PlatformDecoder> {
  const others = await sharpDecoder()
  const kinds = new Set<ImageKind>(others.kinds)
  const turbo = await import(PACKAGE).then(
    (module: { readonly default: TurboPackage }) => module.default,
    () => undefined,
  )
  if (turbo) kinds.add('JPEG')
  else kinds.delete('JPEG')
  return {
    kinds,
    absent: others.absent,
    decode: (image) => (image.kind === 'JPEG' && turbo ? decode(turbo, image) : others.decode(image)),
  }
}

async function decode(turbo: TurboPackage, { bytes, size, shrink }: PlatformImage): Promise<Pixels> {
  // It always decodes the whole image.
  if (size) shrink(size.width, size.height)
  const { width, height, data } = turbo.decode(bytes)
  return { width, height, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) }
}
