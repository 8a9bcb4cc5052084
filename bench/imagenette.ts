/**
 * `npm run imagenette`: the lesson, cell by cell. Each section below corresponds to one part of the notebook, with its
 * settings and the numbers of its cells if they have any; shared parts come first, and lesson-run.ts writes and prints
 * the results.
 */
import {
  accuracy,
  augTransforms,
  batchStats,
  CategoryBlock,
  crossEntropy,
  cutMix,
  DataBlock,
  getImageFiles,
  ImageBlock,
  imagenetStats,
  labelSmoothing,
  Learner,
  mixUp,
  normalize,
  openGpu,
  parentLabel,
  randomSplitter,
  resize,
  sampleData,
  xresnet18,
  xresnet50,
  type LearnerOptions,
} from '../src/node.ts'
import type { Module } from '../src/exports/nn.ts'
import { PixelCache, type Loaders } from '../src/exports/data.ts'
import { runCommand } from '../src/cli/command.ts'
import { chooseData } from './lesson/data-source.ts'
import { LessonRun } from './lesson/lesson-run.ts'
import { nextSplit, readOptions, USAGE, wantsHelp } from './lesson/options.ts'

/** GPU memory for images: all of Imagenette at 224 × 224 takes 2.7 GB. */
const GPU_BYTES = 3 * 2 ** 30

async function main(argv: readonly string[]): Promise<void> {
  if (wantsHelp(argv)) {
    console.log(USAGE)
    return
  }
  const gpu = await openGpu()
  const options = readOptions(argv, process.env, gpu.software)
  const { size, thenSize, epochs, batchSize, firstBatchSize, seed, widen, limit, valid, split, fp32 } = options
  const run = await LessonRun.open(gpu, options)
  if (!run) return gpu.close()
  const data = await chooseData(options, gpu.platform, sampleData)
  run.begin(data)

  // Decoded images are kept across sections, so that the second epoch decodes nothing.
  const cache = new PixelCache(undefined, { gpuBytes: gpu.software ? 0 : GPU_BYTES })
  const getLoaders = (
    pixels: number,
    { normalized = true, batch = batchSize, splitSeed = seed } = {},
  ): Promise<Loaders> =>
    new DataBlock({
      blocks: [ImageBlock(), CategoryBlock()],
      getItems: getImageFiles,
      getY: parentLabel,
      splitter: randomSplitter({ seed: splitSeed, validPercent: valid }),
      itemTransforms: [resize(224)],
      batchTransforms: [
        ...augTransforms({ size: pixels, minScale: 0.5 }),
        ...(normalized ? [normalize(imagenetStats)] : []),
      ],
    }).loaders(data.path, { batchSize: batch, seed, limit, cache })

  /** Makes a learner with the settings that all learners of the notebook share. */
  const newLearner = (
    loaders: Loaders,
    options: LearnerOptions = {},
    model: Module = xresnet18({ seed, widen }),
  ): Learner => {
    const callbacks = [...(options.callbacks ?? []), run.sectionLog]
    const learner = new Learner(loaders, model, { loss: crossEntropy(), metrics: [accuracy], ...options, callbacks })
    return fp32 ? learner : learner.toFp16()
  }

  // In [1] to In [3]: no normalization. These cells and those of the next section have a batch size of 4 in the notebook
  await run.section('baseline', size, async (report) => {
    const learner = newLearner(await getLoaders(size, { normalized: false, batch: firstBatchSize }))
    await learner.fitOneCycle(epochs, 3e-3, run.checkpoint)
    await report(learner)
  })

  // "Normalisierung", In [9] and the two cells above it: the statistics of a batch before, which are far from 0 and 1, and
  // after; In [10]: the same training
  await run.section('normalize', size, async (report) => {
    run.printStats(await batchStats((await getLoaders(size, { normalized: false, batch: firstBatchSize })).train))
    const loaders = await getLoaders(size, { batch: firstBatchSize })
    run.printStats(await batchStats(loaders.train))
    const learner = newLearner(loaders)
    await learner.fitOneCycle(epochs, 3e-3, run.checkpoint)
    await report(learner)
  })

  // "Progressive Resizing", step 1, the cell above In [12]: small images
  const resized = run.shared<Learner>()
  await run.section('small-images', size, async (report) => {
    const learner = newLearner(await getLoaders(size))
    await learner.fitOneCycle(epochs, 3e-3, run.checkpoint)
    await report(learner)
    resized.value = learner
  })

  // Step 2, In [12]: the same network on larger ones. The notebook's new loaders have a new split, too
  await run.section('larger-images', thenSize, async (report) => {
    const learner = resized.get()
    learner.loaders = await getLoaders(thenSize, { splitSeed: split === 'new' ? nextSplit(seed) : seed })
    await learner.fineTune(epochs, 1e-3, run.checkpoint)
    await report(learner)
    await run.keepModel(learner)
  })

  // "Test Time Augmentation", In [13]
  await run.section('tta', thenSize, async (report) => {
    const learner = resized.get()
    const averaged = await learner.tta()
    await report(learner, { predictions: averaged, ttaAccuracy: accuracy(averaged.predictions, averaged.targets) })
  })
  resized.value = undefined

  // "Mixup", between In [13] and In [17], "Anwendung in FastAI": a callback; it has a larger network, and no to_fp16(), and
  // was not run. The report shows CutMix beside it
  await run.section('mixup', size, async (report) => {
    const learner = newLearner(await getLoaders(size), { callbacks: [mixUp()] }, xresnet50({ seed })).toFp32()
    await learner.fitOneCycle(epochs, 3e-3, run.checkpoint)
    await report(learner, { beside: [cutMix()] })
  })

  // "Label Smoothing", In [17]: only another loss
  await run.section('label-smoothing', size, async (report) => {
    const learner = newLearner(await getLoaders(size), { loss: labelSmoothing() })
    await learner.fitOneCycle(epochs, 3e-3, run.checkpoint)
    await report(learner)
  })

  await run.end()
}

await runCommand(main)
