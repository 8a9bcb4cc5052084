import { expect, test } from 'vitest'
import { randomResizedCrop, resize } from '../../../src/data/item-transforms.ts'
import { Predictor } from '../../../src/train/results/predictor.ts'
import { fakePlatform } from '../../helpers/fake-platform.ts'
import { openTestGpu } from '../../helpers/gpu.ts'
import { tinyModel } from '../../helpers/tiny.ts'

await openTestGpu()

const image = (width: number, height: number) => ({ width, height, data: new Uint8Array(4 * width * height) })

test.each([resize(16), randomResizedCrop(16)])(
  'an image of another size than the model was trained with is refused',
  async (transform) => {
    const parts = { model: tinyModel(), platform: fakePlatform(), vocab: ['a', 'b', 'c'], batchTransforms: [] }
    const predictor = new Predictor({ ...parts, itemTransforms: [transform] })
    await predictor.predictPixels(image(16, 16))
    await expect(predictor.predictPixels(image(20, 16))).rejects.toThrow(
      'predict: the image has another size than the model was trained with\n' +
        '  size  20 × 16\n  expected 16 × 16\n  Fix: resize it to that, or let predict(path) do it',
    )
    // Without a transform that says it, any size may be the right one.
    await new Predictor({ ...parts, itemTransforms: [] }).predictPixels(image(20, 16))
  },
)
