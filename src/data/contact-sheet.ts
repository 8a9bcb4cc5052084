/** Contact sheets: images in a grid, each above its label, and above what was predicted for it where that is known. */
import { base64 } from '../base/base64.ts'
import { OptionError } from '../base/errors.ts'
import { escaped } from '../base/escape.ts'
import { drawLetters, hasLetters, type CaptionRequest } from '../image/caption.ts'
import type { Pixels } from '../image/pixels.ts'
import { estimatedWidth, wrapText } from '../image/wrap-text.ts'
import type { Platform } from '../platform/platform.ts'

/** An image as the network sees it, and what it shows. */
export interface LabeledImage {
  readonly image: Pixels
  readonly label: string
  /** Label that a model predicts for the image, if one was asked. */
  readonly predicted?: string
  /** Line below, such as the loss. */
  readonly note?: string
  /** Path of the file, which an HTML file shows when the image is pointed at. */
  readonly path?: string
}

/** Format of a contact sheet. In 'svg' and 'html' labels are text, drawn by the fonts of whoever looks at it. */
export type SheetFormat = 'png' | 'svg' | 'html'

/** Parts of a platform that make a contact sheet. */
export type SheetPlatform = Pick<Platform, 'encodePng' | 'drawText' | 'log'>

/** Smallest width of an image on a sheet, which makes room for its label: smaller ones are enlarged by a whole number. */
const LEAST_WIDTH = 112
const GAP = 8
/** Em of a label in pixels. */
const TEXT_SIZE = 13
const LINE_HEIGHT = 18
const FONTS = "system-ui, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"

type Color = readonly [number, number, number]
const GROUND: Color = [255, 255, 255]
/** Color of a label where nothing was predicted. */
const PLAIN: Color = [17, 17, 17]
/** Colors of both lines where the prediction is right and where it is wrong: those of fastai, dark enough to be read. */
const RIGHT: Color = [0, 110, 0]
const WRONG: Color = [190, 0, 0]

/**
 * Makes a contact sheet. Labels have their full length: they are wrapped, and small images enlarged to make room. Where an
 * image has a prediction, label and prediction are green if they agree and red if not.
 *
 * A PNG shows scripts for which there are fonts: those of the browser in a page, and those of the system in Node, where it
 * takes the package sharp. Without it there are only A to Z, which a line in the log says; `showBatch` and its like then
 * write an HTML file beside the PNG.
 *
 * @param tiles  images of one size, at least one
 * @returns the bytes of a PNG, or the text of an SVG or HTML file
 * Source: fastai vision/data.py, show_results (the colors).
 */
export function contactSheet(
  tiles: readonly LabeledImage[],
  format: 'png',
  platform: SheetPlatform,
): Promise<Uint8Array>
export function contactSheet(
  tiles: readonly LabeledImage[],
  format: 'svg' | 'html',
  platform: SheetPlatform,
): Promise<string>
export function contactSheet(
  tiles: readonly LabeledImage[],
  format: SheetFormat,
  platform: SheetPlatform,
): Promise<Uint8Array | string>
export async function contactSheet(
  tiles: readonly LabeledImage[],
  format: SheetFormat,
  platform: SheetPlatform,
): Promise<Uint8Array | string> {
  if (tiles.length === 0) throw new OptionError('contactSheet', 'there are no images')
  if (format === 'svg') return sheetSvg(tiles, platform)
  if (format === 'html') return sheetHtml(tiles, platform)
  return platform.encodePng(await sheetPixels(tiles, platform))
}

/** Returns the format that the extension of a file says. @throws OptionError  for another one */
export function sheetFormat(where: string, file: string): SheetFormat {
  const format = /\.(png|svg|html)$/i.exec(file)?.[1].toLowerCase() as SheetFormat | undefined
  if (format) return format
  throw new OptionError(where, 'the extension does not match a format that is written', {
    given: { file },
    expected: 'a path that ends in .png, .svg or .html',
  })
}

/**
 * Writes a contact sheet in the format of the file's extension; without a file, returns the bytes of a PNG. Where a PNG
 * cannot show a label, an HTML file beside it does.
 */
export async function writeSheet(
  platform: Platform,
  file: string | undefined,
  tiles: readonly LabeledImage[],
  where: string,
): Promise<Uint8Array | void> {
  if (file === undefined) return contactSheet(tiles, 'png', platform)
  const format = sheetFormat(where, file)
  if (format !== 'png') return platform.files.write(file, await contactSheet(tiles, format, platform))
  const { sheet, unread } = await drawSheet(tiles, platform)
  await platform.files.write(file, await platform.encodePng(sheet))
  if (unread === undefined) return
  const page = file.replace(/png$/i, 'html')
  await platform.files.write(page, await sheetHtml(tiles, platform))
  platform.log(
    `contact sheet: ${file} has ? for characters such as those of '${unread}', which take the package sharp; ${page} has them`,
  )
}

/** Sizes of a sheet whose images all have the size of the first. */
function gridOf(tiles: readonly LabeledImage[]) {
  const [{ image }] = tiles
  const scale = Math.max(1, Math.ceil(LEAST_WIDTH / image.width))
  const columns = Math.ceil(Math.sqrt(tiles.length))
  const size = { width: image.width * scale, height: image.height * scale }
  return { scale, columns, ...size, left: (column: number) => GAP + column * (size.width + GAP) }
}

function captionOf(tile: LabeledImage): { readonly text: string; readonly color: Color } {
  const { label, predicted } = tile
  const text = linesOf(tile).map(oneLine).join('\n')
  return { text, color: predicted === undefined ? PLAIN : predicted === label ? RIGHT : WRONG }
}

function linesOf({ label, predicted, note }: LabeledImage): string[] {
  return [label, ...(predicted === undefined ? [] : [predicted]), ...(note === undefined ? [] : [note])]
}

/** Returns a label without line breaks and other control characters. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ')
}

/** Draws a contact sheet; a line in the log says if characters are missing. */
export async function sheetPixels(
  tiles: readonly LabeledImage[],
  platform: Pick<SheetPlatform, 'drawText' | 'log'>,
): Promise<Pixels> {
  const { sheet, unread } = await drawSheet(tiles, platform)
  if (unread !== undefined) {
    platform.log(
      `contact sheet: '${unread}' has characters that are drawn as ? here; npm install sharp, or write .html or .svg`,
    )
  }
  return sheet
}

/** Draws a contact sheet, and returns the first caption with characters for which there is no font. */
async function drawSheet(
  tiles: readonly LabeledImage[],
  platform: Pick<SheetPlatform, 'drawText'>,
): Promise<{ readonly sheet: Pixels; readonly unread: string | undefined }> {
  const { scale, columns, width: w, height: h, left } = gridOf(tiles)
  const { captions, unread } = await drawnCaptions(tiles, w, platform)
  const rows = Array.from({ length: Math.ceil(tiles.length / columns) }, (_, row) =>
    Math.max(0, ...captions.slice(row * columns, (row + 1) * columns).map(({ height }) => height)),
  )
  const tops = rows.map((_, row) => GAP + rows.slice(0, row).reduce((sum, caption) => sum + h + caption + 3 * GAP, 0))
  const width = left(columns)
  const height = (tops.at(-1) ?? 0) + h + (rows.at(-1) ?? 0) + 2 * GAP
  const sheet = { width, height, data: new Uint8Array(4 * width * height) }
  for (let at = 0; at < sheet.data.length; at += 4) sheet.data.set([...GROUND, 255], at)
  tiles.forEach(({ image }, i) => {
    const [x, y] = [left(i % columns), tops[Math.floor(i / columns)]]
    place(sheet, image, x, y, scale)
    const caption = captions[i]
    place(sheet, caption, x + Math.max(0, Math.floor((w - caption.width) / 2)), y + h + GAP, 1)
  })
  return { sheet, unread }
}

async function drawnCaptions(
  tiles: readonly LabeledImage[],
  width: number,
  { drawText }: Pick<SheetPlatform, 'drawText'>,
): Promise<{ readonly captions: readonly Pixels[]; readonly unread: string | undefined }> {
  const requests: CaptionRequest[] = tiles.map((tile) => ({ ...captionOf(tile), width, size: TEXT_SIZE }))
  const drawn = await Promise.all(
    requests.map(async (request) => (request.text.trim() === '' ? undefined : drawText?.(request))),
  )
  const unread = requests.find(({ text }, i) => drawn[i] === undefined && !hasLetters(text))
  return {
    captions: requests.map((request, i) => drawn[i] ?? drawLetters(request)),
    unread: unread && oneLine(unread.text),
  }
}

/** Copies pixels onto a sheet, enlarged, with their alpha channel; what is beyond its edge is left out. */
function place(sheet: Pixels, { width, height, data }: Pixels, left: number, top: number, scale: number): void {
  for (let y = 0; y < height * scale; y++) {
    for (let x = 0; x < Math.min(width * scale, sheet.width - left); x++) {
      const from = 4 * (Math.floor(y / scale) * width + Math.floor(x / scale))
      const to = 4 * ((top + y) * sheet.width + left + x)
      const alpha = data[from + 3] / 255
      for (let c = 0; c < 3; c++) {
        sheet.data[to + c] = Math.round(alpha * data[from + c] + (1 - alpha) * sheet.data[to + c])
      }
    }
  }
}

async function sheetSvg(tiles: readonly LabeledImage[], { encodePng }: SheetPlatform): Promise<string> {
  const { columns, width: w, height: h, left } = gridOf(tiles)
  const lines = tiles.map((tile) => wrapText(captionOf(tile).text, w, (text) => estimatedWidth(text, TEXT_SIZE)))
  let top = GAP
  const parts: string[] = []
  for (let first = 0; first < tiles.length; first += columns) {
    const row = tiles.slice(first, first + columns)
    for (const [column, tile] of row.entries()) {
      const x = left(column)
      const color = css(captionOf(tile).color)
      parts.push(
        `<image x="${x}" y="${top}" width="${w}" height="${h}" href="${await dataUrl(tile.image, encodePng)}"/>`,
        ...lines[first + column].map(
          (line, i) =>
            `<text x="${x + w / 2}" y="${top + h + (i + 1) * LINE_HEIGHT}" fill="${color}">${escaped(line)}</text>`,
        ),
      )
    }
    const most = Math.max(...lines.slice(first, first + columns).map(({ length }) => length))
    top += h + most * LINE_HEIGHT + 2 * GAP
  }
  const width = left(columns)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${top}" viewBox="0 0 ${width} ${top}">`,
    `<style>text{font:${TEXT_SIZE}px ${FONTS};text-anchor:middle;unicode-bidi:plaintext}image{image-rendering:pixelated}</style>`,
    `<rect width="100%" height="100%" fill="${css(GROUND)}"/>`,
    ...parts,
    '</svg>\n',
  ].join('\n')
}

async function sheetHtml(tiles: readonly LabeledImage[], { encodePng }: SheetPlatform): Promise<string> {
  const { columns, width, height } = gridOf(tiles)
  const figures: string[] = []
  for (const tile of tiles) {
    const { label, predicted, image, path } = tile
    const title = path === undefined ? '' : ` title="${escaped(path)}"`
    const source = await dataUrl(image, encodePng)
    const kind = predicted === undefined ? '' : predicted === label ? ' class="right"' : ' class="wrong"'
    figures.push(
      `<figure${kind}><img src="${source}" width="${width}" height="${height}" alt=""${title}>` +
        `<figcaption>${linesOf(tile)
          .map((line) => `<div dir="auto">${escaped(oneLine(line))}</div>`)
          .join('')}</figcaption></figure>`,
    )
  }
  return `<!doctype html>
<meta charset="utf-8">
<title>Images and labels</title>
<style>
body { margin: ${GAP}px; background: ${css(GROUND)}; color: ${css(PLAIN)}; font: ${TEXT_SIZE}px/1.4 ${FONTS} }
main { display: grid; grid-template-columns: repeat(${columns}, ${width}px); gap: ${2 * GAP}px ${GAP}px }
figure { margin: 0; text-align: center; overflow-wrap: anywhere }
figcaption div + div { margin-top: 2px }
img { display: block; margin-bottom: 4px; image-rendering: pixelated }
.right { color: ${css(RIGHT)} }
.wrong { color: ${css(WRONG)} }
</style>
<main>
${figures.join('\n')}
</main>
`
}

async function dataUrl(image: Pixels, encodePng: SheetPlatform['encodePng']): Promise<string> {
  return `data:image/png;base64,${base64(await encodePng(image))}`
}

function css(color: Color): string {
  return `#${color.map((value) => value.toString(16).padStart(2, '0')).join('')}`
}
