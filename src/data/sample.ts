import { requireInteger } from '../base/check.ts'
import { rng, type Rng } from '../base/rng.ts'
import { ANY, checkOptions, NUMBER, oneOfTexts, PATH } from '../base/options.ts'
import { currentGpu } from '../gpu/device.ts'
import type { Platform } from '../platform/platform.ts'
import { encodeJpeg } from '../image/encode-jpeg.ts'
import { drawPicture, drawScene, mostThings, thingNames, type ThingName } from '../image/drawing.ts'
import { inGrey } from '../image/grey.ts'
import { csvLine } from './csv.ts'
import { dataHome, datasetsOf } from './untar-data.ts'

/** Goes up when the images change, so that an old sample is not taken for a new one. */
const VERSION = 2
/** Every fifth image of a class is there to measure on. */
const VALID_EVERY = 5

/** The classes of `sampleData`, which are the names of its folders. */
export const sampleClasses: readonly string[] = thingNames

/** Labels of the kind 'labels': things that an image may show together. */
export const sampleLabels: readonly string[] = ['cross', 'disc', 'dots', 'stripes', 'triangle'] satisfies ThingName[]

/**
 * Kind of a generated data set:
 *
 *   'classes'  one thing per image, in folders of classes
 *   'grey'     the same in grey
 *   'labels'   none to three things per image, named in the table `labels.csv`
 *   'numbers'  one to four discs per image; `labels.csv` has their `count` and the `area` that they cover, in parts of it
 */
export type SampleKind = 'classes' | 'grey' | 'labels' | 'numbers'

/** Kinds that have a table, and the names of its columns of targets. */
const TABLES: Readonly<Partial<Record<SampleKind, readonly string[]>>> = {
  labels: ['labels'],
  numbers: ['count', 'area'],
}
const KINDS = oneOfTexts('classes', 'grey', 'labels', 'numbers')
/** Side in pixels of images with several things. */
const SCENE_SIZE = 64
/** The most labels of an image. */
const MOST_LABELS = 3

/** Options of `sampleData`. */
export interface SampleOptions {
  /** Default 'classes' */
  readonly kind?: SampleKind
  /** Number of images, over all classes. Default 1,600 */
  readonly images?: number
  /** Folder that holds `data/`. Default: the setting `FASTAI_HOME`, otherwise `~/.fastai` */
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
 * Other kinds are several things per image, numbers, and grey images (see `SampleKind`):
 *
 *   const folder = await sampleData({ kind: 'labels', images: 400 })
 *   await ImageLoaders.fromCsv(folder, { labelDelim: ' ', validColumn: 'is_valid' })
 *
 * The same images for the same number everywhere; drawn once, and found again.
 *
 * @returns the path of the folder
 * @throws OptionError  for fewer images than put one of every class into `val`
 * @throws DataError    when the files cannot be written
 */
export async function sampleData(options: SampleOptions = {}): Promise<string> {
  checkOptions('sampleData', options, { kind: KINDS, images: NUMBER, home: PATH, platform: ANY })
  const { kind = 'classes', images = 1600, platform = currentGpu().platform } = options
  const least = (TABLES[kind] ? 1 : thingNames.length) * VALID_EVERY
  requireInteger('sampleData', 'images', images, { from: least })
  const { files } = platform
  const name = ['wgrad-sample', ...(kind === 'classes' ? [] : [kind]), VERSION, images].join('-')
  const folder = files.join((await dataHome(platform, options.home)).data, name)
  if (await files.exists(folder)) return folder

  const onWait = (holder: string) => platform.log(`${holder} is drawing the sample: waiting for it`)
  await datasetsOf(platform).exclusively(
    folder,
    async () => {
      // Another process may have drawn it meanwhile.
      if (!(await files.exists(folder))) await drawSample(platform, folder, kind, images)
    },
    onWait,
  )
  return folder
}

async function drawSample(platform: Platform, folder: string, kind: SampleKind, images: number): Promise<void> {
  const { files, status } = platform
  const columns = TABLES[kind]
  await datasetsOf(platform)
    .create(folder, async (temporary) => {
      let table = csvLine(['path', ...(columns ?? []), 'is_valid'])
      for (let image = 0; image < images; image++) {
        if (columns) {
          const path = `images/${String(image).padStart(5, '0')}.jpg`
          const { jpeg, targets } = drawTargets(kind, image)
          await files.write(files.join(temporary, path), jpeg)
          table += csvLine([path, ...targets, image % VALID_EVERY === VALID_EVERY - 1 ? 'True' : 'False'])
        } else {
          const name = thingNames[image % thingNames.length]
          const number = Math.floor(image / thingNames.length)
          const side = number % VALID_EVERY === VALID_EVERY - 1 ? 'val' : 'train'
          const file = files.join(temporary, side, name, `${String(number).padStart(4, '0')}.jpg`)
          await files.write(file, drawJpeg(name, image, kind === 'grey'))
        }
        status?.(`drawing the sample: ${image + 1} of ${images} images`)
      }
      if (columns) await files.write(files.join(temporary, 'labels.csv'), table)
    })
    .finally(() => status?.(''))
  platform.log(`drew a sample of ${images} images: ${folder}`)
}

function drawJpeg(name: ThingName, image: number, grey: boolean): Uint8Array {
  const draw = rng(0, 'sample', VERSION, image)
  const picture = drawPicture(name, draw)
  return encodeJpeg(grey ? inGrey(picture) : picture, draw.integer(60, 92))
}

/** Draws an image of several things. @returns  its file, and the cells of its row in the table */
function drawTargets(kind: SampleKind, image: number) {
  const draw = rng(0, `sample ${kind}`, VERSION, image)
  const names = kind === 'labels' ? someLabels(draw) : new Array<ThingName>(draw.integer(1, mostThings)).fill('disc')
  const { picture, areas } = drawScene(names, SCENE_SIZE, draw)
  const area = areas.reduce((sum, part) => sum + part, 0).toFixed(4)
  return {
    jpeg: encodeJpeg(picture, draw.integer(80, 95)),
    targets: kind === 'labels' ? [names.toSorted().join(' ')] : [String(names.length), area],
  }
}

function someLabels(draw: Rng): readonly ThingName[] {
  const order = draw.permutation(sampleLabels.length)
  return Array.from(order.slice(0, draw.integer(0, MOST_LABELS)), (label) => sampleLabels[label] as ThingName)
}
