import nodePath, { resolve, type PlatformPath } from 'node:path'
import { OptionError } from '../base/errors.ts'
import { applyCleaning, parseCleaningList, type CleaningItem, type CleaningMove } from '../exports/data.ts'
import { parseCommand } from './command.ts'
import { fileOfRun } from './model.ts'
import { invocation, Output } from './output.ts'

export const SUMMARY = 'move images with wrong labels where they belong, as a cleaning list says'

/** File of the cleaning list in a run's folder. */
export const CLEANING_FILE = 'cleaning.json'

const USAGE = `wgrad clean FOLDER LIST [options]

Moves images into the folder of another class, or into a trash, as a cleaning list says: the ${CLEANING_FILE} that \`wgrad train\`
leaves, or another of cleaningListText. Without --apply it only prints what would be moved where. Nothing is overwritten: where
a name is taken, the image gets a number. No GPU is needed.

  FOLDER       the images, in class folders
  LIST         ${CLEANING_FILE}, or the folder of a run. An item is moved if its "action" is "relabel", with the class in "to", or
               "delete"; "suggested" is the class that the network suggests
  --accept     relabel every item that has a suggested class and whose action is still "keep"
  --apply      move the files
  --trash DIR  folder that deleted images are moved to (FOLDER/.trash)
  --json       one JSON document on stdout: { folder, list, applied, suggested, moves: [{ action, from, to }] }
  --help

Look at the suggestions before you accept them: the report of a run shows them, and a network is also wrong.

Exit code 0: moved, or printed; 2: wrong options, or a label that is not the name of a folder; 3: the list or an image cannot
be used, or a file cannot be moved.
`

const DEFINITION = {
  accept: { type: 'boolean' },
  apply: { type: 'boolean' },
  trash: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

export async function main(argv: readonly string[]): Promise<void> {
  const help = `${invocation()} clean --help`
  const { values, positionals } = parseCommand('clean', argv, DEFINITION, { positionals: true, help })
  if (values.help) {
    console.log(USAGE)
    return
  }
  const [given, path, ...others] = positionals
  if (given === undefined || path === undefined || others.length > 0) {
    throw new OptionError('clean', 'a folder of images and a cleaning list are needed', {
      fix: `\`${help}\` explains its use`,
    })
  }
  const { accept = false, apply = false, json = false, trash } = values
  const output = new Output(json)
  const { platform } = output
  const { files } = platform
  await files.list(given)
  const folder = resolve(given)
  const fix = 'name the folder of a run that learnt classes and is over, or the file'
  const file = await fileOfRun(platform, path, CLEANING_FILE, fix)
  const list = parseCleaningList(await files.readText(file), file)
  const items = list.items.map((item) => chosen({ ...item, path: placed(folder, item.path) }, accept))
  const suggested = items.filter((item) => item.suggested !== undefined).length
  const moves = await applyCleaning(
    { ...list, items },
    {
      folder,
      dryRun: !apply,
      onConflict: 'number',
      platform,
      ...(trash === undefined ? {} : { trash: resolve(trash) }),
    },
  )
  const shown = (one: string) => below(folder, one) ?? one
  for (const { action, from, to } of moves) output.say(`${action.padEnd(8)} ${shown(from)} → ${shown(to)}`)
  output.say(summary(moves, { apply, accept, suggested }))
  output.document({ folder: given, list: file, applied: apply, suggested, moves: moves.map((move) => ({ ...move })) })
}

/** Returns the place of an image: a relative path is one from here if it leads into the folder, otherwise one below it. */
export function placed(folder: string, path: string, paths: PlatformPath = nodePath): string {
  return paths.resolve(folder, below(folder, paths.resolve(path), paths) ?? path)
}

/** Returns the way from a folder to a path below it; on Windows names differ by more than their case. */
function below(folder: string, path: string, paths: PlatformPath = nodePath): string | undefined {
  const way = paths.relative(folder, path)
  return paths.isAbsolute(way) || way.split(paths.sep)[0] === '..' ? undefined : way
}

function chosen(item: CleaningItem, accept: boolean): CleaningItem {
  if (!accept || item.suggested === undefined || item.action !== 'keep') return item
  return { ...item, action: 'relabel', to: item.suggested }
}

interface Asked {
  readonly apply: boolean
  readonly accept: boolean
  readonly suggested: number
}

function summary(moves: readonly CleaningMove[], { apply, accept, suggested }: Asked): string {
  if (moves.length === 0) {
    const hint = accept || suggested === 0 ? '' : `; --accept takes the ${suggested} suggested labels`
    return `nothing to move: no image of the list has an action that is still to be done${hint}`
  }
  const deleted = moves.filter(({ action }) => action === 'delete').length
  const counts = `${moves.length - deleted} into the folder of another class, ${deleted} into the trash`
  return apply ? `moved: ${counts}` : `nothing was moved yet: ${counts}; --apply does it`
}
