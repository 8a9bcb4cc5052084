import { resolve } from 'node:path'
import { DataError, OptionError } from '../../base/errors.ts'
import { isRecord, parseRecord, type Json } from '../../base/json.ts'
import { FLAG, listOf, NUMBER, oneOf, oneOfTexts, TEXT, type Kind, type Kinds } from '../../base/options.ts'
import { backbones } from '../../exports/nn.ts'
import { separatorFor, type ImageFolderOptions, type Survey, type TargetKind } from '../../exports/data.ts'
import { pretrainedNames, type Pretrained } from '../../exports/train.ts'
import { OPTIONS_FILE } from '../../platform/node/run-folder.ts'
import type { Files } from '../../platform/platform.ts'
import { choice, numberIn, parseCommand, whole, widenOption } from '../command.ts'
import { FOLDER_DEFINITION, FOLDER_OPTIONS_USAGE, folderOptions, FOLDER_USAGE, type DecoderName } from '../look.ts'
import { seedOption, validOption, type Valid } from './split.ts'

export const USAGE = `wgrad train FOLDER [options]
wgrad train --resume DIR

Trains a network that tells the classes, labels or numbers of your images. It looks at the images first, leaves out what cannot be
read, holds a fifth of every class (or of all) back to measure on, finds a learning rate, trains, and leaves a folder:

  report.html         results, curves, confusion, the most wrong images: open it in a browser
  model.safetensors   for \`wgrad predict\`, \`wgrad evaluate\`, \`wgrad export\` and loadLearner
  model.onnx          for ONNX Runtime and other programs
  history.csv         figures of every epoch
  images.csv          which image was trained on, measured on, or left out, and why
  cleaning.json       images by loss, with the class that they should perhaps have, for \`wgrad clean\`
  results.json        all figures
  train.log           everything that was printed

${FOLDER_USAGE}

Options
  --pretrained WHAT    begin with weights that know images already, which a few hundred images need: hub (those for
                       the model from the Hugging Face hub, fetched once), the name of a model there
                       (timm/resnet34.tv_in1k), or a file (.safetensors, .pth). The head is trained first, then all
  --model NAME         ${Object.keys(backbones)
    .filter((name) => /resnet\d+$/.test(name))
    .join(', ')
    .replace(/(.{60}[^,]*,) /g, '$1\n                       ')}
                       (what the weights are of; resnet18 with --pretrained hub; xresnet18 without weights)
  --widen X            factor of the widths of an xresnet's stages: 0.5 has a quarter of the parameters and of most of
                       the arithmetic (1, or that of the pretrained weights where their file says it)
  --size N             pixels a side that the network sees (224 with pretrained weights, 128 without; on a software
                       adapter 128 and 64)
  --epochs N           passes over the images (5 with pretrained weights, 20 without)
  --freeze-epochs N    passes before them that train the head only, with pretrained weights (1)
  --batch-size N       images per step (64, fewer where that would leave less than 8 steps per epoch)
  --lr X               highest learning rate (found by a search)
  --valid V            what to measure on: a share of every class (0.2), or the name of a folder beside train/, or
                       of a part in the table
  --no-flip            do not mirror images, where left and right matter, as for letters or hands
  --no-augment         do not vary images at all
  --threshold P        smallest probability with which the model knows an image, or suggest, which finds it on the images
                       measured on; below it predict answers "none of these" (none).
                       Of several labels, the probability above which one counts (0.5)
  --fp32               single instead of mixed precision
  --decoder NAME       sharp, turbo or built-in (sharp where it is installed, otherwise turbo)
  --seed N             seed of everything random (42)
${FOLDER_OPTIONS_USAGE}
  --out DIR            folder of the results (runs/<time>)
  --resume DIR         continue the interrupted run of that folder, to the same numbers: by the labels it was begun with,
                       which its images.csv has
  --json               one JSON document per line on stdout, each with an "event": look, start, search, epoch and last end,
                       interrupted or error; what people read goes to stderr
  --help

Ctrl-C ends it within a step and keeps every finished epoch. Exit code 0: trained; 1: the losses are not finite, or a file
could not be written; 2: wrong options; 3: the images cannot be used; 4: no graphics adapter; 130: interrupted.
`

const DEFINITION = {
  ...FOLDER_DEFINITION,
  pretrained: { type: 'string' },
  model: { type: 'string' },
  widen: { type: 'string' },
  size: { type: 'string' },
  epochs: { type: 'string' },
  'freeze-epochs': { type: 'string' },
  'batch-size': { type: 'string' },
  lr: { type: 'string' },
  valid: { type: 'string' },
  'no-flip': { type: 'boolean' },
  'no-augment': { type: 'boolean' },
  threshold: { type: 'string' },
  fp32: { type: 'boolean' },
  decoder: { type: 'string' },
  seed: { type: 'string' },
  out: { type: 'string' },
  resume: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

/** Options as they were typed, checked. */
export interface TrainOptions {
  readonly help: boolean
  readonly json: boolean
  readonly folder: string
  readonly resume: string | undefined
  readonly out: string | undefined
  /** Options of `readImageFolder`. */
  readonly reading: ImageFolderOptions
  readonly valid: Valid
  readonly pretrained: string | undefined
  readonly model: string | undefined
  readonly widen: number | undefined
  readonly size: number | undefined
  readonly epochs: number | undefined
  readonly freezeEpochs: number
  readonly batchSize: number | undefined
  readonly lr: number | undefined
  readonly flip: boolean
  readonly augment: boolean
  readonly threshold: number | 'suggest' | null
  readonly fp32: boolean
  readonly decoder: DecoderName | undefined
  readonly seed: number
}

/** Parses the command line. @throws OptionError  naming the option, the given value and the accepted values */
export function readTrainOptions(argv: readonly string[], help: string): TrainOptions {
  const { values, positionals } = parseCommand('train', argv, DEFINITION, { positionals: true, help })
  const { resume } = values
  const [folder = '', ...others] = positionals
  const explained = { fix: `\`${help}\` explains its use` }
  if (resume !== undefined) {
    const typed = Object.keys(values).filter((name) => !['resume', 'json'].includes(name))
    if (typed.length > 0 || folder !== '') {
      throw new OptionError('--resume', 'a run is continued with the options it was begun with', {
        fix: `leave out ${[...(folder === '' ? [] : [folder]), ...typed.map((name) => `--${name}`)].join(', ')}`,
      })
    }
  } else if ((folder === '' || others.length > 0) && !values.help) {
    const what = folder === '' ? 'a folder of images is needed' : 'only one folder can be trained on'
    throw new OptionError(
      'train',
      what,
      others.length > 0 ? { given: { folders: positionals }, ...explained } : explained,
    )
  }
  if (values['freeze-epochs'] !== undefined && values.pretrained === undefined) {
    throw new OptionError('--freeze-epochs', 'random weights have no head that is trained first', {
      given: { 'freeze-epochs': values['freeze-epochs'] },
      fix: 'begin with weights that know images, --pretrained hub, or leave it out',
    })
  }
  return {
    help: values.help ?? false,
    json: values.json ?? false,
    folder,
    resume,
    out: values.out,
    reading: folderOptions(values),
    valid: validOption(values.valid),
    pretrained: values.pretrained,
    model: choice('--model', values.model, Object.keys(backbones)),
    widen: widenOption(values.widen),
    size: whole('--size', values.size, 32, 1024),
    epochs: whole('--epochs', values.epochs, 1, 10_000),
    freezeEpochs: whole('--freeze-epochs', values['freeze-epochs'], 1, 10_000) ?? 1,
    batchSize: whole('--batch-size', values['batch-size'], 2, 4096),
    lr: numberIn('--lr', values.lr, 0, 10),
    flip: !values['no-flip'],
    augment: !values['no-augment'],
    threshold: values.threshold === 'suggest' ? 'suggest' : (numberIn('--threshold', values.threshold, 0, 1) ?? null),
    fp32: values.fp32 ?? false,
    decoder: choice('--decoder', values.decoder, ['sharp', 'turbo', 'built-in']),
    seed: seedOption(values.seed),
  }
}

/** Everything that a training run depends on, with all defaults filled in: it is stored, so that the run can be continued. */
export interface Settings {
  /** Absolute path of the images. */
  readonly folder: string
  readonly targets: TargetKind
  /** Names of the numbers, where targets are numbers. */
  readonly numbers: readonly string[]
  /** Text between labels in the table of the run, where an image may have several; otherwise null. */
  readonly separator: string | null
  readonly model: string
  /** Factor of the widths of an xresnet's stages; 1 for other networks. */
  readonly widen: number
  /** File or name on the hub; null without pretrained weights. */
  readonly pretrained: string | null
  readonly size: number
  readonly epochs: number
  /** Epochs that train the head only; 0 without pretrained weights. */
  readonly freezeEpochs: number
  readonly batchSize: number
  /** Highest learning rate; null where it is searched for. */
  readonly lr: number | null
  readonly flip: boolean
  readonly augment: boolean
  /** Smallest probability with which the model knows an image; null for none. */
  readonly threshold: number | 'suggest' | null
  readonly fp32: boolean
  readonly decoder: DecoderName
  readonly shrink: 'exact' | 'fast'
  readonly seed: number
}

/** Defaults that depend on whether the weights are pretrained. */
const DEFAULTS = {
  pretrained: { size: 224, softwareSize: 128, epochs: 5 },
  scratch: { size: 128, softwareSize: 64, epochs: 20 },
} as const
const BATCH = 64
const SMALLEST_BATCH = 4
/** Steps that an epoch should have, for batches as small as that takes. */
const STEPS = 8
/** From that many times the pixels that are needed on, decoding at a smaller size pays. Source: MOST_TIMES_KEPT of data/pictures.ts. */
const LARGE = 64

/** Facts that the defaults depend on. */
export interface Circumstances {
  readonly survey: Survey
  readonly trainingImages: number
  readonly software: boolean
  readonly decoder: DecoderName
  readonly pretrained: Pretrained | undefined
}

/** Fills in the defaults. @throws OptionError  if the architecture of the weights is not known, or a batch has more images than there are */
export function settingsOf(options: TrainOptions, circumstances: Circumstances): Settings {
  const { survey, trainingImages, software, decoder } = circumstances
  const defaults = DEFAULTS[options.pretrained === undefined ? 'scratch' : 'pretrained']
  const size = options.size ?? (software ? defaults.softwareSize : defaults.size)
  const fitting = 2 ** Math.floor(Math.log2(Math.max(1, trainingImages / STEPS)))
  const batchSize = options.batchSize ?? Math.min(BATCH, trainingImages, Math.max(SMALLEST_BATCH, fitting))
  if (batchSize > trainingImages) {
    throw new OptionError('--batch-size', 'there are fewer images to train on, so that there is no batch', {
      given: { 'batch-size': batchSize, images: trainingImages },
      fix: 'name a smaller one, or leave it out',
    })
  }
  const areas = survey.images.map(({ width, height }) => width * height).sort((a, b) => a - b)
  const large = (areas[areas.length >> 1] ?? 0) > LARGE * size * size
  const { kind: targets, columns } = survey.folder.targets
  const model = modelOf(options, circumstances.pretrained)
  return {
    folder: resolve(options.folder),
    targets,
    numbers: targets === 'numbers' ? columns : [],
    separator: targets === 'labels' ? separatorFor(survey.classes) : null,
    model,
    widen: widenOf(options, model, circumstances.pretrained),
    pretrained: circumstances.pretrained ? (sourceOf(options) ?? null) : null,
    size,
    epochs: options.epochs ?? defaults.epochs,
    freezeEpochs: options.pretrained === undefined ? 0 : options.freezeEpochs,
    batchSize,
    lr: options.lr ?? null,
    flip: options.flip,
    augment: options.augment,
    threshold: options.threshold,
    fp32: options.fp32,
    decoder,
    shrink: decoder === 'sharp' && large ? 'fast' : 'exact',
    seed: options.seed,
  }
}

/** @throws OptionError  if a threshold cannot be that of these targets */
export function requireThresholdFor(targets: TargetKind, threshold: TrainOptions['threshold']): void {
  if (targets === 'class' || threshold === null) return
  if (targets === 'labels' && threshold !== 'suggest') return
  throw new OptionError('--threshold', `the targets are ${targets}, which have no such threshold`, {
    given: { threshold },
    fix: targets === 'labels' ? 'give the probability above which a label counts, such as 0.5' : 'leave it out',
  })
}

const HUB = 'hub'
const DEFAULT_MODEL = { scratch: 'xresnet18', hub: 'resnet18' } as const

/** Returns the file or the name on the hub of the pretrained weights; `undefined` without. @throws OptionError  if the hub has none for the model */
export function sourceOf({
  pretrained,
  model = DEFAULT_MODEL.hub,
}: Pick<TrainOptions, 'pretrained' | 'model'>): string | undefined {
  if (pretrained !== HUB) return pretrained === undefined ? undefined : fileOrName(pretrained)
  const name = pretrainedNames[model]
  if (name !== undefined) return name
  throw new OptionError('--pretrained', `no weights on the hub are known for ${model}`, {
    expected: Object.keys(pretrainedNames).join(', '),
    fix: 'name a model there, or a file',
  })
}

/** Absolute path of a file, which a continued run finds from another folder too; names of the hub as they are. */
function fileOrName(source: string): string {
  return /\.(safetensors|pth|pt|pkl|bin)$/i.test(source) ? resolve(source) : source
}

function modelOf(options: TrainOptions, pretrained: Pretrained | undefined): string {
  if (options.model !== undefined) return options.model
  if (pretrained === undefined) return DEFAULT_MODEL.scratch
  if (options.pretrained === HUB) return DEFAULT_MODEL.hub
  const { architecture } = pretrained.config
  if (architecture !== undefined && Object.hasOwn(backbones, architecture)) return architecture
  // timm's resnet18d is the xresnet18 here.
  for (const text of [architecture, options.pretrained, pretrained.path]) {
    const [, x = '', name, d = ''] = /(x?)(resnet(?:18|34|50|101|152))(d?)(?![0-9])/i.exec(text ?? '') ?? []
    if (name !== undefined) return `${x || d ? 'x' : ''}${name.toLowerCase()}`
  }
  throw new OptionError('--pretrained', 'the file does not say which network its weights are of', {
    given: { file: pretrained.path },
    fix: 'name it: --model resnet34',
  })
}

/** @throws OptionError  if the network of a run has one width only */
function widenOf({ widen }: TrainOptions, model: string, pretrained: Pretrained | undefined): number {
  if (widen === undefined || model.startsWith('x')) return widen ?? pretrained?.config.widen ?? 1
  throw new OptionError('--widen', 'this network has one width only', {
    given: { widen, model },
    expected: 'an xresnet',
    fix: 'leave it out, or name one: --model xresnet18',
  })
}

const BEGIN_ANEW = 'begin the run anew, without --resume'

/** Contents of the file of a run that holds what it was begun with. */
export interface Begun {
  readonly settings: Settings
  /** Start of the run, as ISO 8601. */
  readonly started: string
  /** Folder as the look printed it, for the report. */
  readonly look: { readonly [name: string]: Json }
  /** SHA-256 of the table of the run's images; absent in older runs. */
  readonly images?: string
  /** Table of labels that the run was begun with; absent where folders are the classes. */
  readonly table?: { readonly file: string; readonly sha256: string }
}

const NULL: Kind = { expected: 'null', is: (value) => value === null }
const SETTINGS: Kinds<Settings> = {
  folder: TEXT,
  targets: oneOfTexts('class', 'labels', 'numbers'),
  numbers: listOf(TEXT),
  separator: oneOf(NULL, TEXT),
  model: oneOfTexts(...Object.keys(backbones)),
  widen: NUMBER,
  pretrained: oneOf(NULL, TEXT),
  size: NUMBER,
  epochs: NUMBER,
  freezeEpochs: NUMBER,
  batchSize: NUMBER,
  lr: oneOf(NULL, NUMBER),
  flip: FLAG,
  augment: FLAG,
  threshold: oneOf(NULL, oneOfTexts('suggest'), NUMBER),
  fp32: FLAG,
  decoder: oneOfTexts('built-in', 'turbo', 'sharp'),
  shrink: oneOfTexts('exact', 'fast'),
  seed: NUMBER,
}

/** Reads what a run was begun with. @throws DataError  if there is no such run, or its file is damaged */
export async function begunBefore(files: Files, folder: string): Promise<Begun> {
  const file = files.join(folder, OPTIONS_FILE)
  if (!(await files.exists(file))) {
    throw new DataError(folder, 'there is no run to continue', {
      expected: 'the folder of an interrupted run, such as runs/2026-11-23T21-00-00',
    })
  }
  const begun = parseRecord(file, await files.readText(file), BEGIN_ANEW)
  const { started, look, images, table } = begun
  // Older runs had no choice of the width.
  const settings: Record<string, unknown> | undefined = isRecord(begun.settings)
    ? { widen: 1, ...begun.settings }
    : undefined
  const wrong = settings && Object.entries(SETTINGS).find(([name, kind]) => !kind.is(settings[name]))
  const hasDigests =
    (images === undefined || TEXT.is(images)) &&
    (table === undefined || (isRecord(table) && TEXT.is(table.file) && TEXT.is(table.sha256)))
  if (!settings || wrong || !TEXT.is(started) || !isRecord(look) || !hasDigests) {
    throw new DataError(file, `a damaged file: its ${wrong ? wrong[0] : 'contents'} is invalid`, { fix: BEGIN_ANEW })
  }
  return { ...begun, settings } as unknown as Begun
}
