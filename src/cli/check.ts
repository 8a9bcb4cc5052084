import { OptionError } from '../base/errors.ts'
import { nodePlatform } from '../node.ts'
import { parseCommand } from './command.ts'
import { EXIT } from './exit-codes.ts'
import {
  countsOf,
  FOLDER_DEFINITION,
  FOLDER_OPTIONS_USAGE,
  folderOptions,
  FOLDER_USAGE,
  look,
  lookJson,
  lookText,
} from './look.ts'
import { invocation, Output } from './output.ts'
import { requireShareFor, seedOption, splitOf, validOption } from './train/split.ts'

export const SUMMARY = 'look at a folder of images: what can be read, and what would harm a training'

const USAGE = `wgrad check FOLDER [options]

Looks at every image of a folder, as \`wgrad train\` does first: images per class, sizes, files that cannot be read, classes
with few images, copies on both sides of the split or under two labels. Nothing is changed, and no GPU is needed.

${FOLDER_USAGE}

Options
  --valid V            as in \`wgrad train\`
${FOLDER_OPTIONS_USAGE}
  --seed N             seed of the split (42)
  --json               one JSON document on stdout: { folder, layout, images, targets, classes, numbers, leftOut, findings }
  --help

Exit code 0: nothing to complain about; 1: something was found; 3: this cannot be trained on.
`

const DEFINITION = {
  ...FOLDER_DEFINITION,
  valid: { type: 'string' },
  seed: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

export async function main(argv: readonly string[]): Promise<void> {
  const help = `${invocation()} check --help`
  const { values, positionals } = parseCommand('check', argv, DEFINITION, { positionals: true, help })
  if (values.help) {
    console.log(USAGE)
    return
  }
  const [path, ...others] = positionals
  if (path === undefined || others.length > 0) {
    throw new OptionError('check', 'one folder of images is needed', { fix: `\`${help}\` explains its use` })
  }
  const output = new Output(values.json ?? false)
  const valid = validOption(values.valid)
  const seed = seedOption(values.seed)
  const options = folderOptions(values)
  try {
    const given = { ...options, ...(valid.folder === undefined ? {} : { valid: valid.folder }) }
    const survey = await look(output, path, given, { onFolder: (folder) => requireShareFor(folder, valid) })
    const fatal = survey.findings.find(({ severity }) => severity === 'error')
    const split = fatal ? undefined : splitOf(survey, { valid, seed })
    const counts = countsOf(survey, (image) => split?.sideOf(image))
    output.document(lookJson(survey, counts))
    output.say(lookText(survey, counts, split?.text ?? ''))
    const complaints = survey.findings.filter(({ severity }) => severity === 'warning')
    process.exitCode = fatal ? EXIT.data : complaints.length > 0 ? EXIT.notGood : EXIT.good
  } finally {
    await nodePlatform.decoder.close()
  }
}
