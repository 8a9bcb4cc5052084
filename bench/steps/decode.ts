/** How fast image files become pixels, by the decoders that there are. */
import jpeg from 'jpeg-js'
import sharp from 'sharp'
import { DEFAULT_DECODING, type Decoding } from '../../src/image/decode-options.ts'
import { decodeImage } from '../../src/image/decode.ts'
import { drawPicture, thingNames } from '../../src/image/drawing.ts'
import type { Pixels } from '../../src/image/pixels.ts'
import type { ResizePlan } from '../../src/image/resize-plan.ts'
import { rng } from '../../src/base/rng.ts'
import { pngReader } from '../../src/platform/node/png.ts'
import { sharpDecoder } from '../../src/platform/node/sharp.ts'
import { turboDecoder } from '../../src/platform/node/turbo.ts'

/** Sizes of an image of Imagenette at 224 pixels, of ImageNet, and of a telephone. */
const SIZES = [
  [224, 224],
  [500, 375],
  [4000, 3000],
] as const
const PLAN: ResizePlan = { method: 'crop', width: 224, height: 224, position: [0.5, 0.5] }
/** Time for each size, and turns of each decoder, at least. */
const ENOUGH_MS = 5000
const LEAST_ROUNDS = 3

type Decoder = (file: Uint8Array) => Promise<unknown>

/** A table: images per second of each decoder at each size, and how many times that of jpeg-js; one thread, one process. */
export async function decodeTable(): Promise<string> {
  const platform = await sharpDecoder()
  const turbo = await turboDecoder()
  const by =
    (decoder: Decoding['decoder'], shrink: Decoding['shrink'], resize?: ResizePlan): Decoder =>
    (file) =>
      decodeImage('image', file, pngReader, {
        resize,
        platform: decoder === 'turbo' ? turbo : platform,
        decoding: { ...DEFAULT_DECODING, decoder, shrink },
      })
  const decoders: readonly (readonly [name: string, decoder: Decoder])[] = [
    ['jpeg-js', by('built-in', 'exact')],
    ['@cwasm/jpeg-turbo', by('turbo', 'exact')],
    ['sharp', by('sharp', 'exact')],
    ['jpeg-js, then 224 px', by('built-in', 'exact', PLAN)],
    ['@cwasm/jpeg-turbo, then 224 px', by('turbo', 'exact', PLAN)],
    ['sharp, then 224 px', by('sharp', 'exact', PLAN)],
    ['sharp, shrink on load for 224 px', by('sharp', 'fast', PLAN)],
  ]
  const lines = [
    '| images/s (times jpeg-js) | ' + SIZES.map(([w, h]) => `${w} × ${h}`).join(' | ') + ' |',
    '| --- | ' + SIZES.map(() => '---').join(' | ') + ' |',
  ]
  const rates = await Promise.all(SIZES.map(([width, height]) => photograph(width, height))).then(async (files) => {
    const all: (readonly number[])[] = []
    for (const file of files) all.push(await imagesPerSecond(decoders, file))
    return all
  })
  for (const [d, [name]] of decoders.entries()) {
    // Each is compared with jpeg-js doing the same: the whole image, or an image of 224 pixels.
    const base = name.includes('224') ? decoders.findIndex(([other]) => other === 'jpeg-js, then 224 px') : 0
    const cells = rates.map((row) => `${row[d].toFixed(row[d] < 10 ? 1 : 0)} (${(row[d] / row[base]).toFixed(1)})`)
    lines.push(`| ${name} | ${cells.join(' | ')} |`)
  }
  return lines.join('\n')
}

/** Rates by the fastest of many turns, which the decoders take one after the other: other programs slow all of them alike. */
async function imagesPerSecond(decoders: readonly (readonly [string, Decoder])[], file: Uint8Array): Promise<number[]> {
  const fastest = decoders.map(() => Infinity)
  const start = performance.now()
  for (let round = 0; round < LEAST_ROUNDS || performance.now() - start < ENOUGH_MS; round++) {
    for (const [i, [, decoder]] of decoders.entries()) {
      const began = performance.now()
      await decoder(file)
      fastest[i] = Math.min(fastest[i], performance.now() - began)
    }
  }
  return fastest.map((ms) => 1000 / ms)
}

/** A JPEG of drawn things side by side, as detailed as a photograph, colours at half size as cameras store them. */
async function photograph(width: number, height: number): Promise<Uint8Array> {
  const tile: Pixels = drawPicture(thingNames[0], rng(0, 'decode bench'))
  const noise = Uint8Array.from(
    { length: tile.width * tile.height * 4 },
    (_, i) => tile.data[i] ^ ((i * 2654435761) >>> 29),
  )
  const one = jpeg.encode({ width: tile.width, height: tile.height, data: noise }, 95).data
  return sharp(one)
    .resize(Math.min(width, 500), Math.min(height, 375), { fit: 'fill' })
    .toBuffer()
    .then((part) =>
      sharp({ create: { width, height, channels: 3, background: 'grey' } })
        .composite([{ input: part, tile: true, gravity: 'northwest' }])
        .jpeg({ quality: 90, chromaSubsampling: '4:2:0' })
        .toBuffer(),
    )
}
