import type { CaptionRequest } from '../../image/caption.ts'
import type { Pixels } from '../../image/pixels.ts'
import { wrapText } from '../../image/wrap-text.ts'
import { context } from './image-bitmap.ts'

/** Height of a line in ems, which also marks above and below letters fit in. */
const LINE_HEIGHT = 1.5

/** Draws a text with the fonts of the browser. */
export function drawText({ text, width, size, color }: CaptionRequest): Promise<Pixels> {
  const font = `${size}px system-ui, sans-serif`
  const measuring = context(new OffscreenCanvas(1, 1))
  measuring.font = font
  const lines = wrapText(text, width, (part) => measuring.measureText(part).width)
  const lineHeight = Math.ceil(LINE_HEIGHT * size)
  const drawing = context(new OffscreenCanvas(width, lineHeight * lines.length))
  drawing.font = font
  drawing.fillStyle = `rgb(${color.join()})`
  drawing.textAlign = 'center'
  drawing.textBaseline = 'middle'
  for (const [i, line] of lines.entries()) drawing.fillText(line, width / 2, (i + 0.5) * lineHeight)
  const { height } = drawing.canvas
  const { data } = drawing.getImageData(0, 0, width, height)
  return Promise.resolve({ width, height, data: new Uint8Array(data.buffer) })
}
