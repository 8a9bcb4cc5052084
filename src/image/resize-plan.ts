import { OptionError } from '../base/errors.ts'

/** Plan for resizing an image whose size is not known yet, in numbers that can be sent to a thread. */
export type ResizePlan = (WholePlan | FitPlan | RandomCropPlan | MiddlePlan | WindowPlan) & {
  /** Left and right are exchanged before anything else is done. */
  readonly mirror?: boolean
  /** Number of a symmetry of the square, 1 to 7, that is applied before anything else is done (see `dihedralPixels`). */
  readonly dihedral?: number
}

/** Values beyond the border of an image: its mirror image without the border itself, its border repeated, or black. */
export type PadMode = 'reflection' | 'border' | 'zeros'

/** Names of the pad modes. Source: fastai vision/augment.py, PadMode. */
export const PAD_MODES: readonly PadMode[] = ['reflection', 'border', 'zeros']

/** The image as it is. */
export interface WholePlan {
  readonly method: 'whole'
}

/** fastai's Resize: `position` in [0,1]² places the crop ([.5,.5] is the centre). */
export interface FitPlan {
  readonly method: 'crop' | 'squish' | 'pad'
  readonly width: number
  readonly height: number
  readonly position: readonly [number, number]
  /** Values beyond the border, for 'pad'. Default 'reflection' */
  readonly padMode?: PadMode
}

/**
 * fastai's RandomCrop and CropPad: a window of the image that is not resampled. Where it reaches beyond the image, and in
 * the `padding` around it, values are those of the pad mode.
 */
export interface WindowPlan {
  readonly method: 'window'
  readonly width: number
  readonly height: number
  /** Pixels added on every side first. */
  readonly padding: number
  readonly padMode: PadMode
  /** Random numbers in [0,1) that choose the place; absent: the middle, without padding. */
  readonly position?: readonly [number, number]
}

/** fastai's RandomResizedCrop in training: a box of random area, shape and place. */
export interface RandomCropPlan {
  readonly method: 'random-crop'
  readonly width: number
  readonly height: number
  /** Smallest and largest part of the area; smallest and largest width / height. */
  readonly scale: readonly [number, number]
  readonly ratio: readonly [number, number]
  /** Random numbers in [0,1) that choose the box. */
  readonly draws: readonly number[]
}

/** fastai's RandomResizedCrop in validation: the middle of the image squished to `extra` pixels more along both axes. */
export interface MiddlePlan {
  readonly method: 'middle'
  readonly width: number
  readonly height: number
  readonly extra: number
}

/** @throws OptionError  for a pad mode that does not exist */
export function checkPadMode(where: string, padMode: PadMode = 'reflection'): void {
  if (PAD_MODES.includes(padMode)) return
  throw new OptionError(where, `there is no pad mode '${padMode}'`, { expected: "'reflection', 'border' or 'zeros'" })
}
