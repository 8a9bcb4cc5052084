import { OptionError } from '../base/errors.ts'
import type { Json } from '../base/json.ts'
import { openGpuOn } from '../exports/gpu.ts'
import { getImageFiles, nodePlatform, type Prediction } from '../node.ts'
import { className } from './class-names.ts'
import { numberIn, parseCommand, whole } from './command.ts'
import { EXIT } from './exit-codes.ts'
import { loadModel } from './model.ts'
import { invocation, Output } from './output.ts'

export const SUMMARY = 'say what is on images'

const USAGE = `wgrad predict MODEL FILE… [options]

Says what is on images, with a model that \`wgrad train\`, the lesson or learner.export has written.

  MODEL      model.safetensors, or the folder of a run
  FILE…      images, or folders of them
  --top N    number of labels per image, the likeliest first (3)
  --threshold P  smallest probability with which an image is known; below it the answer is "none of these" (that of the
             model, which has none unless it was trained with --threshold)
  --json     one JSON document on stdout: { model, labels, images: [{ file, label, probability, top: [{ label,
             probability }] }], errors: [{ file, message }] }; label is null for none of these; a model of several labels or
             of numbers gives each image also labels and values
  --help

Exit code 0: all were classified; 2: wrong options; 3: the model or an image cannot be read (the others are classified);
4: no graphics adapter.
`

const DEFINITION = {
  top: { type: 'string' },
  threshold: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const

export async function main(argv: readonly string[]): Promise<void> {
  const help = `${invocation()} predict --help`
  const { values, positionals } = parseCommand('predict', argv, DEFINITION, { positionals: true, help })
  if (values.help) {
    console.log(USAGE)
    return
  }
  const [path, ...given] = positionals
  const top = whole('--top', values.top, 3, 1, Infinity)
  const threshold = values.threshold === undefined ? undefined : numberIn('--threshold', values.threshold, 0, 0, 1)
  if (path === undefined || given.length === 0) {
    throw new OptionError('predict', 'a model and image files are needed', { fix: `\`${help}\` explains its use` })
  }
  const output = new Output(values.json ?? false)
  const { platform } = output
  const files = (await Promise.all(given.map(expand))).flat()
  const gpu = await openGpuOn(platform)
  if (gpu.software) console.error(`${gpu.name}: a software adapter`)
  try {
    const predictor = await loadModel(platform, path)
    const images: Json[] = []
    const errors: Json[] = []
    const asked = { topK: top, ...(threshold === undefined ? {} : { threshold }) }
    for await (const { index, prediction, error } of predictor.predictEach(files, asked)) {
      const file = files[index]
      if (error) {
        console.error(`${error.name}: ${error.message}`)
        errors.push({ file, message: error.message })
        process.exitCode = EXIT.data
        continue
      }
      const best = prediction.top.map(({ label, probability }) => ({ label: className(label), probability }))
      const text = best.map(({ label, probability }) => `${label} ${(100 * probability).toFixed(1)}%`).join(', ')
      const { values } = prediction
      const labels = prediction.labels.map(className)
      if (!output.json) output.say(`${file}  ${saidOf(prediction, labels, text)}`)
      const label = prediction.label === undefined ? null : className(prediction.label)
      const more = values ? { labels, values: [...values] } : {}
      images.push({ file, label, probability: prediction.probability, top: best, ...more })
    }
    output.document({ model: path, labels: [...predictor.vocab], images, errors })
  } finally {
    await nodePlatform.decoder.close()
    gpu.close()
  }
}

/** Returns what is printed of an image: its class, its labels, or its numbers. */
function saidOf({ values, isKnown, text }: Prediction, labels: readonly string[], likeliest: string): string {
  if (!values) return isKnown ? likeliest : `none of these (${likeliest})`
  return likeliest === '' ? text : `${labels.join(', ') || 'no label'} (${likeliest})`
}

/** Returns the files of an argument: itself, or the images of a folder. */
async function expand(given: string): Promise<readonly string[]> {
  const isFolder = await nodePlatform.files.list(given).then(
    () => true,
    () => false,
  )
  return isFolder ? getImageFiles(given) : [given]
}
