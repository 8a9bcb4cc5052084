import { OptionError } from '../base/errors.ts'
import { percent } from '../base/format.ts'
import type { Json } from '../base/json.ts'
import { csvLine, numberNames } from '../exports/data.ts'
import { openGpuOn } from '../exports/gpu.ts'
import type { Predictor } from '../exports/train.ts'
import { getImageFiles, nodePlatform, type Prediction } from '../node.ts'
import { className } from './class-names.ts'
import { numberIn, parseCommand, whole } from './command.ts'
import { EXIT } from './exit-codes.ts'
import { logToStderr } from '../platform/node/terminal.ts'
import type { Platform } from '../platform/platform.ts'
import { isFolder, loadModel } from './model.ts'
import { invocation, Output } from './output.ts'

export const SUMMARY = 'say what is on images'

const USAGE = `wgrad predict MODEL FILE… [options]

Says what is on images, with a model that \`wgrad train\`, the lesson or learner.export has written.

  MODEL      model.safetensors, or the folder of a run
  FILE…      images, or folders of them
  --top N    number of labels per image, the likeliest first (3); not with --csv
  --threshold P  smallest probability with which an image is known; below it the answer is "none of these" (that of the
             model, which has none unless it was trained with --threshold); of several labels, above which each counts (0.5)
  --csv      a table with a line per image on stdout: file, label, probability; of a model of several labels file, labels and
             the probability of each; of numbers file and each number
  --json     one JSON document on stdout: { model, labels, images: [{ file, label, probability, top: [{ label,
             probability }] }], errors: [{ file, message }] }; label is null for none of these; a model of several labels gives
             each image also labels, one of numbers values by name
  --help

Exit code 0: all were classified; 2: wrong options; 3: the model or an image cannot be read (the others are classified);
4: no graphics adapter.
`

const DEFINITION = {
  top: { type: 'string' },
  threshold: { type: 'string' },
  csv: { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

export async function main(argv: readonly string[]): Promise<void> {
  const help = `${invocation()} predict --help`
  const { values, positionals } = parseCommand('predict', argv, DEFINITION, { positionals: true, help })
  if (values.help) {
    console.log(USAGE)
    return
  }
  const [path, ...given] = positionals
  const top = whole('--top', values.top, 1, Infinity) ?? 3
  const threshold = numberIn('--threshold', values.threshold, 0, 1)
  if (path === undefined || given.length === 0) {
    throw new OptionError('predict', 'a model and image files are needed', { fix: `\`${help}\` explains its use` })
  }
  const { csv = false, json = false } = values
  if (csv && json) throw new OptionError('predict', '--csv and --json are both given', { fix: 'choose one' })
  if (csv && values.top !== undefined) {
    throw new OptionError('--top', 'a table of --csv has no list of the likeliest labels', {
      fix: 'leave one of them out; --json lists as many labels of each image',
    })
  }
  const output = new Output(csv || json)
  const { platform } = output
  const files = (await Promise.all(given.map((one) => expand(platform, one)))).flat()
  const gpu = await openGpuOn(platform)
  if (gpu.software) console.error(`${gpu.name}: a software adapter`)
  try {
    const predictor = await loadModel(platform, path)
    const names = numberNames(predictor.target)
    const limits = { vocab: predictor.vocab, threshold: threshold ?? predictor.threshold }
    if (csv) process.stdout.write(csvLine(csvHeader(predictor)))
    const images: Json[] = []
    const errors: Json[] = []
    const asked = { topK: top, ...(threshold === undefined ? {} : { threshold }) }
    for await (const { index, prediction, error } of predictor.predictEach(files, asked)) {
      const file = files[index]
      if (error) {
        logToStderr(`${error.name}: ${error.message}`)
        errors.push({ file, message: error.message })
        process.exitCode = EXIT.data
        continue
      }
      const best = prediction.top.map(({ label, probability }) => ({ label: className(label), probability }))
      const text = best.map(({ label, probability }) => `${label} ${percent(probability)}`).join(', ')
      const { values } = prediction
      const labels = prediction.labels.map(className)
      if (csv) process.stdout.write(csvLine([file, ...csvCells(prediction, labels)]))
      else if (!json) output.say(`${file}  ${saidOf(prediction, limits, text)}`)
      if (!json) continue
      if (values && best.length === 0) {
        images.push({ file, values: Object.fromEntries(names.map((name, i) => [name, values[i]])) })
        continue
      }
      const label = prediction.label === undefined ? null : className(prediction.label)
      images.push({ file, label, probability: prediction.probability, top: best, ...(values && { labels }) })
    }
    if (json) output.document({ model: path, labels: predictor.vocab.map(className), images, errors })
  } finally {
    await nodePlatform.decoder.close()
    gpu.close()
  }
}

/** Returns what is printed of an image: its likeliest classes, its labels with their probabilities, or its numbers. */
function saidOf(
  { values, isKnown, text, labels, probabilities }: Prediction,
  { vocab, threshold }: Pick<Predictor, 'vocab' | 'threshold'>,
  likeliest: string,
): string {
  if (!values) return isKnown ? likeliest : `none of these (${likeliest})`
  if (likeliest === '') return text
  const said = labels.map((label) => `${className(label)} ${percent(probabilities[vocab.indexOf(label)])}`)
  return said.length > 0 ? said.join(', ') : `no label above ${100 * threshold}% (${likeliest})`
}

function csvHeader({ target, activation, vocab }: Predictor): readonly string[] {
  if (target.columns === 'class') return ['file', 'label', 'probability']
  return activation === 'none' ? ['file', ...numberNames(target)] : ['file', 'labels', ...vocab.map(className)]
}

function csvCells(prediction: Prediction, labels: readonly string[]): readonly (string | number)[] {
  const { values, label, probability, probabilities } = prediction
  if (!values) return [label === undefined ? '' : className(label), probability]
  return probabilities.length === 0 ? [...values] : [labels.join(';'), ...probabilities]
}

/** Returns the files of an argument: itself, or the images of a folder. */
async function expand(platform: Platform, given: string): Promise<readonly string[]> {
  return (await isFolder(platform.files, given)) ? getImageFiles(given, { platform }) : [given]
}
