/** 8-bit RGBA, row by row from the top left: data.length = width · height · 4. */
export interface Pixels {
  readonly width: number
  readonly height: number
  readonly data: Uint8Array
}
