#!/usr/bin/env node
/** `wgrad COMMAND …`: classifiers of one's own images from the command line. */
import { OptionError, WgradError } from '../base/errors.ts'
import { nearest } from '../base/options.ts'
import { runCommand } from './command.ts'
import { EXIT_CODES, exitCodeOf } from './exit-codes.ts'
import { invocation } from './output.ts'
import { wgradVersion } from './version.ts'

/** A command: what its line in the help says, and what runs it. */
interface Command {
  readonly SUMMARY: string
  main(argv: readonly string[]): Promise<void>
}

/** Commands by name, loaded when they are needed. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  check: () => import('./check.ts'),
  train: () => import('./train/train.ts'),
  predict: () => import('./predict.ts'),
  evaluate: () => import('./evaluate.ts'),
  export: () => import('./export.ts'),
  clean: () => import('./clean.ts'),
}

async function usage(): Promise<string> {
  const lines = await Promise.all(
    Object.entries(COMMANDS).map(async ([name, load]) => `  ${name.padEnd(10)} ${(await load()).SUMMARY}`),
  )
  return `wgrad COMMAND … [options]

${lines.join('\n')}

  wgrad train pictures                                      pictures/cat/1.jpg, pictures/dog/2.jpg, …
  wgrad predict runs/2026-11-26T18-00-00/model.safetensors photo.jpg

\`wgrad COMMAND --help\` explains a command and its options; \`wgrad --version\` prints the version. Every command takes --json:
it then prints JSON on stdout and nothing else, with { "error": { "kind", "message" } } where it fails; people's lines go to
stderr.

${EXIT_CODES}`
}

async function main(argv: readonly string[]): Promise<void> {
  const [name, ...rest] = argv
  const wantsHelp = name === undefined || name === '--help' || name === '-h' || name === 'help'
  if (wantsHelp && rest.length === 0) {
    console.log(await usage())
    if (name !== undefined) return
    throw new OptionError('wgrad', 'a command is needed', { expected: Object.keys(COMMANDS).join(', ') })
  }
  if (name === '--version' || name === '-v') {
    console.log(wgradVersion())
    return
  }
  const command = wantsHelp ? rest[0] : name
  if (!Object.hasOwn(COMMANDS, command)) {
    const near = nearest(command, Object.keys(COMMANDS))
    throw new OptionError('wgrad', `there is no command '${command}'`, {
      expected: Object.keys(COMMANDS).join(', '),
      fix: near === undefined ? `\`${invocation()} --help\` explains them` : `write ${near}`,
    })
  }
  await (await COMMANDS[command]()).main(wantsHelp ? ['--help'] : rest)
}

/** Runs the command; with `--json` its error becomes the last document. */
async function run(argv: readonly string[]): Promise<void> {
  try {
    await main(argv)
  } catch (error) {
    if (argv.includes('--json')) {
      const [kind, message] = error instanceof WgradError ? [error.name, error.message] : ['Error', String(error)]
      const event = argv[0] === 'train' ? { event: 'error' } : {}
      process.stdout.write(`${JSON.stringify({ ...event, error: { kind, message } })}\n`)
    }
    throw error
  }
}

await runCommand(run, exitCodeOf)
