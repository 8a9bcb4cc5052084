/** Item transforms that move an image without resampling it. */
import { requireInteger, requireNumber } from '../base/check.ts'
import { checkOptions, NUMBER, TEXT } from '../base/options.ts'
import { checkPadMode, type PadMode } from '../image/resize-plan.ts'
import { toSize, type Size } from './augment/crop.ts'
import type {
  CropPadTransform,
  DihedralItemTransform,
  RandomCropOptions,
  RandomCropTransform,
} from './item-transforms.ts'

/**
 * Crops every image without resampling it: in training at a random place of the image and the padding around it, in
 * validation in the middle of the image. `randomCrop(32, { padding: 4 })` is the usual recipe for CIFAR. Images that are
 * smaller are padded.
 *
 * @param size  pixels: one number for a square, or [height, width]
 * @throws OptionError  when an option is out of range
 * Source: fastai vision/augment.py, RandomCrop; torchvision RandomCrop (padding).
 */
export function randomCrop(size: Size, options: RandomCropOptions = {}): RandomCropTransform {
  checkOptions('randomCrop', options, { padding: NUMBER, padMode: TEXT })
  const { padding = 0, padMode = 'zeros' } = options
  const [height, width] = toSize('randomCrop', size)
  requireInteger('randomCrop', 'padding', padding, { from: 0 })
  checkPadMode('randomCrop', padMode)
  const window = { method: 'window', width, height, padding, padMode } as const
  return {
    kind: 'randomCrop',
    order: 1,
    width,
    height,
    padding,
    padMode,
    draw: (random, split) =>
      split === 'valid' ? window : { ...window, position: [random.uniform(), random.uniform()] },
  }
}

/**
 * Crops or pads every image to a size around its middle, without resampling it, in training and validation.
 *
 * @param size  pixels: one number for a square, or [height, width]
 * @param options.padMode  values beyond the border. Default 'zeros'
 * @throws OptionError  when the size is not whole pixels from 2 on, or there is no such mode
 * Source: fastai vision/augment.py, CropPad.
 */
export function cropPad(size: Size, options: { readonly padMode?: PadMode } = {}): CropPadTransform {
  checkOptions('cropPad', options, { padMode: TEXT })
  const { padMode = 'zeros' } = options
  const [height, width] = toSize('cropPad', size)
  checkPadMode('cropPad', padMode)
  return {
    kind: 'cropPad',
    order: 1,
    width,
    height,
    padMode,
    draw: () => ({ method: 'window', width, height, padding: 0, padMode }),
  }
}

/**
 * Applies one of the eight symmetries of the square to images, each with the same probability, in training only, and before
 * they are cropped wherever it is listed: for images without an up and down, such as of the ground or of tissue.
 *
 * @param p  probability of a choice, which includes that of no change. Default 1
 * @throws OptionError  when p is not a probability
 * Source: fastai vision/augment.py, DihedralItem.
 */
export function dihedralItem(p = 1): DihedralItemTransform {
  requireNumber('dihedralItem', 'p', p, { from: 0, to: 1 })
  return { kind: 'dihedralItem', order: 0, p }
}
