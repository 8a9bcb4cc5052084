import type { CaptionRequest } from '../../image/caption.ts'
import type { Pixels } from '../../image/pixels.ts'

/**
 * Draws a text with the fonts of the system, by the optional package sharp (Pango). `undefined` without the package, or
 * where the system has no font.
 */
export async function drawText({ text, width, size, color }: CaptionRequest): Promise<Pixels | undefined> {
  const sharp = await import('sharp').then(
    (loaded) => loaded.default,
    () => undefined,
  )
  if (sharp === undefined || text.trim() === '') return undefined
  const hex = color.map((value) => value.toString(16).padStart(2, '0')).join('')
  const markup = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  const image = sharp({
    text: {
      text: `<span foreground="#${hex}" insert_hyphens="false">${markup}</span>`,
      // At 72 dots per inch a point is a pixel.
      font: `sans ${size}`,
      dpi: 72,
      width,
      wrap: 'word-char',
      align: 'center',
      rgba: true,
    },
  })
  try {
    const { data, info } = await image.raw().toBuffer({ resolveWithObject: true })
    return { width: info.width, height: info.height, data: new Uint8Array(data) }
  } catch {
    // Without any font it draws nothing, and says so.
    return undefined
  }
}
