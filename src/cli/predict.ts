import { DataError, OptionError } from '../base/errors.ts'
import type { Json } from '../base/json.ts'
import { openGpuOn } from '../exports/gpu.ts'
import type { Predictor } from '../exports/train.ts'
import { getImageFiles, nodePlatform, type Prediction } from '../node.ts'
import { className } from './class-names.ts'
import { parseCommand, whole } from './command.ts'
import { EXIT } from './exit-codes.ts'
import { loadModel } from './model.ts'
import { invocation, Output } from './output.ts'

export const SUMMARY = 'say what is on images'

const USAGE = `wgrad predict MODEL FILE… [options]

Says what is on images, with a model that \`wgrad train\`, the lesson or learner.export has written.

  MODEL      model.safetensors, or the folder of a run
  FILE…      images, or folders of them
  --top N    number of labels per image, the likeliest first (3)
  --json     one JSON document on stdout: { model, labels, images: [{ file, label, probability, top: [{ label,
             probability }] }], errors: [{ file, message }] }
  --help

Exit code 0: all were classified; 2: wrong options; 3: the model or a image cannot be read (the others are classified);
4: no graphics adapter.
`

const DEFINITION = { top: { type: 'string' }, json: { type: 'boolean' }, help: { type: 'boolean' } } as const

export async function main(argv: readonly string[]): Promise<void> {
  const help = `${invocation()} predict --help`
  const { values, positionals } = parseCommand('predict', argv, DEFINITION, { positionals: true, help })
  if (values.help) {
    console.log(USAGE)
    return
  }
  const [path, ...given] = positionals
  const top = whole('--top', values.top, 3, 1, Infinity)
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
    for (const file of files) {
      try {
        const prediction = await predictor.predict(file)
        const best = likeliest(prediction, predictor, top)
        const text = best.map(({ label, probability }) => `${label} ${(100 * probability).toFixed(1)}%`).join(', ')
        if (!output.json) output.say(`${file}  ${text}`)
        images.push({
          file,
          label: best[0].label,
          probability: best[0].probability,
          top: best.map((one) => ({ ...one })),
        })
      } catch (error) {
        if (!(error instanceof DataError)) throw error
        console.error(`${error.name}: ${error.message}`)
        errors.push({ file, message: error.message })
        process.exitCode = EXIT.data
      }
    }
    output.document({ model: path, labels: [...predictor.vocab], images, errors })
  } finally {
    await nodePlatform.decoder.close()
    gpu.close()
  }
}

/** Returns the files of an argument: itself, or the images of a folder. */
async function expand(given: string): Promise<readonly string[]> {
  const isFolder = await nodePlatform.files.list(given).then(
    () => true,
    () => false,
  )
  return isFolder ? getImageFiles(given) : [given]
}

/** Likeliest labels of a prediction, the likeliest first. */
function likeliest({ probabilities }: Prediction, { vocab }: Predictor, top: number) {
  return Array.from(probabilities, (probability, index) => ({
    label: className(vocab[index] ?? `output ${index}`),
    probability,
  }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, top)
}
