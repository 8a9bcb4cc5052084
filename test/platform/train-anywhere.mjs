// Trains a small network on drawn images with the built package, in whichever runtime it is started (Node, Deno, Bun), and
// prints what a program there sees, as one line of JSON.
import {
  CategoryBlock,
  DataBlock,
  getImageFiles,
  grandparentSplitter,
  ImageBlock,
  Learner,
} from '../../dist/src/node.js'
import { imagenetStats, normalize, openGpu, parentLabel, resize, sampleData } from '../../dist/src/node.js'
import { ConvLayer, GlobalAvgPool, Init, Linear, Sequential } from '../../dist/src/exports/nn.js'

const gpu = await openGpu()
const loaders = await new DataBlock({
  blocks: [ImageBlock(), CategoryBlock()],
  getItems: getImageFiles,
  splitter: grandparentSplitter({ valid: 'val' }),
  getY: parentLabel,
  itemTransforms: [resize(24)],
  batchTransforms: [normalize(imagenetStats)],
}).loaders(await sampleData({ images: 100 }), { batchSize: 20, seed: 1 })
const init = new Init(1)
const model = new Sequential([
  new ConvLayer({ inChannels: 3, outChannels: 8, stride: 2, init }),
  new ConvLayer({ inChannels: 8, outChannels: 16, stride: 2, init }),
  new GlobalAvgPool(),
  new Linear(16, 10, init),
])
const losses = []
for (const precision of ['f32', 'mixed']) {
  const learner = new Learner(loaders, model)
  if (precision === 'mixed') learner.toFp16()
  await learner.fit(2, 1e-2)
  losses.push(...learner.recorder.rawLosses)
}
const { family, subgroupSize, software, name } = gpu
await loaders.platform.decoder.close()
gpu.close()
console.log(`seen ${JSON.stringify({ name, software, family, subgroupSize, losses })}`)
