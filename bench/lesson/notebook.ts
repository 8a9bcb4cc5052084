import type { Section } from './options.ts'
import type { BatchStats } from './results.ts'

/** Row of a table of epochs in the notebook. */
export interface NotebookRow {
  readonly trainLoss: number
  readonly validLoss: number
  readonly accuracy: number
  readonly time: string
}

/** One part of the notebook: its text and the numbers it printed. */
export interface NotebookSection {
  readonly title: string
  /** Summary for readers who do not know the notebook. */
  readonly text: string
  readonly batchSize: number
  /** Tables of epochs, one per fit. */
  readonly fits: readonly (readonly NotebookRow[])[]
  /** Final accuracy; absent for mixup, for which the notebook gives none. */
  readonly accuracy?: number
  /** Statistics of a batch of four images before and after normalization. */
  readonly batchStats?: BatchStats
}

/**
 * Results of the lesson in fastai on a GPU: all 13,394 images, 10,716 of them for training, xresnet18 in mixed
 * precision, images of 128 pixels (224 in larger-images and tta).
 */
export const NOTEBOOK: Readonly<Record<Section, NotebookSection>> = {
  baseline: {
    title: 'Baseline',
    text: 'A network from scratch, on images whose values lie between 0 and 1.',
    batchSize: 4,
    accuracy: 0.81068,
    fits: [
      table(`1.762589,1.657759,0.501494,02:16  1.282994,1.076227,0.668409,02:14  1.033945,1.002424,0.697909,02:21
      0.775264,0.762086,0.768857,02:20  0.747868,0.611592,0.81068,02:21`),
    ],
  },
  normalize: {
    title: 'Normalization',
    text: 'The same, with every channel brought to about mean 0 and deviation 1.',
    batchSize: 4,
    accuracy: 0.801344,
    batchStats: {
      before: { mean: [0.4792, 0.4991, 0.4694], std: [0.2466, 0.2396, 0.2567] },
      after: { mean: [0.0151, -0.0655, 0.0232], std: [1.2722, 1.2716, 1.3045] },
    },
    fits: [
      table(`1.658547,1.583611,0.49888,02:15  1.327844,1.414874,0.625467,02:12  0.934927,0.772694,0.762509,02:15
      0.893581,0.739198,0.780433,02:24  0.679526,0.644652,0.801344,02:22`),
    ],
  },
  'small-images': {
    title: 'Progressive resizing, step 1: small images',
    text: 'Small images train fast and already show the shapes.',
    batchSize: 64,
    accuracy: 0.797237,
    fits: [
      table(`1.732646,1.778171,0.424944,00:26  1.228281,1.441292,0.5295,00:24  0.951116,0.880464,0.715459,00:25
      0.769573,0.720444,0.768111,00:25  0.65434,0.621007,0.797237,00:25`),
    ],
  },
  'larger-images': {
    title: 'Progressive resizing, step 2: larger images',
    text:
      'The same network continues with larger images: one epoch, then more at half the learning rate. The notebook splits ' +
      'its images anew here, so that most of those it measures on were trained on before; --split shared does not.',
    batchSize: 64,
    accuracy: 0.812173,
    fits: [
      table('0.679435,1.082562,0.682226,00:34'),
      table(`0.594649,0.808173,0.741598,00:37  0.579121,0.985817,0.70351,00:38  0.515553,0.598878,0.812173,00:41
        0.463943,0.610183,0.802091,00:40  0.442395,0.592477,0.812173,00:41`),
    ],
  },
  tta: {
    title: 'Test-time augmentation',
    text: 'Nothing is trained: each image is classified five times, four of them with random transforms, and the predictions are averaged.',
    batchSize: 64,
    accuracy: 0.8749066591262817,
    fits: [],
  },
  mixup: {
    title: 'Mixup',
    text: 'Images are blended in pairs, and so are their labels. Harder to learn, so it pays in long training; xresnet50.',
    batchSize: 64,
    fits: [],
  },
  'label-smoothing': {
    title: 'Label smoothing',
    text: 'Another loss: the right class is asked for with 90% certainty instead of 100%. Its values are higher for that reason.',
    batchSize: 64,
    accuracy: 0.815534,
    fits: [
      table(`2.516923,2.55024,0.479089,00:26  2.054281,2.104333,0.613518,00:29  1.846828,1.971688,0.670276,00:28
      1.693976,1.610719,0.804705,00:28  1.592195,1.56252,0.815534,00:27`),
    ],
  },
}

/** Amount of training of the notebook. */
export const NOTEBOOK_SCALE = { train: 10_716, valid: 2678, epochs: 5, size: 128 } as const

/** Part of a section that tells how much it was trained. */
interface Trained {
  readonly images: { readonly train: number; readonly valid: number }
  readonly size: number
  readonly epochs: readonly unknown[]
}

/** Returns how much a run was trained beside the notebook, as a text; `isSmaller` if it was trained on far less. */
export function scaleOf(sections: readonly Trained[]): { readonly text: string; readonly isSmaller: boolean } {
  const trained = sections.filter(({ epochs }) => epochs.length > 0)
  if (trained.length === 0) return { text: '', isSmaller: false }
  const [{ images, size }] = trained
  const epochs = Math.max(...trained.map((section) => section.epochs.length))
  const count = (value: number) => value.toLocaleString('en')
  const amount = (train: number, valid: number, each: number, pixels: number) =>
    `${count(train)} images to train on and ${count(valid)} to measure on, ${each} epochs, ${pixels} px`
  const { train, valid } = NOTEBOOK_SCALE
  return {
    text:
      `This run: ${amount(images.train, images.valid, epochs, size)}. ` +
      `The notebook: ${amount(train, valid, NOTEBOOK_SCALE.epochs, NOTEBOOK_SCALE.size)}.`,
    isSmaller: images.train * epochs < (NOTEBOOK_SCALE.train * NOTEBOOK_SCALE.epochs) / 2,
  }
}

function table(text: string): readonly NotebookRow[] {
  return text.split(/\s+/).map((line) => {
    const [trainLoss, validLoss, accuracy, time] = line.split(',')
    return { trainLoss: Number(trainLoss), validLoss: Number(validLoss), accuracy: Number(accuracy), time }
  })
}
