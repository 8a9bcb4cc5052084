import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sampleData } from 'wgrad'
import { afterAll } from 'vitest'
import type { Platform } from 'wgrad/gpu'

/** Folders of Imagenette's classes and their names. Source: fastai, Imagenette's README. */
const IMAGENETTE: Readonly<Record<string, string>> = {
  n01440764: 'tench',
  n02102040: 'english springer',
  n02979186: 'cassette player',
  n03000684: 'chain saw',
  n03028079: 'church',
  n03394916: 'french horn',
  n03417042: 'garbage truck',
  n03425413: 'gas pump',
  n03445777: 'golf ball',
  n03888257: 'parachute',
}

/**
 * Makes a folder of pictures in folders named by what they show, until the tests of the file have ended: photographs of
 * Imagenette, if the variable IMAGENETTE_PATH says where it is, else pictures that are drawn.
 *
 * @param kinds  number of classes, at most 10
 * @param each   pictures of each
 */
export async function photographs(platform: Platform, kinds: number, each: number): Promise<string> {
  const given = process.env.IMAGENETTE_PATH
  const source = join(given ?? (await sampleData({ images: 10 * Math.ceil(each / 0.8), platform })), 'train')
  const folder = mkdtempSync(join(tmpdir(), 'wgrad-course-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  for (const kind of readdirSync(source).sort().slice(-kinds)) {
    const name = IMAGENETTE[kind] ?? kind
    mkdirSync(join(folder, name))
    for (const file of readdirSync(join(source, kind)).sort().slice(0, each)) {
      cpSync(join(source, kind, file), join(folder, name, `${name} ${file}`))
    }
  }
  return folder
}

/** Makes a folder for what a program writes, until the tests of the file have ended. */
export function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'wgrad-course-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  return folder
}
