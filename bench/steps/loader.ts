import { OptionError } from '../../src/base/errors.ts'
import { formatTable } from '../../src/base/table.ts'
import {
  augTransforms,
  CategoryBlock,
  DataBlock,
  getImageFiles,
  ImageBlock,
  imagenetStats,
  Learner,
  normalize,
  openGpu,
  parentLabel,
  resize,
  type Callback,
  type Gpu,
} from '../../src/node.ts'
import { tune } from '../../src/exports/gpu.ts'
import { scope } from '../../src/exports/tensor.ts'
import { PixelCache, type Loaders } from '../../src/exports/data.ts'
import { nodePlatform } from '../../src/platform/node/index.ts'
import { MODELS } from '../kernels/index.ts'
import { prepareStep, stepName, timeStream, type StepCase } from './step.ts'

/** Images per second of loading and training, each alone and both together. */
export interface LoaderRow extends StepCase {
  readonly images: number
  /** Number of decoding threads. */
  readonly threads: number
  /** Loading with empty caches: decode, resize, crop, upload and augment; and with cached pixels. */
  readonly cold: number
  readonly warm: number
  /** Training steps on a batch that stays on the GPU. */
  readonly training: number
  /** Training epochs of a fit, likewise with empty caches and with cached pixels. */
  readonly togetherCold: number
  readonly togetherWarm: number
}

export interface LoaderOptions {
  /** Path of a folder of class folders. */
  readonly path: string
  /** Largest number of images, for training and measuring. */
  readonly images: number
  /** Number of epochs of which the fastest counts; with empty caches there is one. Default 2 */
  readonly passes?: number
}

/** Measures the lesson's pipeline at the size of the case. */
export async function measureLoader(item: StepCase, { path, images, passes = 2 }: LoaderOptions): Promise<LoaderRow> {
  const gpu = await openGpu({ profile: false })
  const cache = new PixelCache()
  const { batchSize, size } = item
  // Without printing the table of epochs.
  const platform = { ...nodePlatform, log: () => {}, status: undefined }
  const loaders = await new DataBlock({
    blocks: [ImageBlock(), CategoryBlock()],
    getItems: getImageFiles,
    getY: parentLabel,
    itemTransforms: [resize(224)],
    batchTransforms: [...augTransforms({ size, minScale: 0.5 }), normalize(imagenetStats)],
  }).loaders(path, { batchSize, seed: 0, limit: images, cache, platform })
  const { itemCount } = loaders.train
  if (itemCount === 0) {
    const given = { images, batchSize }
    throw new OptionError('bench', 'there is not one whole batch to train on', {
      given,
      fix: 'give --images a larger number',
    })
  }
  const perSecond = (timeMs: number) => (itemCount / timeMs) * 1000

  // Compiles the augmentation.
  await loadPass(gpu, loaders, item, 1)
  cache.clear()
  const cold = perSecond(await loadPass(gpu, loaders, item))
  let warm = 0
  for (let i = 0; i < passes; i++) warm = Math.max(warm, perSecond(await loadPass(gpu, loaders, item)))
  const training = await trainAlone(gpu, item, loaders.train.batchCount)
  const together = await trainTogether(gpu, loaders, item, cache, passes)
  gpu.close()
  await nodePlatform.decoder.close()
  return {
    ...item,
    images: itemCount,
    threads: nodePlatform.decoder.threads,
    cold,
    warm,
    training,
    togetherCold: perSecond(together.coldMs),
    togetherWarm: perSecond(together.warmMs),
  }
}

let epoch = 0

/** Measures one epoch of the loader alone, each in another order, in ms. */
async function loadPass(gpu: Gpu, { train }: Loaders, { precision }: StepCase, most = Infinity): Promise<number> {
  const start = performance.now()
  let count = 0
  for await (const batch of train.batches({ epoch: epoch++ })) {
    scope(() => void batch.input(precision === 'mixed' ? 'f16' : 'f32'))
    if (++count === most) break
  }
  await gpu.queue.finished()
  return performance.now() - start
}

/** Measures images per second of steps on a batch that stays on the GPU. */
async function trainAlone(gpu: Gpu, item: StepCase, count: number): Promise<number> {
  const { step, record, close } = prepareStep(gpu, item)
  step()
  await gpu.queue.finished()
  await tune()
  const replay = record()
  await timeStream(gpu, replay, 2)
  const timeMs = await timeStream(gpu, replay, Math.max(8, count))
  close()
  return (item.batchSize / timeMs) * 1000
}

/**
 * Measures the training epochs of a fit: the first compiles, the second decodes again, the fastest of the others
 * counts.
 */
async function trainTogether(
  gpu: Gpu,
  loaders: Loaders,
  { model, precision }: StepCase,
  cache: PixelCache,
  passes: number,
): Promise<{ coldMs: number; warmMs: number }> {
  const times: number[] = []
  let start = 0
  const clock: Callback = {
    name: 'clock',
    order: 0,
    beforeTrain({ epoch: pass }) {
      if (pass === 1) cache.clear()
      start = performance.now()
    },
    async afterTrain() {
      await gpu.queue.finished()
      times.push(performance.now() - start)
    },
  }
  const learner = new Learner(loaders, MODELS[model](), { callbacks: [clock] })
  await (precision === 'mixed' ? learner.toFp16() : learner).fit(2 + passes, 1e-3)
  return { coldMs: times[1], warmMs: Math.min(...times.slice(2)) }
}

export function loaderTable(rows: readonly LoaderRow[]): string {
  const head = [
    'images per second',
    'loader alone',
    'training alone',
    'both',
    'of the slower',
    'images',
    'decoding threads',
  ]
  const lines = rows.flatMap((row) => {
    const line = (what: string, loader: number, together: number) => [
      `${stepName(row)}, ${what}`,
      loader.toFixed(1),
      row.training.toFixed(1),
      together.toFixed(1),
      `${((100 * together) / Math.min(loader, row.training)).toFixed(1)}%`,
      String(row.images),
      String(row.threads),
    ]
    return [line('decoding', row.cold, row.togetherCold), line('pixels remembered', row.warm, row.togetherWarm)]
  })
  return formatTable([head, ...lines])
}
