import {
  accuracy,
  addFiles,
  CategoryBlock,
  DataBlock,
  getImageFiles,
  ImageBlock,
  Learner,
  openGpu,
  parentLabel,
  resize,
  storageFiles,
  xresnet18,
} from '../../../src/browser.ts'
import { progressEvents } from '../../../src/exports/train.ts'

let learner: Learner | undefined
let stopped = false

addEventListener('message', ({ data }) => {
  if (data !== 'stop') return void train(data).catch((error: Error) => postMessage({ error: error.message }))
  stopped = true
  learner?.interrupt()
})

async function train(files: Map<string, Blob>) {
  await openGpu({ save: storageFiles() })
  const loaders = await new DataBlock({
    blocks: [ImageBlock(), CategoryBlock()],
    getItems: getImageFiles,
    getY: parentLabel,
    itemTransforms: [resize(64)],
  }).loaders(await addFiles(files), { batchSize: 8 })
  const callbacks = [progressEvents((progress) => postMessage({ progress }))]
  learner = new Learner(loaders, xresnet18({ outputs: loaders.vocab.length }), { metrics: [accuracy], callbacks })
  // Pressed while the images were looked through.
  if (stopped) learner.interrupt()
  await learner.toFp16().fitOneCycle(2, 3e-3)
  const model = await learner.exportBytes()
  await learner.export('mine.safetensors')
  postMessage({ model, vocab: loaders.vocab })
}
