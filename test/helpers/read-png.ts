import { decodePng } from '../../src/data/png.ts'
import { inflate } from '../../src/platform/node/png.ts'
import type { Pixels } from '../../src/platform/platform.ts'

/** The pixels of a PNG's bytes. */
export function readPng(bytes: Uint8Array): Promise<Pixels> {
  return decodePng(bytes, inflate)
}
