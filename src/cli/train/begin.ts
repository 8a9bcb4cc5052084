import { resolve } from 'node:path'
import { DataError } from '../../base/errors.ts'
import { jsonText } from '../../base/json.ts'
import { plainName } from '../../base/plain-name.ts'
import {
  csvLine,
  type FolderImage,
  type ImageFolder,
  type ImageFolderOptions,
  type Side,
  type Survey,
} from '../../exports/data.ts'
import type { Pretrained } from '../../exports/train.ts'
import type { Gpu } from '../../node.ts'
import type { Files, Platform } from '../../platform/platform.ts'
import { OPTIONS_FILE, requireNoRun, RunFolder, RUNS } from '../../platform/node/run-folder.ts'
import { quoted } from '../../platform/node/terminal.ts'
import { countsOf, decoderOf, lookJson, lookText } from '../look.ts'
import { invocation, type Output } from '../output.ts'
import { FILES } from './files.ts'
import { requireThresholdFor, settingsOf, type Begun, type Settings, type TrainOptions } from './options.ts'
import { requireShareFor, splitOf } from './split.ts'

/** Options of a new run, the images that were found for it, and its pretrained weights. */
export interface Beginning {
  readonly options: TrainOptions
  readonly survey: Survey
  readonly pretrained: Pretrained | undefined
}

/**
 * Requires the options to fit the images and the folder of the results, before the long work.
 *
 * @throws OptionError  if an option is not for such images, or there is a run in the folder
 * @throws DataError  if the folder cannot be written to
 */
export async function requireFitting(files: Files, options: TrainOptions, folder: ImageFolder): Promise<void> {
  requireShareFor(folder, options.valid)
  requireThresholdFor(folder.targets.kind, options.threshold)
  await requireNoRun(options.out, `${invocation()} train --resume`)
  await files.requireWritable?.(files.join(options.out ?? RUNS, OPTIONS_FILE))
}

/** Begins a run: prints the look, fills in the defaults, and writes what the run is made of. */
export async function begin(output: Output, gpu: Gpu, beginning: Beginning): Promise<RunFolder> {
  const { platform } = output
  const { options, survey, pretrained } = beginning
  const fatal = survey.findings.find(({ severity }) => severity === 'error')
  if (fatal) throw new DataError(options.folder, fatal.text)
  const split = splitOf(survey, options)
  const counts = countsOf(survey, (path) => split.sideOf(path))
  const lookedAt = lookJson(survey, counts)
  output.document({ event: 'look', ...lookedAt })
  const text = lookText(survey, counts, split.text)
  const settings = settingsOf(options, {
    survey,
    // Not those of the classes, as an image may have several labels, and numbers have none.
    trainingImages: survey.images.filter(({ path }) => split.sideOf(path) === 'train').length,
    software: gpu.software,
    decoder: await decoderOf(platform, options.decoder),
    pretrained,
  })
  // Another one may have begun there meanwhile.
  await requireNoRun(options.out, `${invocation()} train --resume`)
  const run = await RunFolder.open(options.out, platform.log)
  const images = imagesCsv(survey, settings, (path) => split.sideOf(path))
  const { table } = survey.folder
  const begun: Begun = {
    settings,
    started: new Date().toISOString(),
    look: lookedAt,
    images: await platform.sha256(images),
    ...(table !== undefined && { table: { file: resolve(table), sha256: await fileDigest(platform, table) } }),
  }
  await run.write(FILES.images, images)
  await run.write(OPTIONS_FILE, `${jsonText({ ...begun, settings: { ...settings } })}\n`)
  output.keepLog(run.file(FILES.log))
  output.say(text)
  return run
}

async function fileDigest({ files, sha256 }: Platform, file: string): Promise<string> {
  return sha256(await files.read(file))
}

/**
 * Requires the table of a run's images as it was written; tells if the table of labels has changed, which is not read again.
 *
 * @throws DataError  if the table of the run has changed
 */
export async function requireSameTable(output: Output, run: RunFolder, { images, table }: Begun): Promise<void> {
  const { platform } = output
  const file = run.file(FILES.images)
  const kept = await fileDigest(platform, file).catch(() => undefined)
  if (kept === undefined || (images !== undefined && kept !== images)) {
    throw new DataError(file, `the table has ${kept === undefined ? 'gone' : 'changed'} since the run was begun`, {
      expected: 'the images and labels that the interrupted run was trained on',
      fix:
        kept === undefined
          ? 'restore it, or begin a run anew, without --resume'
          : `restore it, or begin a run with it as it is: ${invocation()} train FOLDER --csv ${quoted(file)}`,
    })
  }
  if (table === undefined) return
  const now = await fileDigest(platform, table.file).catch(() => undefined)
  if (now === table.sha256) return
  output.say(
    `${table.file} has ${now === undefined ? 'gone' : 'changed'} since the run was begun, which goes on with the labels of then (${FILES.images}); a new run takes those of now`,
  )
}

/** Columns of the table of a run beside those of the labels. */
const [PATH_COLUMN, SIDE_COLUMN, REASON_COLUMN] = ['path', 'side', 'reason']

/** Returns the column of some numbers in the table of a run: their name, unless another column would be taken for it. */
function columnOf(name: string): string {
  return [PATH_COLUMN, SIDE_COLUMN, REASON_COLUMN].includes(plainName(name)) ? `number ${name}` : name
}

/** Returns the options of `readImageFolder` for the table of a run. */
export function runTable(run: RunFolder, { targets, numbers, separator }: Settings): ImageFolderOptions {
  return {
    csv: run.file(FILES.images),
    imageColumn: PATH_COLUMN,
    labelColumn: numbers.length > 0 ? numbers.map(columnOf) : 'label',
    targets,
    ...(separator === null ? {} : { separator }),
  }
}

/** Formats which image belongs where; it is read again as the table of a continued run. */
function imagesCsv(
  survey: Survey,
  { numbers, separator }: Settings,
  sideOf: (path: string) => Side | undefined,
): string {
  const labels = numbers.length > 0 ? numbers.map(columnOf) : ['label']
  const cells = ({ target }: FolderImage) =>
    typeof target === 'string' ? [target] : separator === null ? target : [target.join(separator)]
  const rows = [
    ...survey.images.map((image) => [image.name, ...cells(image), sideOf(image.path), '']),
    ...survey.leftOut.map((image) => [image.name, ...cells(image), 'left out', image.reason]),
    ...survey.folder.apart
      .filter(({ kind }) => kind !== 'no-file')
      .flatMap(({ names, text }) => names.map((name) => [name, ...labels.map(() => ''), 'left out', text])),
  ]
  return [[PATH_COLUMN, ...labels, SIDE_COLUMN, REASON_COLUMN], ...rows].map(csvLine).join('')
}
