/**
 * fastai's course, notebook 08, "First steps: road to the top, part 1": a first entry for a competition, from a folder of
 * labeled pictures to a table of answers for others. A line of Python stands above what it is here. The notebook takes the
 * network resnet26d with weights of ImageNet, which is `{ pretrained: true }`, and images of 128 px.
 */
import { basename } from 'node:path'
import { augTransforms, errorRate, getImageFiles, resize, visionLearner, xresnet18 } from 'wgrad'
import { csvLine, ImageLoaders } from 'wgrad/data'
import { argmax } from 'wgrad/train'
import { expect, test } from 'vitest'
import { openQuietGpu } from '../drawn-images.ts'
import { photographs } from './photographs.ts'

const platform = await openQuietGpu()

test('pictures without labels are answered', async () => {
  const trainPath = await photographs(platform, 3, 20)

  // dls = ImageDataLoaders.from_folder(trn_path, valid_pct=0.2, seed=42,
  //     item_tfms=Resize(480, method='squish'), batch_tfms=aug_transforms(size=128, min_scale=0.75))
  const loaders = await ImageLoaders.fromFolder(trainPath, {
    validPercent: 0.2,
    seed: 42,
    batchSize: 16,
    itemTransforms: [resize(48, { method: 'squish' })],
    batchTransforms: augTransforms({ size: 32, minScale: 0.75 }),
  })

  // learn = vision_learner(dls, 'resnet26d', metrics=error_rate, path='.').to_fp16()
  const learner = (await visionLearner(loaders, xresnet18, { metrics: [errorRate] })).toFp16()

  // learn.lr_find(suggest_funcs=(valley, slide))
  const { suggestions } = await learner.lrFind({ suggest: ['valley', 'slide'], steps: 40 })
  expect(suggestions.valley.lr).toBeGreaterThan(0)

  // learn.fine_tune(3, 0.01)
  await learner.fineTune(1, 0.01)

  // tst_files = get_image_files(path/'test_images').sorted()
  // tst_dl = dls.test_dl(tst_files)
  const testFiles = (await getImageFiles(trainPath)).sort().slice(0, 10)
  const loader = loaders.test(testFiles)

  // probs,_,idxs = learn.get_preds(dl=tst_dl, with_decoded=True)
  const { predictions } = await learner.getPredictions({ loader })
  const indices = argmax(predictions)

  // ss['label'] = pd.Series(idxs.numpy()).map(dict(enumerate(dls.vocab)))
  // ss.to_csv('subm.csv', index=False)
  const rows = testFiles.map((file, i) => [basename(file), loaders.vocab[indices[i]]])
  const table = [['image_id', 'label'], ...rows].map(csvLine).join('')
  expect(table.trimEnd().split('\n')).toHaveLength(11)
  expect(rows.every(([, label]) => loaders.vocab.includes(label))).toBe(true)
})
