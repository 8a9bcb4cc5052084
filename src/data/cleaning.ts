/** Cleaning list: what is to be done with the images of a data set, as data that a report, a page or a person fills in. */
import { DataError, OptionError } from '../base/errors.ts'
import { isRecord, jsonText, parseRecord, type Json } from '../base/json.ts'
import {
  ANY,
  checkArgument,
  checkOptions,
  FLAG,
  nearest,
  oneOfTexts,
  PATH,
  type Kind,
  type Kinds,
} from '../base/options.ts'
import { currentGpu } from '../gpu/device.ts'
import type { Files, Platform } from '../platform/platform.ts'
import { folderLabel, sameSpelling } from './targets.ts'
import { separatorOf } from './items.ts'

/** Action for one image: leave it, move it into the folder of another label, or move it into the trash. */
export type CleaningAction = 'keep' | 'relabel' | 'delete'

/** Image of a cleaning list. */
export interface CleaningItem {
  readonly path: string
  readonly split: 'train' | 'valid'
  /** Label that the image has. */
  readonly label: string
  /** Label with the largest probability; `not a number` where the model computed NaN. */
  readonly predicted: string
  /** Probability of the predicted label; NaN where the model computed NaN. */
  readonly probability: number
  readonly loss: number
  /** Label that the predictions suggest in place of the present one; absent where they suggest none. */
  readonly suggested?: string | undefined
  /** Action to apply. Initially 'keep' */
  action: CleaningAction
  /** Label to give to the image, if the action is 'relabel'. */
  to?: string | undefined
}

/** Images of a data set with the action for each, which `applyCleaning` carries out. */
export interface CleaningList {
  readonly kind: 'wgrad cleaning list'
  readonly version: 1
  /** Labels of the data set. */
  readonly vocab: readonly string[]
  /** Images by label, then split, then loss, the largest first. */
  readonly items: readonly CleaningItem[]
}

const KIND = 'wgrad cleaning list'
const VERSION = 1
const ACTIONS: readonly CleaningAction[] = ['keep', 'relabel', 'delete']

/** Makes a cleaning list of items. */
export function makeCleaningList(vocab: readonly string[], items: readonly CleaningItem[]): CleaningList {
  return { kind: KIND, version: VERSION, vocab: [...vocab], items }
}

/** Formats a cleaning list as JSON, which `parseCleaningList` reads. Losses that are not finite are kept. */
export function cleaningListText(list: CleaningList): string {
  return jsonText(list as unknown as Json)
}

/** Check of each field of an item. */
const FIELDS: readonly (readonly [keyof CleaningItem, expected: string, is: (value: unknown) => boolean])[] = [
  ['path', 'a path', (value) => typeof value === 'string' && value !== ''],
  ['split', "'train' or 'valid'", (value) => value === 'train' || value === 'valid'],
  ['label', 'a text', (value) => typeof value === 'string'],
  ['predicted', 'a text', (value) => typeof value === 'string'],
  ['probability', 'a number', isNumber],
  ['loss', 'a number', isNumber],
  ['suggested', 'a text, or nothing', isTextOrNothing],
  ['action', "'keep', 'relabel' or 'delete'", (value) => ACTIONS.includes(value as CleaningAction)],
  ['to', 'a text, or nothing', isTextOrNothing],
]

/** `JSON.stringify` writes numbers that are not finite as null. */
function isNumber(value: unknown): boolean {
  return typeof value === 'number' || value === null
}

function isTextOrNothing(value: unknown): boolean {
  return value === undefined || value === null || typeof value === 'string'
}

/**
 * Reads a cleaning list from JSON, whether `cleaningListText` or `JSON.stringify` wrote it.
 *
 * @param name  name of the text in errors, such as its path. Default 'cleaning list'
 * @throws DataError  naming the first entry that is missing or invalid
 */
export function parseCleaningList(text: string, name = 'cleaning list'): CleaningList {
  const fix = 'write it with cleaningListText(list)'
  const record = parseRecord(name, text, fix)
  const { kind, version, vocab, items } = record
  if (kind !== KIND || version !== VERSION || !isList(vocab) || !isList(items)) {
    throw new DataError(name, 'this is not a cleaning list', {
      given: { kind: jsonText(kind ?? null), version: jsonText(version ?? null) },
      expected: `{ kind: '${KIND}', version: ${VERSION}, vocab: […], items: […] }`,
      fix,
    })
  }
  return makeCleaningList(
    vocab.map(String),
    items.map((item, i) => {
      for (const [field, expected, is] of FIELDS) {
        const value = isRecord(item) ? item[field] : undefined
        if (is(value)) continue
        throw new DataError(name, `item ${i} has an invalid ${field}`, {
          given: { [field]: value === undefined ? 'missing' : jsonText(value) },
          expected,
        })
      }
      const { probability, loss, suggested, to, ...rest } = item as unknown as CleaningItem
      return {
        ...rest,
        probability: probability ?? NaN,
        loss: loss ?? NaN,
        ...(typeof suggested === 'string' ? { suggested } : {}),
        ...(typeof to === 'string' ? { to } : {}),
      }
    }),
  )
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}

/** Options of `applyCleaning`. */
export interface ApplyCleaningOptions {
  /**
   * Folder that deleted images are moved to, below it in the folders where they were. Default: `.trash` in `folder` or
   * the folder of the class folders, which `getImageFiles` leaves out
   */
  readonly trash?: string
  /**
   * Folder of the data set. With it images may be in folders below that of their class, which they keep:
   * `cat/summer/1.jpg` becomes `dog/summer/1.jpg`. Default: the folder around each image is that of its class
   */
  readonly folder?: string
  /** True to return the moves without making them. Default false */
  readonly dryRun?: boolean
  /**
   * Handling of names that are taken in the folder an image is moved to: 'refuse' all of the list before anything is
   * moved, or 'number' the new name, as in `1 (2).jpg`. Default 'refuse'
   */
  readonly onConflict?: 'refuse' | 'number'
  /** Default: that of the open GPU */
  readonly platform?: Pick<Platform, 'files'>
}

const KINDS: Kinds<ApplyCleaningOptions> = {
  trash: PATH,
  folder: PATH,
  dryRun: FLAG,
  onConflict: oneOfTexts('refuse', 'number'),
  platform: ANY,
}
const LIST: Kind = {
  expected: 'a cleaning list, such as `await cleaningList(learner)`',
  is: (value) => isRecord(value) && Array.isArray(value.items) && Array.isArray(value.vocab),
}

/** Move of one file by `applyCleaning`. */
export interface CleaningMove {
  readonly action: 'relabel' | 'delete'
  readonly from: string
  readonly to: string
}

/** Paths that an error names. */
const SHOWN = 5

/**
 * Carries out a cleaning list: moves relabeled images into the folder of their new label, and deleted ones into the
 * trash, from where they can be moved back. Nothing is overwritten: all moves are checked before the first is made. A list
 * that was interrupted can be applied again; moves that were made are left out then.
 *
 *   const list = await cleaningList(learner)
 *   for (const item of list.items) if (item.suggested) Object.assign(item, { action: 'relabel', to: item.suggested })
 *   await applyCleaning(list)
 *
 * Labels must be the names of folders, as with `parentLabel`.
 *
 * @returns the moves in the order of the list
 * @throws OptionError  for a label that is unknown or not the name of the image's folder
 * @throws DataError    if a file is missing, a name is taken, or a file cannot be moved
 * Source: fastai vision/widgets.py, ImageClassifierCleaner (which deletes files at once).
 */
export async function applyCleaning(list: CleaningList, options: ApplyCleaningOptions = {}): Promise<CleaningMove[]> {
  checkArgument('applyCleaning', 'list', list, LIST)
  checkOptions('applyCleaning', options, KINDS)
  const { dryRun = false } = options
  const { files } = options.platform ?? currentGpu().platform
  if (!files.move) {
    throw new OptionError('applyCleaning', 'files cannot be moved here', {
      fix: 'save the list, cleaningListText(list), and apply it where the files are',
    })
  }
  const planned = await plan(list, files, options)
  const moves = planned.filter(({ done }) => !done)
  if (!dryRun) {
    for (const { from, to } of moves) await files.move(from, to)
  }
  return moves.map(({ action, from, to }) => ({ action, from, to }))
}

type PlannedMove = CleaningMove & { readonly done: boolean }

async function plan(list: CleaningList, files: Files, options: ApplyCleaningOptions): Promise<PlannedMove[]> {
  const chosen = list.items.filter(({ action }) => action !== 'keep')
  requireOnce(chosen)
  // As `getImageFiles` writes it in the paths of images: `./photos` and `.` are no part of them, and Windows has backslashes.
  const within = options.folder === undefined ? undefined : files.join(options.folder).replace(/^\.[/\\]?$/, '')
  if (within !== undefined) requireWithin(within, list.items)
  const root = within ?? commonFolder(list.items.map(({ path }) => placeOf(path).parent))
  const { trash = files.join(root, '.trash'), onConflict = 'refuse' } = options
  const folderOf = folderFinder(files)
  const relabeled = async (item: CleaningItem, { parent, folder, name }: Place) =>
    files.join(parent, await folderOf(parent, newLabel(item, folder, list.vocab)), name)
  const taken = new Set<string>()
  const missing: string[] = []
  const occupied: string[] = []
  const moves: PlannedMove[] = []
  for (const item of chosen) {
    const target =
      item.action === 'delete'
        ? files.join(trash, ...below(root, item.path))
        : await relabeled(item, within === undefined ? placeOf(item.path) : placeBelow(within, item))
    const action = item.action as CleaningMove['action']
    if (target === item.path) continue
    if (!(await files.exists(item.path))) {
      let to = target
      // It may have been given a number for the sake of a file that has been moved itself since.
      const most = onConflict === 'number' ? chosen.length : 0
      for (let n = 2; n < most + 2 && !(await files.exists(to)); n++) to = numbered(target, n)
      if (await files.exists(to)) moves.push({ action, from: item.path, to, done: true })
      else missing.push(item.path)
      continue
    }
    const isTaken = async (path: string) => taken.has(path) || (await files.exists(path))
    let to = target
    if (onConflict === 'number') {
      for (let n = 2; await isTaken(to); n++) to = numbered(target, n)
    } else if (await isTaken(to)) {
      occupied.push(`${item.path} → ${to}`)
    }
    taken.add(to)
    moves.push({ action, from: item.path, to, done: false })
  }
  if (missing.length > 0) {
    throw new DataError(missing[0], 'the file is not there', {
      given: { missing: shown(missing) },
      fix: 'make the list again, pass it with paths as they are from here, or name the trash that they are in already',
    })
  }
  if (occupied.length > 0) {
    throw new DataError('applyCleaning', 'files of these names exist already, so nothing was moved', {
      given: { taken: shown(occupied) },
      fix: "pass { onConflict: 'number' } to give other names",
    })
  }
  return moves
}

function requireOnce(items: readonly CleaningItem[]): void {
  const seen = new Set<string>()
  const twice = items.find(({ path }) => seen.size === seen.add(path).size)
  if (twice) throw new OptionError('applyCleaning', 'an image is in the list twice', { given: { path: twice.path } })
}

/** @throws OptionError  if the label is missing or unknown, or the present one is not the name of the folder */
function newLabel({ path, label, to }: CleaningItem, folder: string, vocab: readonly string[]): string {
  if (folderLabel(folder) !== folderLabel(label)) {
    throw new OptionError(
      'applyCleaning',
      'the label of an image is not the name of its folder, so moving it would not change it',
      {
        given: { path, label },
        fix: 'change the label where it comes from, such as the table of labels',
      },
    )
  }
  const known = to !== undefined && vocab.some((one) => sameSpelling(one) === sameSpelling(to))
  if (known) return to
  const near = to === undefined ? undefined : nearest(to, vocab)
  throw new OptionError('applyCleaning', to === undefined ? 'the new label is missing' : `there is no label '${to}'`, {
    given: { path },
    expected: `to: one of ${vocab.slice(0, 12).join(', ')}${vocab.length > 12 ? ', …' : ''}`,
    fix: near && `write '${near}'`,
  })
}

/** Finds the folder of a label, whose name may be spelled with other code points, or have spaces around it (see `folderLabel`). */
function folderFinder(files: Files): (parent: string, label: string) => Promise<string> {
  const known = new Map<string, Promise<string[]>>()
  const list = async (parent: string) => {
    const entries = await files.list(parent)
    return entries.filter(({ kind }) => kind === 'folder').map(({ name }) => name)
  }
  return async (parent, label) => {
    const folders = known.get(parent) ?? list(parent)
    known.set(parent, folders)
    return (await folders).find((name) => folderLabel(name) === folderLabel(label)) ?? label
  }
}

/** Parts of the path of an image: `parent/folder/name`, where the name may have folders before it. */
interface Place {
  readonly parent: string
  readonly folder: string
  readonly name: string
}

/** @throws OptionError  if an image is not in the folder of the data set */
function requireWithin(root: string, items: readonly CleaningItem[]): void {
  const outside = items.find(({ path }) => !isWithin(root, path))
  if (outside === undefined) return
  throw new OptionError('applyCleaning', 'an image of the list is not in the folder', {
    given: { folder: root, path: outside.path },
    fix: 'name the folder that the list was made of',
  })
}

/**
 * Divides the path of an image at the folder with the name of its label, somewhere below the folder of the data set; at
 * the folder around the image where no folder has that name.
 *
 * @throws OptionError  if several folders have it, as any of them could be the label
 */
function placeBelow(root: string, { path, label }: CleaningItem): Place {
  const folders = below(root, path).slice(0, -1)
  const named = folders.filter((folder) => folderLabel(folder) === folderLabel(label)).length
  if (named > 1) {
    throw new OptionError('applyCleaning', 'several folders around an image have the name of its label', {
      given: { path, label },
      fix: 'move this image yourself, and set its action to keep',
    })
  }
  let { parent, folder, name } = placeOf(path)
  if (named === 0) return { parent, folder, name }
  while (folderLabel(folder) !== folderLabel(label)) {
    name = `${folder}/${name}`
    ;[parent, folder] = cut(parent)
  }
  return { parent, folder, name }
}

function placeOf(path: string): Place {
  const [rest, name] = cut(path)
  const [parent, folder] = cut(rest)
  return { parent, folder, name }
}

/** Splits a path before its last name. The root stays a separator, as '' is the current folder. */
function cut(path: string): readonly [before: string, last: string] {
  const at = Math.max(...[...path.matchAll(separatorOf(path))].map(({ index }) => index), -1)
  return [path.slice(0, at === 0 ? 1 : Math.max(0, at)), path.slice(at + 1)]
}

/** Longest folder that all folders are in, or the same as. */
function commonFolder(folders: readonly string[]): string {
  const [first = '', ...rest] = new Set(folders)
  let common = first
  while (rest.some((other) => !isWithin(common, other))) {
    const [around] = cut(common)
    common = around === common ? '' : around
  }
  return common
}

function isWithin(folder: string, other: string): boolean {
  const named = folder.replace(/[/\\]$/, '')
  return folder === '' || other === folder || (other.startsWith(named) && /^[/\\]/.test(other.slice(named.length)))
}

/** Names of the folders between a folder and another within it. */
function below(folder: string, other: string): string[] {
  return other
    .slice(folder.length)
    .split(separatorOf(other))
    .filter((name) => name !== '')
}

/** Puts a number before the suffix of a path. */
function numbered(path: string, n: number): string {
  const [, name] = cut(path)
  const [, stem, suffix = ''] = /^(.+?)(\.[^.]*)?$/s.exec(name) as RegExpExecArray
  return `${path.slice(0, path.length - name.length)}${stem} (${n})${suffix}`
}

function shown(paths: readonly string[]): string {
  return paths.slice(0, SHOWN).join(', ') + (paths.length > SHOWN ? `, … (${paths.length})` : '')
}
