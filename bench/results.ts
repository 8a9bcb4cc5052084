/** What a run of the lesson leaves behind, and the notebook's own figures beside it. */
export interface EpochResult {
  readonly epoch: number
  readonly trainLoss: number
  readonly validLoss: number
  readonly accuracy: number
  readonly seconds: number
  readonly imagesPerSecond: number
}

export interface SectionResult {
  readonly name: string
  readonly model: string
  readonly parameters: number
  readonly size: number
  readonly batchSize: number
  readonly images: { readonly train: number; readonly valid: number }
  readonly epochs: readonly EpochResult[]
  readonly ttaAccuracy?: number
  /** The accuracy that the notebook's cell ends with. */
  readonly notebook: { readonly accuracy: number }
}

export interface Results {
  readonly adapter: string
  readonly software: boolean
  readonly precision: 'mixed' | 'f32'
  readonly seed: number
  readonly data: string
  readonly command: string
  readonly versions: Readonly<Record<string, string>>
  readonly interrupted: boolean
  readonly sections: readonly SectionResult[]
}

/** Accuracy at the end of each cell of the notebook, on all images at 128 px (larger-images and tta: 224 px). */
export const NOTEBOOK = {
  baseline: 0.81068,
  normalize: 0.801344,
  'small-images': 0.797237,
  'larger-images': 0.812173,
  tta: 0.8749066591262817,
  'label-smoothing': 0.815534,
} as const
