/** A training in a page, for a while: drawn images and the five layers of the page's first minute. */
import {
  addFiles,
  CategoryBlock,
  DataBlock,
  getImageFiles,
  imagenetStats,
  ImageBlock,
  Learner,
  normalize,
  openGpu,
  parentLabel,
  resize,
  type Callback,
} from '../../src/browser.ts'
import { ConvLayer, GlobalAvgPool, Init, Linear, Sequential } from '../../src/exports/nn.ts'

const COLOURS = ['crimson', 'seagreen', 'royalblue']
const SIZE = 32
const BATCH = 16
/** Images of each colour. */
const COUNT = 32

/** Images of a training, and the time from its first finished step to its last. */
export interface Trained {
  readonly images: number
  readonly milliseconds: number
}

/**
 * Trains for some seconds from the first step that is done.
 *
 * @param onStep  called when the first step is done
 */
export async function trainFor(seconds: number, onStep: () => void): Promise<Trained> {
  const gpu = await openGpu()
  const platform = Object.assign(gpu.platform, { log: () => undefined })
  const loaders = await new DataBlock({
    blocks: [ImageBlock(), CategoryBlock()],
    getItems: getImageFiles,
    getY: parentLabel,
    itemTransforms: [resize(SIZE)],
    batchTransforms: [normalize(imagenetStats)],
  }).loaders(await addFiles(await drawings()), { batchSize: BATCH, platform })
  const init = new Init(0)
  const layer = (inChannels: number, outChannels: number) => new ConvLayer({ inChannels, outChannels, stride: 2, init })
  const model = new Sequential([
    layer(3, 16),
    layer(16, 32),
    layer(32, 64),
    layer(64, 128),
    new GlobalAvgPool(),
    new Linear(128, COLOURS.length, init),
  ])
  const times: number[] = []
  const watch: Callback = {
    name: 'watch',
    order: 90,
    replayable: true,
    lossKnown: () => {
      if (times.length === 0) onStep()
      times.push(performance.now())
      if (times[times.length - 1] - times[0] > 1000 * seconds) learner.interrupt()
    },
  }
  const learner = new Learner(loaders, model, { callbacks: [watch], tune: { seconds: 0.5 } }).toFp16()
  await learner.fit(10_000, 1e-3)
  gpu.close()
  return { images: BATCH * (times.length - 1), milliseconds: times[times.length - 1] - times[0] }
}

async function drawings(): Promise<Map<string, Blob>> {
  const all = new Map<string, Blob>()
  for (const colour of COLOURS) {
    for (let i = 0; i < COUNT; i++) {
      const canvas = new OffscreenCanvas(SIZE, SIZE)
      const drawing = canvas.getContext('2d')!
      drawing.fillStyle = colour
      drawing.fillRect(i % 8, i % 5, SIZE / 2, SIZE / 2)
      all.set(`${colour}/${i}.png`, await canvas.convertToBlob())
    }
  }
  return all
}
