import { DataError, OptionError } from '../base/errors.ts'
import { percent } from '../base/format.ts'
import {
  labelsOf,
  readImageFolder,
  type FolderImage,
  type ImageFolder,
  type ImageFolderOptions,
  type TargetKind,
} from '../exports/data.ts'
import { openGpuOn } from '../exports/gpu.ts'
import type { ItemPredictions, Predictor } from '../exports/train.ts'
import { nodePlatform } from '../node.ts'
import { className } from './class-names.ts'
import { numberIn, parseCommand, whole } from './command.ts'
import { EXIT } from './exit-codes.ts'
import { FOLDER_DEFINITION, FOLDER_OPTIONS_USAGE, folderOptions, FOLDER_USAGE } from './look.ts'
import { measureTargets, type AnyMeasured } from './measured.ts'
import { loadModel } from './model.ts'
import { invocation, Output } from './output.ts'

export const SUMMARY = 'measure a model on labeled images'

const USAGE = `wgrad evaluate MODEL FOLDER [options]

Measures a model on labeled images: accuracy with its 95% interval, precision and recall of every class, what is taken for
what, and the most wrong pictures; of several labels F1, precision and recall, of numbers errors and R². Where FOLDER or its
table has a side to measure on (val/, test/), only that is used.

  MODEL      model.safetensors, or the folder of a run

${FOLDER_USAGE}

Options
  --valid NAME         folder below FOLDER, or part in its table, to measure on (the first of valid, val, dev and test there)
  --all                also the images that FOLDER has to train on
  --wrong N            number of most wrong images (10)
  --at-least X         exit code 1 if the accuracy (of labels F1, of numbers R²) is below X, such as 0.9
${FOLDER_OPTIONS_USAGE}
  --json               one JSON document on stdout: { model, folder, accuracy, interval, baseline, count, right, perClass,
                       confusion, mostWrong, errors }; confusion is { classes, counts }, of more than 1,000 classes
                       { classes, pairs }; of labels f1, f1Micro, exact, perLabel, of numbers mae, rmse, r2, perNumber
  --help

Exit code 0: measured; 1: the accuracy is below --at-least; 2: wrong options; 3: the model or the images cannot be used;
4: no graphics adapter.
`

const DEFINITION = {
  ...FOLDER_DEFINITION,
  valid: { type: 'string' },
  all: { type: 'boolean' },
  wrong: { type: 'string' },
  'at-least': { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

export async function main(argv: readonly string[]): Promise<void> {
  const help = `${invocation()} evaluate --help`
  const { values, positionals } = parseCommand('evaluate', argv, DEFINITION, { positionals: true, help })
  if (values.help) {
    console.log(USAGE)
    return
  }
  const [path, folder, ...others] = positionals
  const wrong = whole('--wrong', values.wrong, 0, Infinity) ?? 10
  const atLeast = numberIn('--at-least', values['at-least'], 0, 1)
  const from = { ...folderOptions(values), ...(values.valid !== undefined && { valid: values.valid }) }
  if (path === undefined || folder === undefined || others.length > 0) {
    throw new OptionError('evaluate', 'a model and one folder of images are needed', {
      fix: `\`${help}\` explains its use`,
    })
  }
  const output = new Output(values.json ?? false)
  const { platform } = output
  // Errors of the folder come before those of the machine.
  await output.quietly(() => readImageFolder(folder, { ...from, platform }))
  const gpu = await openGpuOn(platform)
  try {
    const predictor = await loadModel(platform, path)
    const found = await folderFor(predictor, folder, { ...from, platform }, output)
    const measured = found.images.filter(({ side }) => values.all || side !== 'train')
    const images = known(folder, measured, predictor, output)
    const { results, items, errors } = await predictAll(output, predictor, images)
    if (items.length === 0) throw new DataError(folder, 'none of the images can be read')
    // Classes have the names that `predict` prints.
    const target = { ...predictor.target, vocab: predictor.vocab.map(className) }
    const figures = measureTargets(results, target, predictor.threshold)
    const worst = mostWrong(figures, wrong)
    output.say(
      [
        `${items.length} images: ${found.description} in ${folder}`,
        '',
        figures.text,
        ...(worst.length > 0 ? ['', 'most wrong'] : []),
        ...worst.map(({ item, said, actual }) => `  ${items[item].path}  ${said}, is ${actual}`),
      ].join('\n'),
    )
    output.document({
      model: path,
      folder,
      ...figures.json,
      mostWrong: worst.map(({ item, said: _, ...rest }) => ({ file: items[item].path, ...rest })),
      errors,
    })
    const [name, reached] = headline(figures)
    if (atLeast !== undefined && !(reached >= atLeast)) {
      output.say(`${name} is below ${atLeast}`)
      process.exitCode = EXIT.notGood
    }
  } finally {
    await nodePlatform.decoder.close()
    gpu.close()
  }
}

/** Kinds of targets of models, as folders have them. */
const KIND_OF: ReadonlyMap<string, TargetKind> = new Map([
  ['category', 'class'],
  ['multiCategory', 'labels'],
  ['regression', 'numbers'],
])

/**
 * Reads the labels of a folder as targets of the model: numbers by the names of their columns, where the table has them, and
 * otherwise in their order, which is printed.
 *
 * @throws DataError  if they cannot be that
 */
async function folderFor(
  { target }: Predictor,
  folder: string,
  options: ImageFolderOptions,
  output: Output,
): Promise<ImageFolder> {
  const kind = KIND_OF.get(target.kind)
  if (kind === undefined) {
    throw new DataError('MODEL', 'its targets are made by a program, which has to measure it', {
      given: { targets: target.kind },
      fix: 'use learner.validate(loaders.test(paths, { labels })) there',
    })
  }
  // Only the first reading prints what it finds in the folder.
  const again = (other: ImageFolderOptions) => output.quietly(() => readImageFolder(folder, { ...options, ...other }))
  const first = await readImageFolder(folder, options)
  const isOther = first.targets.kind !== kind && first.layout === 'table' && options.targets === undefined
  // Columns that cannot be such targets are told below as what they are.
  const all = isOther
    ? await again({ targets: kind }).catch((error: unknown) => {
        if (error instanceof OptionError) return first
        throw error
      })
    : first
  const { names = [] } = target
  const isNamed = names.length > 0 && names.every((name) => all.targets.columns.includes(name))
  const isInOrder = all.targets.kind === kind && names.join() === all.targets.columns.join()
  const found = isNamed && !isInOrder ? await again({ targets: kind, labelColumn: names }) : all
  const { columns } = found.targets
  if (found.targets.kind !== kind || (kind === 'numbers' && columns.length !== target.columns)) {
    throw new DataError(folder, 'its labels are not what the model predicts', {
      given: { labels: found.targets.description, model: kind, ...(kind === 'numbers' && { numbers: target.columns }) },
      fix: 'name the table and its columns: --csv, --label-column',
    })
  }
  if (names.join() !== columns.join() && names.length > 0) {
    output.say(`the numbers ${names.join(', ')} are compared with ${columns.join(', ')}, in this order`)
  }
  return found
}

/** Returns the score that `--at-least` is compared with, and its name. */
function headline({ measured, interpretation }: AnyMeasured): readonly [name: string, value: number] {
  if (measured) return ['the accuracy', measured.accuracy]
  const { f1, r2 } = interpretation.scores()
  return interpretation.isLabels ? ['F1', f1] : ['R²', r2]
}

/** Returns the images that are wrong among those with the largest losses. */
function mostWrong({ measured, interpretation }: AnyMeasured, count: number) {
  if (!measured) return interpretation.mostWrong(count).map((one) => ({ ...one, said: one.predicted }))
  return measured.interpretation
    .topLosses(count)
    .filter(({ actual, predicted }) => actual !== predicted)
    .map((one) => ({ ...one, said: `${one.predicted} ${percent(one.probability)}` }))
}

/** Returns the images whose labels the model knows; the others are named. @throws DataError  if it knows none */
function known(folder: string, images: readonly FolderImage[], { vocab }: Predictor, output: Output): FolderImage[] {
  const labels = new Set(vocab)
  const kept = images.filter((image) => labelsOf(image).every((label) => labels.has(label)))
  const unknown = [...new Set(images.flatMap(labelsOf))].filter((label) => !labels.has(label))
  if (kept.length === 0) {
    throw new DataError(folder, 'the model knows none of the classes of these images', {
      given: { 'classes of the images': unknown.slice(0, 12).join(', ') || 'none' },
      expected: vocab.slice(0, 12).join(', '),
    })
  }
  if (unknown.length > 0) {
    const count = images.length - kept.length
    output.say(`left out: ${count} images of classes that the model does not know, ${unknown.slice(0, 12).join(', ')}`)
  }
  return kept
}

/** Predicts every image that can be read. */
async function predictAll(output: Output, predictor: Predictor, images: readonly FolderImage[]) {
  const { target } = predictor
  const { status } = output.platform
  const rows: Float32Array[] = []
  const items: FolderImage[] = []
  const errors: { readonly file: string; readonly message: string }[] = []
  const paths = images.map(({ path }) => path)
  for await (const { index, prediction, error } of predictor.predictEach(paths)) {
    const image = images[index]
    if (prediction) {
      const isNumbers = predictor.activation === 'none' && prediction.values !== undefined
      rows.push(isNumbers ? (prediction.values ?? prediction.probabilities) : prediction.probabilities)
      items.push(image)
    } else {
      output.say(`left out: ${error.message}`)
      errors.push({ file: image.path, message: error.message })
    }
    status?.(`measuring: ${index + 1} of ${images.length}`)
  }
  status?.('')
  const columns = rows[0]?.length ?? 0
  const data = new Float32Array(rows.length * columns)
  rows.forEach((row, i) => data.set(row, i * columns))
  const encoded = items.map((image) => target.encode(image.path, image.target))
  const numbers = encoded.flatMap((each) => Array.from(each))
  const results: ItemPredictions = {
    predictions: { rows: rows.length, columns, data },
    targets: target.columns === 'class' ? Uint32Array.from(numbers) : Float32Array.from(numbers),
    losses: Float32Array.from(encoded, (each, row) => lossOf(predictor, rows[row], each)),
    items: Uint32Array.from(items.keys()),
  }
  return { results, items, errors }
}

/** Returns the loss of an image from its prediction: that of the kind of targets (see `lossFor`). */
function lossOf({ target, activation }: Predictor, row: Float32Array, actual: ArrayLike<number>): number {
  if (target.columns === 'class') return -Math.log(row[actual[0]])
  const each =
    activation === 'none'
      ? (value: number, i: number) => (value - actual[i]) ** 2
      : (value: number, i: number) => -Math.log(actual[i] > 0.5 ? value : 1 - value)
  return Array.from(row, each).reduce((sum, loss) => sum + loss, 0) / row.length
}
