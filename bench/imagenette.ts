/**
 * `npm run imagenette`: the lesson, cell by cell. Each section below is what one part of the notebook does, with its
 * settings; what they have in common is above them, what is written and printed in lesson-run.ts.
 */
import {
  accuracy, augTransforms, CategoryBlock, crossEntropy, DataBlock, getImageFiles, ImageBlock, imagenetStats, labelSmoothing,
  Learner, normalize, openGpu, parentLabel, PixelCache, resize, sampleData, WgradError, xresnet18, type Loaders,
  type Loss,
} from '../src/node.ts'
import { chooseData } from './data-source.ts'
import { LessonRun } from './lesson-run.ts'
import { readOptions, USAGE, wantsHelp } from './options.ts'

async function main(argv: readonly string[]): Promise<void> {
  if (wantsHelp(argv)) {
    console.log(USAGE)
    return
  }
  const gpu = await openGpu()
  const options = readOptions(argv, process.env, gpu.software)
  const { size, thenSize, epochs, batchSize, seed, limit } = options
  const run = new LessonRun(gpu, options)
  const data = await chooseData(options, gpu.platform, sampleData)
  run.begin(data)

  // Decoded pictures are kept across sections: the second epoch decodes nothing.
  const cache = new PixelCache()
  const getLoaders = (pixels: number, normalized = true): Promise<Loaders> =>
    new DataBlock({
      blocks: [ImageBlock(), CategoryBlock()],
      getItems: getImageFiles,
      getY: parentLabel,
      itemTransforms: [resize(224)],
      batchTransforms: [...augTransforms({ size: pixels, minScale: 0.5 }), ...(normalized ? [normalize(imagenetStats)] : [])],
    }).loaders(data.path, { batchSize, seed, limit, cache })

  const newLearner = (loaders: Loaders, loss: Loss = crossEntropy()): Learner => {
    const learner = new Learner(loaders, xresnet18({ seed }), { loss, metrics: [accuracy] })
    return options.fp32 ? learner : learner.toFp16()
  }

  // The first cells: no normalisation. The notebook has a batch size of 4 here: --batch-size 4
  await run.section('baseline', size, async (report) => {
    const learner = newLearner(await getLoaders(size, false))
    await learner.fitOneCycle(epochs, 3e-3)
    report(learner)
  })

  // "Normalisierung"
  await run.section('normalize', size, async (report) => {
    const learner = newLearner(await getLoaders(size))
    await learner.fitOneCycle(epochs, 3e-3)
    report(learner)
  })

  // "Progressive Resizing", step 1: small images
  const resized = run.shared<Learner>()
  await run.section('small-images', size, async (report) => {
    const learner = newLearner(await getLoaders(size))
    await learner.fitOneCycle(epochs, 3e-3)
    report(learner)
    resized.value = learner
  })

  // Step 2: the same network on larger ones
  await run.section('larger-images', thenSize, async (report) => {
    const learner = resized.get()
    learner.loaders = await getLoaders(thenSize)
    await learner.fineTune(epochs, 1e-3)
    report(learner)
  })

  // "Test Time Augmentation"
  await run.section('tta', thenSize, async (report) => {
    const learner = resized.get()
    const { predictions, targets } = await learner.tta()
    report(learner, accuracy(predictions, targets))
  })
  resized.value = undefined

  // "Label Smoothing": only another loss
  await run.section('label-smoothing', size, async (report) => {
    const learner = newLearner(await getLoaders(size), labelSmoothing())
    await learner.fitOneCycle(epochs, 3e-3)
    report(learner)
  })

  await run.end()
}

await main(process.argv.slice(2)).catch((error: unknown) => {
  // The library's errors say it all in their message; anything else is a bug and wants its stack.
  console.error(error instanceof WgradError ? `${error.name}: ${error.message}` : error)
  process.exitCode = 1
})
