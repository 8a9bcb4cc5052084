/** `npm run predict -- MODEL FILE…`: classifies image files with a model that `learner.export` wrote. */
import { DataError, loadLearner, nodePlatform, openGpu, OptionError, type Prediction } from '../node.ts'
import type { Predictor } from '../exports/train.ts'
import { className } from './class-names.ts'
import { parseCommand, runCommand } from './command.ts'

const USAGE = `npm run predict -- MODEL FILE… [options]

  MODEL      file written by learner.export or by the lesson
  FILE…      image files, JPEG or PNG
  --top N    number of labels per image, the likeliest first (3)
  --help
`

const DEFINITION = { top: { type: 'string' }, help: { type: 'boolean' } } as const

async function main(argv: readonly string[]): Promise<void> {
  const {
    positionals: [path, ...files],
    values,
  } = parseCommand('predict', argv, DEFINITION, { positionals: true })
  if (values.help) {
    console.log(USAGE)
    return
  }
  const top = Number(values.top ?? 3)
  if (!(Number.isInteger(top) && top >= 1)) {
    throw new OptionError('--top', `'${values.top}' is out of range`, { expected: 'a whole number from 1 on' })
  }
  if (path === undefined || files.length === 0) {
    throw new OptionError('predict', 'a model and image files are needed', {
      fix: '`npm run predict -- --help` explains its use',
    })
  }
  const gpu = await openGpu()
  if (gpu.software) console.error(`${gpu.name}: a software adapter`)
  try {
    const predictor = await loadLearner(path)
    for (const file of files) await say(predictor, file, top)
  } finally {
    await nodePlatform.decoder.close()
    gpu.close()
  }
}

/**
 * Prints the likeliest labels of a file. A file that cannot be decoded is reported, and the others are still
 * classified.
 */
async function say(predictor: Predictor, file: string, top: number): Promise<void> {
  try {
    nodePlatform.log(`${file}  ${likeliest(await predictor.predict(file), predictor.vocab, top)}`)
  } catch (error) {
    if (!(error instanceof DataError)) throw error
    console.error(`${error.name}: ${error.message}`)
    process.exitCode = 1
  }
}

/** Formats the likeliest labels: `tench 97.1%, church 1.2%` */
function likeliest({ probabilities }: Prediction, vocab: readonly string[], top: number): string {
  return Array.from(probabilities, (probability, index) => ({
    probability,
    label: className(vocab[index] ?? `output ${index}`),
  }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, top)
    .map(({ label, probability }) => `${label} ${(100 * probability).toFixed(1)}%`)
    .join(', ')
}

await runCommand(main)
