import { DataError, OptionError } from '../base/errors.ts'
import type { FolderImage } from '../exports/data.ts'
import { readImageFolder } from '../exports/data.ts'
import { openGpuOn } from '../exports/gpu.ts'
import type { ItemPredictions, Predictor } from '../exports/train.ts'
import { nodePlatform } from '../node.ts'
import { numberIn, parseCommand, whole } from './command.ts'
import { EXIT } from './exit-codes.ts'
import { FOLDER_DEFINITION, FOLDER_OPTIONS_USAGE, FOLDER_USAGE, labelFrom } from './look.ts'
import { measure, measuredJson, measuredText } from './measured.ts'
import { loadModel } from './model.ts'
import { invocation, Output } from './output.ts'

export const SUMMARY = 'measure a model on labeled images'

const USAGE = `wgrad evaluate MODEL FOLDER [options]

Measures a model on labeled images: accuracy with its 95% interval, precision and recall of every class, what is taken for
what, and the most wrong pictures. Where FOLDER or its table has a side to measure on (val/, test/), only that is used.

  MODEL      model.safetensors, or the folder of a run

${FOLDER_USAGE}

Options
  --all                also the images that FOLDER has to train on
  --wrong N            number of most wrong images (10)
  --at-least X         exit code 1 if the accuracy is below X, such as 0.9
${FOLDER_OPTIONS_USAGE}
  --json               one JSON document on stdout: { model, folder, accuracy, interval, count, right, perClass, confusion,
                       mostWrong, errors }
  --help

Exit code 0: measured; 1: the accuracy is below --at-least; 2: wrong options; 3: the model or the images cannot be used;
4: no graphics adapter.
`

const DEFINITION = {
  ...FOLDER_DEFINITION,
  all: { type: 'boolean' },
  wrong: { type: 'string' },
  'at-least': { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const

export async function main(argv: readonly string[]): Promise<void> {
  const help = `${invocation()} evaluate --help`
  const { values, positionals } = parseCommand('evaluate', argv, DEFINITION, { positionals: true, help })
  if (values.help) {
    console.log(USAGE)
    return
  }
  const [path, folder, ...others] = positionals
  const wrong = whole('--wrong', values.wrong, 10, 0, Infinity)
  const atLeast = numberIn('--at-least', values['at-least'], 0, 0, 1)
  const from = { labelFrom: labelFrom(values['label-from']), ...(values.csv === undefined ? {} : { csv: values.csv }) }
  if (path === undefined || folder === undefined || others.length > 0) {
    throw new OptionError('evaluate', 'a model and one folder of images are needed', {
      fix: `\`${help}\` explains its use`,
    })
  }
  const output = new Output(values.json ?? false)
  const { platform } = output
  const found = await readImageFolder(folder, { ...from, platform })
  const measured = found.images.filter(({ side }) => values.all || side !== 'train')
  const gpu = await openGpuOn(platform)
  try {
    const predictor = await loadModel(platform, path)
    const images = known(folder, measured, predictor, output)
    const { results, items, errors } = await predictAll(output, predictor, images)
    if (items.length === 0) throw new DataError(folder, 'none of the images can be read')
    const figures = measure(results, predictor.vocab)
    const worst = figures.interpretation.topLosses(wrong).filter(({ actual, predicted }) => actual !== predicted)
    output.say(
      [
        `${items.length} images: ${found.description} in ${folder}`,
        '',
        measuredText(figures),
        ...(worst.length > 0 ? ['', 'most wrong'] : []),
        ...worst.map(
          ({ item, actual, predicted, probability }) =>
            `  ${items[item].path}  ${predicted} ${(100 * probability).toFixed(1)}%, is ${actual}`,
        ),
      ].join('\n'),
    )
    output.document({
      model: path,
      folder,
      ...measuredJson(figures),
      mostWrong: worst.map(({ item, ...rest }) => ({ file: items[item].path, ...rest })),
      errors,
    })
    if (figures.accuracy < atLeast) {
      output.say(`the accuracy is below ${atLeast}`)
      process.exitCode = EXIT.notGood
    }
  } finally {
    await nodePlatform.decoder.close()
    gpu.close()
  }
}

/** Returns the images whose class the model knows; the others are named. @throws DataError  if it knows none */
function known(folder: string, images: readonly FolderImage[], { vocab }: Predictor, output: Output): FolderImage[] {
  const kept = images.filter(({ label }) => vocab.includes(label))
  const unknown = [...new Set(images.map(({ label }) => label))].filter((label) => !vocab.includes(label))
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
  const { vocab } = predictor
  const { status } = output.platform
  const rows: Float32Array[] = []
  const items: FolderImage[] = []
  const errors: { readonly file: string; readonly message: string }[] = []
  const paths = images.map(({ path }) => path)
  for await (const { index, prediction, error } of predictor.predictEach(paths)) {
    const image = images[index]
    if (prediction) {
      rows.push(prediction.probabilities)
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
  const targets = Uint32Array.from(items, ({ label }) => vocab.indexOf(label))
  const results: ItemPredictions = {
    predictions: { rows: rows.length, columns, data },
    targets,
    losses: Float32Array.from(targets, (target, row) => -Math.log(rows[row][target])),
    items: Uint32Array.from(items.keys()),
  }
  return { results, items, errors }
}
