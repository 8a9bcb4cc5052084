import { expect, test } from 'vitest'
import { Init } from '../../../src/nn/init.ts'
import { Linear } from '../../../src/nn/linear.ts'
import { GlobalAvgPool } from '../../../src/nn/pool.ts'
import { Sequential } from '../../../src/nn/sequential.ts'
import { decodePng } from '../../../src/platform/node/png.ts'
import { nodePlatform } from '../../../src/platform/node/index.ts'
import { makeCleaningList, type CleaningItem } from '../../../src/data/cleaning.ts'
import { Learner } from '../../../src/train/learner.ts'
import { suspectsOf, withMaps, wrongTiles } from '../../../src/train/report/images.ts'
import { suspectLabels, wrongest } from '../../../src/train/report/parts.ts'
import { gradCam } from '../../../src/train/results/grad-cam.ts'
import { ClassificationInterpretation } from '../../../src/train/results/interpretation.ts'
import { fakePlatform } from '../../helpers/fake-platform.ts'
import { openTestGpu } from '../../helpers/gpu.ts'
import { stripes, tinyLearner, tinyLoaders } from '../../helpers/tiny.ts'

await openTestGpu()

/** Platform that draws stripes of a size and encodes real PNGs. */
const platformOf = (size: number) => ({
  ...fakePlatform({ picture: (path) => stripes(path, size) }),
  encodePng: nodePlatform.encodePng,
})
const pixelsOf = (uri: string) => decodePng(Buffer.from(uri.replace('data:image/png;base64,', ''), 'base64'))

async function wrongOf(learner: Learner, platform: ReturnType<typeof platformOf>) {
  const { vocab, valid } = learner.loaders
  const interpretation = new ClassificationInterpretation(await learner.getPredictions(), vocab)
  return wrongTiles(platform, interpretation.topLosses(), valid.pictures)
}

test('a dozen wrong images have the map of the predicted label, the others none', async () => {
  const platform = platformOf(16)
  const { learner } = await tinyLearner({}, { train: 4, valid: 30, platform })
  const wrong = await wrongOf(learner, platform)
  expect(wrong.length).toBeGreaterThan(12)
  const { tiles, note } = await withMaps(learner, wrong)
  expect(note).toBeUndefined()
  expect(tiles.map(({ map }) => map !== undefined)).toEqual(wrong.map((_, i) => i < 12))
  expect(tiles.map(({ path }) => path)).toEqual(wrong.map(({ path }) => path))
  const [{ path, predicted, actual, map }] = tiles
  const overlayOf = async (label: string) => (await gradCam(learner, path as string, { label })).overlay
  const shown = pixelsOf(map as string)
  expect(shown.data).toEqual((await overlayOf(predicted)).data)
  expect(shown.data).not.toEqual((await overlayOf(actual)).data)
  const page = wrongest(tiles).text
  expect(page.match(/<img class="map" src="data:image\/png;base64,/g)).toHaveLength(12)
  expect(page).toContain('Grad-CAM')
  expect(wrongest(wrong).text).not.toMatch(/Grad-CAM|class="map"/)
})

test('maps of large images are as small as the images beside them', async () => {
  const platform = platformOf(160)
  const { learner } = await tinyLearner({}, { train: 3, valid: 3, batchSize: 3, size: 160, platform })
  const tile = { uri: '', predicted: 'across', actual: 'slanted', loss: 1, probability: 1, path: 'set/slanted/1.png' }
  const { tiles } = await withMaps(learner, [tile])
  expect(pixelsOf(tiles[0].map as string)).toMatchObject({ width: 128, height: 128 })
})

test('a network without places has a note in place of maps', async () => {
  const platform = platformOf(16)
  const model = new Sequential([new GlobalAvgPool(), new Linear(3, 3, new Init(0))])
  const learner = new Learner(await tinyLoaders({ platform }), model)
  const wrong = await wrongOf(learner, platform)
  expect(wrong.length).toBeGreaterThan(0)
  expect(await withMaps(learner, wrong)).toEqual({
    tiles: wrong,
    note: 'no layer of the model has an output with places, [N,H,W,C]',
  })
})

test('suspect labels: a dozen with the largest losses, NaN first', async () => {
  const items = Array.from({ length: 20 }, (_, i): CleaningItem => {
    const path = `set/across/${i}.png`
    const suggested = i % 4 === 3 ? {} : { suggested: 'slanted & <b>' }
    const loss = i === 5 ? NaN : i
    return {
      path,
      split: 'train',
      label: 'across',
      predicted: 'slanted',
      probability: 1,
      loss,
      action: 'keep',
      ...suggested,
    }
  })
  const list = makeCleaningList(['across', 'slanted'], items)
  const suspects = await suspectsOf(platformOf(16), list, { decoding: undefined as never })
  expect(suspects).toMatchObject({ suggested: 15, count: 20 })
  const { tiles } = suspects
  expect(tiles.map(({ path }) => Number(/\d+/.exec(path)))).toEqual([5, 18, 17, 16, 14, 13, 12, 10, 9, 8, 6, 4])
  const page = suspectLabels({ ...suspects, advice: 'Do this', command: 'clean it' }).text
  for (const part of [
    'For 15 of 20 images the network suggests another label, here the 12 with the largest losses.',
    'slanted &amp; &lt;b&gt;?',
    'Do this: <code>clean it</code>',
  ]) {
    expect(page).toContain(part)
  }
  const none = suspectLabels({ suggested: 0, count: 20, tiles: [], advice: 'Do this', command: 'clean it' }).text
  expect(none).toContain('For none of 20 images the network suggests another label.')
  expect(none).not.toContain('clean it')
})
