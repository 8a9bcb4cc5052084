import { relative } from 'node:path'
import { DataError } from '../../src/base/errors.ts'
import { dataHome, untarData } from '../../src/data/untar-data.ts'
import { urls } from '../../src/data/urls.ts'
import type { Platform } from '../../src/platform/platform.ts'
import type { Options } from './options.ts'

export interface DataSource {
  readonly path: string
  /** Name of the data in the report. */
  readonly name: string
  /**
   * True if the images were drawn by `makeSample` because the download failed: nothing measured on them applies to
   * Imagenette.
   */
  readonly isSample: boolean
}

const VARIANTS = { full: urls.imagenette, 320: urls.imagenette320, 160: urls.imagenette160 } as const

/**
 * Chooses the images to train on: the folder that was named, otherwise the download, cached or fetched now, otherwise a
 * generated sample.
 *
 * @param makeSample  writes the sample and returns its folder
 * @throws DataError  if a folder was named and does not exist
 */
export async function chooseData(
  options: Pick<Options, 'data' | 'variant'>,
  platform: Platform,
  makeSample: () => Promise<string>,
): Promise<DataSource> {
  const { files } = platform
  if (options.data !== undefined) {
    const path = shortPath(options.data)
    if (!(await files.exists(path))) {
      throw new DataError(path, 'there is no such folder', {
        fix: 'give --data (or IMAGENETTE_PATH) a folder of class folders',
      })
    }
    return { path, name: path, isSample: false }
  }
  const url = VARIANTS[options.variant]
  const name = url.split('/').at(-1) ?? url
  const folder = files.join((await dataHome(platform)).data, name.replace('.tgz', ''))
  if (!(await files.exists(folder))) platform.log(`fetching ${name}`)
  try {
    return { path: await untarData(url, { platform }), name, isSample: false }
  } catch (error) {
    if (!(error instanceof DataError)) throw error
    const line = '*'.repeat(100)
    platform.log(line)
    platform.log('* THESE ARE NOT IMAGENETTE. The images could not be fetched:')
    for (const text of error.message.split('\n')) platform.log(`*   ${text}`)
    platform.log(
      '* The lesson runs on a generated sample instead, ten kinds of drawn shapes and textures. Its accuracies',
    )
    platform.log('* say that training works, and nothing about Imagenette. Give --data DIR to use your own images.')
    platform.log(line)
    return { path: await makeSample(), name: 'generated sample (not Imagenette)', isSample: true }
  }
}

/** Shortens a path for reading: relative to the current folder if that is shorter. */
function shortPath(path: string): string {
  const fromHere = relative(process.cwd(), path)
  return fromHere !== '' && fromHere.length < path.length ? fromHere : path
}
