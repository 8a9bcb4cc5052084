/**
 * fastai's course, notebook 02, "Saving a basic fastai model": a model that tells cats from dogs by the names of its files,
 * exported, and loaded again by a program that has nothing else; the notebook's web page is test/examples/server.test.ts. A
 * line of Python stands above what it is here. The notebook begins with weights of ImageNet, `{ pretrained: true }`.
 */
import { basename, join } from 'node:path'
import { errorRate, getImageFiles, loadLearner, resize, resnet18, visionLearner } from 'wgrad'
import { ImageLoaders } from 'wgrad/data'
import { expect, test } from 'vitest'
import { openQuietGpu } from '../drawn-images.ts'
import { emptyFolder, photographs } from './photographs.ts'

const platform = await openQuietGpu()

test('a model is used without the program that trained it', async () => {
  // path = untar_data(URLs.PETS)/'images'
  const path = await photographs(platform, 2, 20)
  const files = await getImageFiles(path)
  const wanted = basename(files[0]).split(' ')[0]

  // def is_cat(x): return x[0].isupper()
  const isWanted = (name: string) => String(name.startsWith(wanted))

  // dls = ImageDataLoaders.from_name_func('.', get_image_files(path), valid_pct=0.2, seed=42,
  //     label_func=is_cat, item_tfms=Resize(192))
  const loaders = await ImageLoaders.fromNameFunction(path, isWanted, {
    validPercent: 0.2,
    seed: 42,
    batchSize: 16,
    itemTransforms: [resize(32)],
  })
  expect(loaders.vocab).toEqual(['false', 'true'])

  // learn = vision_learner(dls, resnet18, metrics=error_rate)
  // learn.fine_tune(3)
  const learner = await visionLearner(loaders, resnet18, { metrics: [errorRate] })
  await learner.fineTune(1, 3e-3)

  // learn.export('model.pkl')
  const file = join(emptyFolder(), 'model.safetensors')
  await learner.export(file)

  // learn = load_learner('model.pkl'); learn.predict(im)
  const predictor = await loadLearner(file, { platform })
  const ours = await learner.predict(files[0])
  const theirs = await predictor.predict(files[0])
  expect(theirs.label).toBe(ours.label)
  expect(theirs.probability).toBeCloseTo(ours.probability, 5)
})
