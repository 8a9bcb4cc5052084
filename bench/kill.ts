/** `npm run kill`: tests `--resume` by killing a run of the lesson at random moments (see kill-and-resume.ts). */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseCommand, runCommand, whole } from '../src/cli/command.ts'
import { killAndResume } from './lesson/kill-and-resume.ts'

const USAGE = `npm run kill -- [options]

  --count N   kills in all (100)
  --seed N    chooses their moments (0)
  --help
`

const DEFINITION = { count: { type: 'string' }, seed: { type: 'string' }, help: { type: 'boolean' } } as const

async function main(argv: readonly string[]): Promise<void> {
  const given = parseCommand('kill', argv, DEFINITION).values
  if (given.help) {
    console.log(USAGE)
    return
  }
  const count = whole('--count', given.count, 1, 1_000_000) ?? 100
  const seed = whole('--seed', given.seed, 0, 2 ** 31) ?? 0
  const folder = await mkdtemp(join(tmpdir(), 'wgrad-kill-'))
  const { kills, runs } = await killAndResume({ count, seed, folder, log: (line) => console.log(line) })
  await rm(folder, { recursive: true })
  console.log(`${kills} kills in ${runs} runs: all ended with the numbers of a run without any`)
}

await runCommand(main)
