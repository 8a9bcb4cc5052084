import { afterAll } from 'vitest'
import { openGpu, type Gpu } from '../../../src/browser.ts'

/** Opens the page's GPU for the tests of one file, without printing. */
export async function openPageGpu(options: Parameters<typeof openGpu>[0] = {}): Promise<{ gpu: Gpu; lines: string[] }> {
  const gpu = await openGpu(options)
  const lines: string[] = []
  Object.assign(gpu.platform, { log: (line: string) => void lines.push(line) })
  afterAll(() => gpu.close())
  return { gpu, lines }
}

const COLOURS = { red: '#c03028', green: '#28a048', blue: '#3058c0' } as const
export type Colour = keyof typeof COLOURS
export const colours = Object.keys(COLOURS) as Colour[]

/** A drawn image of one colour, with a spot whose place differs. */
export function draw(colour: Colour, number: number, width = 32, height = width): OffscreenCanvas {
  const canvas = new OffscreenCanvas(width, height)
  const drawing = canvas.getContext('2d')!
  drawing.fillStyle = COLOURS[colour]
  drawing.fillRect(0, 0, width, height)
  drawing.fillStyle = `hsl(${(number * 67) % 360} 60% 50%)`
  drawing.fillRect((number * 5) % (width / 2), (number * 3) % (height / 2), width / 4, height / 4)
  return canvas
}

export function imageFile(colour: Colour, number: number, size?: number, type = 'image/png'): Promise<Blob> {
  return draw(colour, number, size).convertToBlob({ type })
}

/** `count` images of each colour by path: red/0.png … */
export async function imageFolder(count: number, size?: number): Promise<Map<string, Blob>> {
  const files = new Map<string, Blob>()
  for (const colour of colours) {
    for (let i = 0; i < count; i++) files.set(`${colour}/${i}.png`, await imageFile(colour, i, size))
  }
  return files
}

export async function base64(blob: Blob): Promise<string> {
  const bytes = new Uint8Array(await blob.arrayBuffer())
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
}
