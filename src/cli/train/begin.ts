import { DataError, OptionError } from '../../base/errors.ts'
import { jsonText } from '../../base/json.ts'
import { csvLine, type FolderImage, type ImageFolderOptions, type Side, type Survey } from '../../exports/data.ts'
import type { Pretrained } from '../../exports/train.ts'
import type { Gpu } from '../../node.ts'
import { RunFolder } from '../../platform/node/run-folder.ts'
import { requireTrainable } from '../check.ts'
import { countsOf, decoderOf, lookJson, lookText } from '../look.ts'
import { invocation, quoted, type Output } from '../output.ts'
import { FILES } from './files.ts'
import { OPTIONS_FILE, settingsOf, type Begun, type Settings, type TrainOptions } from './options.ts'
import { splitOf } from './split.ts'

/** Options of a new run, the images that were found for it, and its pretrained weights. */
export interface Beginning {
  readonly options: TrainOptions
  readonly survey: Survey
  readonly pretrained: Pretrained | undefined
}

/** Begins a run: prints the look, fills in the defaults, and writes what the run is made of. */
export async function begin(output: Output, gpu: Gpu, beginning: Beginning): Promise<RunFolder> {
  const { platform } = output
  const { options, survey, pretrained } = beginning
  requireTrainable(options.folder, survey.findings)
  const split = splitOf(survey, { valid: options.valid.share, seed: String(options.seed) })
  const counts = countsOf(survey, (path) => split.sideOf(path))
  const lookedAt = lookJson(survey, counts)
  output.document({ event: 'look', ...lookedAt })
  const text = lookText(survey, counts, split.text)
  for (const side of ['train', 'valid'] as const) {
    if (survey.images.some(({ path }) => split.sideOf(path) === side)) continue
    throw new DataError(options.folder, `there is no image to ${side === 'train' ? 'train' : 'measure'} on`, {
      fix: 'put images into both folders, or leave the division to --valid 0.2',
    })
  }
  const settings = settingsOf(options, {
    survey,
    trainingImages: counts.reduce((sum, { train }) => sum + train, 0),
    software: gpu.software,
    decoder: await decoderOf(platform, options.decoder),
    pretrained,
  })
  if (options.out !== undefined && (await platform.files.exists(platform.files.join(options.out, OPTIONS_FILE)))) {
    throw new OptionError('--out', 'there is a run in this folder already', {
      given: { out: options.out },
      fix: `name another folder, or continue that run: ${invocation()} train --resume ${quoted(options.out)}`,
    })
  }
  const run = await RunFolder.open(options.out, platform.log)
  const begun: Begun = { settings, started: new Date().toISOString(), look: lookedAt }
  await run.write(
    FILES.images,
    imagesCsv(survey, settings, (path) => split.sideOf(path)),
  )
  await run.write(OPTIONS_FILE, `${jsonText({ ...begun, settings: { ...settings } })}\n`)
  output.keepLog(run.file(FILES.log))
  output.say(text)
  return run
}

/** Column of the images in the table of a run. */
const PATH_COLUMN = 'path'

/** Returns the options of `readImageFolder` for the table of a run. */
export function runTable(run: RunFolder, { targets, numbers, separator }: Settings): ImageFolderOptions {
  return {
    csv: run.file(FILES.images),
    imageColumn: PATH_COLUMN,
    labelColumn: numbers.length > 0 ? numbers : 'label',
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
  const labels = numbers.length > 0 ? numbers : ['label']
  const cells = ({ target }: FolderImage) =>
    typeof target === 'string' ? [target] : separator === null ? target : [target.join(separator)]
  const rows = [
    ...survey.images.map((image) => [image.name, ...cells(image), sideOf(image.path), '']),
    ...survey.leftOut.map((image) => [image.name, ...cells(image), 'left out', image.reason]),
    ...survey.folder.apart
      .filter(({ kind }) => kind !== 'no-file')
      .flatMap(({ names, text }) => names.map((name) => [name, ...labels.map(() => ''), 'left out', text])),
  ]
  return [[PATH_COLUMN, ...labels, 'side', 'reason'], ...rows].map(csvLine).join('')
}
