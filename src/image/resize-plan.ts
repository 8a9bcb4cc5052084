/** Plan for resizing an image whose size is not known yet, in numbers that can be sent to a thread. See image/resize.ts. */
export type ResizePlan = (WholePlan | FitPlan | RandomCropPlan | MiddlePlan) & {
  /** Left and right are exchanged before anything else is done. */
  readonly mirror?: boolean
}

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
