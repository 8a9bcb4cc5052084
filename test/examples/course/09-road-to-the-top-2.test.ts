/**
 * fastai's course, notebook 09, "Small models: road to the top, part 2": small images and one function to train with, so that
 * ways to prepare pictures can be compared; then test-time augmentation. A line of Python stands above what it is here. The
 * notebook takes convnext_small with weights of ImageNet.
 */
import { augTransforms, errorRate, resize, resizeImages, visionLearner, xresnet18 } from 'wgrad'
import { ImageLoaders, type BatchTransform, type ItemTransform } from 'wgrad/data'
import { expect, test } from 'vitest'
import { openQuietGpu } from '../drawn-images.ts'
import { emptyFolder, photographs } from './photographs.ts'

const platform = await openQuietGpu()

test('ways to prepare pictures are compared', async () => {
  // trn_path = Path('sml')
  // resize_images(path/'train_images', dest=trn_path, max_size=256, recurse=True)
  const trainPath = emptyFolder()
  await resizeImages(await photographs(platform, 2, 20), { dest: trainPath, size: 96, platform })

  // def train(arch, item, batch, epochs=5):
  //     dls = ImageDataLoaders.from_folder(trn_path, seed=42, valid_pct=0.2, item_tfms=item, batch_tfms=batch)
  //     learn = vision_learner(dls, arch, metrics=error_rate).to_fp16()
  //     learn.fine_tune(epochs, 0.01)
  //     return learn
  const train = async (item: ItemTransform, batch: readonly BatchTransform[]) => {
    const loaders = await ImageLoaders.fromFolder(trainPath, {
      seed: 42,
      validPercent: 0.2,
      batchSize: 16,
      itemTransforms: [item],
      batchTransforms: batch,
    })
    const learner = (await visionLearner(loaders, xresnet18, { metrics: [errorRate] })).toFp16()
    await learner.fineTune(1, 0.01)
    return learner
  }

  // learn = train(arch, item=Resize(192), batch=aug_transforms(size=128, min_scale=0.75))
  // learn = train(arch, item=Resize(192, method='squish'), batch=aug_transforms(size=128, min_scale=0.75))
  // learn = train(arch, item=Resize(192, method=ResizeMethod.Pad, pad_mode=PadMode.Zeros), batch=…)
  const batch = augTransforms({ size: 32, minScale: 0.75 })
  for (const method of ['crop', 'squish'] as const) await train(resize(48, { method }), batch)
  const learner = await train(resize(48, { method: 'pad' }), batch)

  // preds,targs = learn.get_preds(dl=valid); error_rate(preds, targs)
  const { predictions, targets } = await learner.getPredictions()
  const { metrics } = await learner.validate()
  expect(errorRate(predictions, targets)).toBeCloseTo(metrics.error_rate, 6)

  // tta_preds,_ = learn.tta(dl=valid); error_rate(tta_preds, targs)
  const tta = await learner.tta()
  expect(tta.targets).toEqual(targets)
  expect(errorRate(tta.predictions, targets)).toBeGreaterThanOrEqual(0)
  expect(tta.predictions.data).not.toEqual(predictions.data)
})
