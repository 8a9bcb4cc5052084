/**
 * fastai's course, notebook 00, "Is it a bird? Creating a model from your own data": photographs of two kinds, found by a
 * search, become a classifier. A line of Python stands above what it is here. The notebook begins with weights of
 * ImageNet, which is `{ pretrained: true }` here and takes a network connection; this begins with random ones, on smaller
 * images.
 */
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CategoryBlock, DataBlock, errorRate, getImageFiles, ImageBlock, parentLabel, randomSplitter } from 'wgrad'
import { resize, resizeImages, resnet18, showBatch, verifyImages, visionLearner } from 'wgrad'
import { expect, test } from 'vitest'
import { openQuietGpu } from '../drawn-images.ts'
import { emptyFolder, photographs } from './photographs.ts'

const platform = await openQuietGpu()

test('two kinds of pictures are told apart', async () => {
  // download_images(path/'bird', urls=search_images('bird photo')); …
  const found = await photographs(platform, 2, 20)
  writeFileSync(join(found, 'not a picture.jpg'), 'a page that says "not found"')

  // resize_images(path/'bird', max_size=400, dest=path/'bird')
  const path = emptyFolder()
  const { bad } = await resizeImages(found, { size: 400, dest: path, platform })
  expect(bad.map(({ path: file }) => file)).toEqual([join(found, 'not a picture.jpg')])

  // failed = verify_images(get_image_files(path)); failed.map(Path.unlink)
  const failed = await verifyImages(await getImageFiles(path), { platform })
  for (const file of failed) rmSync(file.path)

  // dls = DataBlock(blocks=(ImageBlock, CategoryBlock), get_items=get_image_files,
  //     splitter=RandomSplitter(valid_pct=0.2, seed=42), get_y=parent_label,
  //     item_tfms=[Resize(192, method='squish')]).dataloaders(path)
  const loaders = await new DataBlock({
    blocks: [ImageBlock(), CategoryBlock()],
    getItems: getImageFiles,
    splitter: randomSplitter({ validPercent: 0.2, seed: 42 }),
    getY: parentLabel,
    itemTransforms: [resize(32, { method: 'squish' })],
  }).loaders(path, { batchSize: 16, seed: 1 })
  expect(loaders.vocab).toHaveLength(2)

  // dls.show_batch(max_n=6)
  await showBatch(loaders.train, join(path, 'batch.html'), { count: 6 })
  expect(existsSync(join(path, 'batch.html'))).toBe(true)

  // learn = vision_learner(dls, resnet18, metrics=error_rate)
  // learn.fine_tune(3)
  const learner = await visionLearner(loaders, resnet18, { metrics: [errorRate] })
  await learner.fineTune(3, 3e-3)
  const { rows } = learner.recorder
  expect(rows).toHaveLength(3)
  expect(rows[2].trainLoss).toBeLessThan(rows[0].trainLoss)

  // is_bird,_,probs = learn.predict(PILImage.create('bird.jpg'))
  const [picture] = await getImageFiles(path)
  const { label, probability, top } = await learner.predict(picture)
  expect(loaders.vocab).toContain(label)
  expect(top.map((one) => one.probability).reduce((a, b) => a + b)).toBeCloseTo(1, 5)
  expect(probability).toBe(top[0].probability)
})
