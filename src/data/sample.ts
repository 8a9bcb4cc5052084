import { requireInteger } from '../base/check.ts'
import { rng } from '../base/rng.ts'
import { ANY, checkOptions, NUMBER, PATH } from '../base/options.ts'
import { currentGpu } from '../gpu/device.ts'
import type { Platform } from '../platform/platform.ts'
import { encodeJpeg } from '../image/encode-jpeg.ts'
import { drawPicture, thingNames } from '../image/drawing.ts'
import { dataHome, datasetsOf } from './untar-data.ts'

/** Goes up when the pictures change, so that an old sample is not taken for a new one. */
const VERSION = 2
/** Every fifth picture of a class is there to measure on. */
const VALID_EVERY = 5

/** The classes of `sampleData`, which are the names of its folders. */
export const sampleClasses: readonly string[] = thingNames

export interface SampleOptions {
  /** How many, over all classes. Default 1,600. */
  readonly images?: number
  /** As of `untarData`. */
  readonly home?: string
  /** Default: that of the open GPU. */
  readonly platform?: Platform
}

/**
 * The folder of a generated data set, for where none can be fetched: ten classes of shapes and textures, in random
 * colours, sizes, places and angles on random grounds, so that colour alone tells nothing. JPEG files of many sizes:
 *
 *   <home>/data/wgrad-sample-2-1600/train/ring/0001.jpg       four of five
 *   <home>/data/wgrad-sample-2-1600/val/ring/0004.jpg         every fifth
 *
 * The same pictures for the same number everywhere; drawn once, and found again.
 *
 * @returns the path of the folder
 * @throws OptionError  for fewer images than put one of every class into `val`
 * @throws DataError    when the files cannot be written
 */
export async function sampleData(options: SampleOptions = {}): Promise<string> {
  checkOptions('sampleData', options, { images: NUMBER, home: PATH, platform: ANY })
  const { images = 1600, platform = currentGpu().platform } = options
  const least = thingNames.length * VALID_EVERY
  requireInteger('sampleData', 'images', images, { from: least })
  const { files } = platform
  const folder = files.join((await dataHome(platform, options.home)).data, `wgrad-sample-${VERSION}-${images}`)
  if (await files.exists(folder)) return folder

  const onWait = (holder: string) => platform.log(`${holder} is drawing the sample: waiting for it`)
  await datasetsOf(platform).exclusively(
    folder,
    async () => {
      // Another process may have drawn it meanwhile.
      if (!(await files.exists(folder))) await drawSample(platform, folder, images)
    },
    onWait,
  )
  return folder
}

async function drawSample(platform: Platform, folder: string, images: number): Promise<void> {
  const { files, status } = platform
  await datasetsOf(platform)
    .create(folder, async (temporary) => {
      for (let image = 0; image < images; image++) {
        const name = thingNames[image % thingNames.length]
        const number = Math.floor(image / thingNames.length)
        const side = number % VALID_EVERY === VALID_EVERY - 1 ? 'val' : 'train'
        const file = files.join(temporary, side, name, `${String(number).padStart(4, '0')}.jpg`)
        await files.write(file, drawJpeg(name, image))
        status?.(`drawing the sample: ${image + 1} of ${images} images`)
      }
    })
    .finally(() => status?.(''))
  platform.log(`drew a sample of ${images} images: ${folder}`)
}

function drawJpeg(name: (typeof thingNames)[number], image: number): Uint8Array {
  const draw = rng(0, 'sample', VERSION, image)
  const picture = drawPicture(name, draw)
  return encodeJpeg(picture, draw.integer(60, 92))
}
