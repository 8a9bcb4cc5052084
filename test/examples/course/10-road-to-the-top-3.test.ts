/**
 * fastai's course, notebook 10, "Scaling up: road to the top, part 3": batches that do not fit into memory are divided, their
 * gradients accumulated, and the answers of several models averaged. A line of Python stands above what it is here. The
 * notebook's models are ConvNeXt and transformers with weights of ImageNet.
 */
import { augTransforms, errorRate, getImageFiles, gradientAccumulation, resize, resnet18 } from 'wgrad'
import { visionLearner, xresnet18 } from 'wgrad'
import { ImageLoaders } from 'wgrad/data'
import type { Backbone } from 'wgrad/nn'
import { argmax } from 'wgrad/train'
import { expect, test } from 'vitest'
import { openQuietGpu } from '../drawn-images.ts'
import { photographs } from './photographs.ts'

const platform = await openQuietGpu()

test('several models answer together', async () => {
  const trainPath = await photographs(platform, 2, 20)
  const testFiles = (await getImageFiles(trainPath)).sort().slice(0, 6)

  // def train(arch, size, item=Resize(480, method='squish'), accum=1, finetune=True, epochs=12):
  //     dls = ImageDataLoaders.from_folder(trn_path, valid_pct=0.2, item_tfms=item,
  //         batch_tfms=aug_transforms(size=size, min_scale=0.75), bs=64//accum)
  //     cbs = GradientAccumulation(64) if accum else []
  //     learn = vision_learner(dls, arch, metrics=error_rate, cbs=cbs).to_fp16()
  //     learn.fine_tune(epochs, 0.01)
  //     return learn.tta(dl=dls.test_dl(tst_files))
  const train = async (backbone: Backbone, size: number, { accumulate = 1 } = {}) => {
    const loaders = await ImageLoaders.fromFolder(trainPath, {
      validPercent: 0.2,
      seed: 42,
      batchSize: 16 / accumulate,
      itemTransforms: [resize(48, { method: 'squish' })],
      batchTransforms: augTransforms({ size, minScale: 0.75 }),
    })
    const callbacks = [gradientAccumulation(16)]
    const learner = (await visionLearner(loaders, backbone, { metrics: [errorRate], callbacks })).toFp16()
    await learner.fineTune(1, 0.01)
    return { vocab: loaders.vocab, ...(await learner.tta({ n: 2, loader: loaders.test(testFiles) })) }
  }

  // for arch,details in models.items():
  //     for item,size in details: tta_res.append(train(arch, size, item=item, accum=2))
  const results = [await train(xresnet18, 32, { accumulate: 2 }), await train(resnet18, 40)]

  // avg_pr = torch.stack(tta_prs).mean(0)
  const [first] = results
  const data = first.predictions.data.map((_, i) => {
    return results.reduce((sum, { predictions }) => sum + predictions.data[i] / results.length, 0)
  })

  // idxs = avg_pr.argmax(dim=1); vocab[idxs]
  const labels = Array.from(argmax({ ...first.predictions, data }), (index) => first.vocab[index])
  expect(labels).toHaveLength(6)
  expect(labels.every((label) => first.vocab.includes(label))).toBe(true)
  for (let row = 0; row < 6; row++) expect(data[2 * row] + data[2 * row + 1]).toBeCloseTo(1, 5)
})
