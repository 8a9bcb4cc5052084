import { cpus } from 'node:os'
import { formatBytes } from '../../src/base/format.ts'
import { nodeFiles } from '../../src/platform/node/files.ts'
import { DataError, Interrupted, type Callback, type Gpu, type Learner } from '../../src/node.ts'
import type { ItemPredictions } from '../../src/exports/train.ts'
import type { ChannelStats } from '../../src/exports/data.ts'
import { TRACKS } from '../../src/tensor/track.ts'
import type { DataSource } from './data-source.ts'
import { NOTEBOOK, scaleOf } from './notebook.ts'
import { SECTIONS, type Options, type Section } from './options.ts'
import { renderReport } from './report/report.ts'
import {
  accuracyOf,
  guessing,
  intervalOf,
  hasLearnt,
  historyCsv,
  parseResults,
  stepLines,
  type ReportedSection,
  type Results,
  type SectionResult,
} from './results.ts'
import { OPTIONS_FILE, requireNoRun, RunFolder } from '../../src/platform/node/run-folder.ts'
import { quoted } from '../../src/platform/node/terminal.ts'
import { epochResult } from '../../src/train/report/figures.ts'
import { SectionLog, withOwnLosses } from './section-log.ts'
import { versions } from '../machine/versions.ts'

/** Sections that continue the training of another one. */
const NEEDS: Partial<Record<Section, Section>> = { 'larger-images': 'small-images', tta: 'larger-images' }

const RESULTS_FILE = 'results.json'
const REPORT_FILE = 'report.html'
const MODEL_FILE = 'model.safetensors'

/** Results that a section reports at its end. */
export interface ReportOptions {
  /** Predictions for the validation items. Default: computed by the learner */
  readonly predictions?: ItemPredictions
  /** Accuracy of predictions averaged over random transforms; it then is the accuracy of the section. */
  readonly ttaAccuracy?: number
  /** Callbacks that change batches, shown in the report beside those of the section. */
  readonly beside?: readonly Callback[]
}

/** Function that a section calls at its end with the learner it trained. */
export type Report = (learner: Learner, options?: ReportOptions) => Promise<void>

/** Value that a section passes to a later one. */
export interface Shared<Value> {
  value: Value | undefined
  /** @throws Error  if the section that provides the value did not run */
  get(): Value
}

/** One run of the lesson: selects the sections, prints around them, and writes their files. */
export class LessonRun {
  /** Callback that every learner must have. */
  readonly sectionLog = new SectionLog()
  private readonly gpu: Gpu
  private readonly options: Options
  private readonly folder: RunFolder
  private readonly started = new Date()
  private readonly wanted: ReadonlySet<Section>
  private readonly sections: ReportedSection[] = []
  private data: DataSource | undefined
  private interrupted = false
  private current: Section | undefined
  private hasModel = false
  /** Results of an interrupted run that this one resumes. */
  private readonly before: Results | undefined

  /**
   * Opens the folder of a run, before anything else, since this is what would fail first.
   *
   * @returns `undefined` if the run to resume is finished
   * @throws OptionError  if there is a run in the folder of a new one
   * @throws DataError  if the folder cannot be written to, or another run writes to it
   */
  static async open(gpu: Gpu, options: Options): Promise<LessonRun | undefined> {
    const { log } = gpu.platform
    if (!options.resume) await requireNoRun(options.out, 'npm run imagenette -- --resume')
    const folder = await RunFolder.open(options.out, log)
    const wanted = withNeeds(options.sections)
    const before = options.resume ? await resultsBefore(folder) : undefined
    if (before && (await isOver(folder, before, wanted))) {
      log(
        `${folder.path} is the folder of a run that is over: there is nothing to continue. Its report is ${folder.file(REPORT_FILE)}`,
      )
      await folder.remove(SECTIONS.map(checkpointOf))
      await folder.close()
      return undefined
    }
    if (!options.resume) await folder.write(OPTIONS_FILE, `${JSON.stringify(options, null, 2)}\n`)
    return new LessonRun(gpu, options, folder, wanted, before)
  }

  private constructor(
    gpu: Gpu,
    options: Options,
    folder: RunFolder,
    wanted: ReadonlySet<Section>,
    before: Results | undefined,
  ) {
    this.gpu = gpu
    this.options = options
    this.folder = folder
    this.wanted = wanted
    this.before = before
    const { log } = gpu.platform
    log(
      gpu.software
        ? `${gpu.name}: a software adapter, ${cpus().length} cores. Speeds below are those of a processor, not of a GPU.`
        : gpu.name,
    )
    log(`profile ${options.profile}, ${options.fp32 ? 'single' : 'mixed'} precision, seed ${options.seed}`)
  }

  begin(data: DataSource): void {
    this.data = data
    this.gpu.platform.log(`images: ${data.name}`)
  }

  /** Checkpoint options for every fit of a section, so that an interrupted run can be resumed after any epoch. */
  get checkpoint(): { readonly checkpoint: string; readonly resume: boolean } {
    if (!this.current) throw new Error('a fit outside of all sections')
    return { checkpoint: this.folder.file(checkpointOf(this.current)), resume: this.options.resume }
  }

  shared<Value>(): Shared<Value> {
    const shared: Shared<Value> = {
      value: undefined,
      get() {
        if (shared.value === undefined) throw new Error('a section that this one continues has not run')
        return shared.value
      },
    }
    return shared
  }

  /** Prints the statistics of a batch in the form of the notebook. */
  printStats({ mean, std }: ChannelStats): void {
    const text = (values: readonly number[]) => `[${values.map((value) => value.toFixed(4).padStart(7)).join(', ')}]`
    this.gpu.platform.log(`x.mean ${text(mean)}  x.std ${text(std)}`)
  }

  /**
   * Runs a section on images of `size` pixels, unless it is not selected or the run was interrupted, and records its
   * report.
   */
  async section(name: Section, size: number, work: (report: Report) => Promise<void>): Promise<void> {
    if (!this.wanted.has(name) || this.interrupted) return
    const { platform, queue, buffers } = this.gpu
    platform.log(`\n${name}`)
    this.current = name
    const before = { ...queue.counts }
    const start = platform.now()
    buffers.peakUsedBytes = buffers.usedBytes
    this.sectionLog.begin(name)
    try {
      await work(async (learner, { predictions, ttaAccuracy, beside = [] } = {}) => {
        this.interrupted = learner.interrupted
        const result = this.resultOf(name, size, learner, (platform.now() - start) / 1000, ttaAccuracy)
        const { images, batchSize, gpuMemoryBytes } = result
        platform.log(
          `${images.train} + ${images.valid} images, ${size} px, batch ${batchSize}; ` +
            `GPU memory ${formatBytes(gpuMemoryBytes)} at most, ` +
            `${queue.counts.launches - before.launches} launches in ${queue.counts.submits - before.submits} submits`,
        )
        platform.log(verdict(result))
        const averaged = predictions && ttaAccuracy !== undefined ? withOwnLosses(predictions) : predictions
        const judged = this.interrupted ? undefined : (averaged ?? (await learner.getPredictions()))
        this.sections.push({ ...result, ...(await this.sectionLog.details(learner, judged, beside)) })
      })
    } catch (error) {
      // Ctrl-C during predictions.
      if (!(error instanceof Interrupted)) throw error
      this.interrupted = true
    }
    await this.write()
  }

  /** Writes the model of a section for `npm run predict`, unless the section was interrupted. */
  async keepModel(learner: Learner): Promise<void> {
    if (this.interrupted) return
    await this.folder.attempt(MODEL_FILE, async () => {
      await learner.export(this.folder.file(MODEL_FILE))
      this.hasModel = true
    })
  }

  async end(): Promise<void> {
    const { platform } = this.gpu
    if (this.sections.length > 1) platform.log(`\n${summary(this.sections)}`)
    for (const line of scaleNotes(this.sections)) platform.log(line)
    if (this.data?.isSample) platform.log('Trained on the generated sample: these are not accuracies on Imagenette.')
    const { folder, interrupted } = this
    const { unwritten } = folder
    if (unwritten.length === 0) {
      platform.log(`written: ${folder.file(REPORT_FILE)}, and beside it ${RESULTS_FILE}, history.csv and steps.jsonl`)
    } else platform.log(`NOT written in ${folder.path}: ${unwritten.join(', ')}`)
    if (this.hasModel) {
      platform.log(`to use the model of larger-images: npm run predict -- ${folder.file(MODEL_FILE)} image.jpg`)
    }
    await this.gpu.writeProfile(TRACKS)
    if (interrupted || unwritten.length > 0) platform.log(`to continue: npm run imagenette -- --resume ${folder.path}`)
    // Checkpoints are large and only needed to resume the run.
    else await folder.remove(SECTIONS.map(checkpointOf))
    await folder.close()
    if (interrupted) process.exitCode = 130
    else if (unwritten.length > 0 || !this.sections.every(hasLearnt)) process.exitCode = 1
    await platform.decoder.close()
    this.gpu.close()
  }

  private resultOf(
    name: Section,
    size: number,
    learner: Learner,
    seconds: number,
    ttaAccuracy: number | undefined,
  ): SectionResult {
    const { loaders, recorder, model, precision, loss } = learner
    const { accuracy } = NOTEBOOK[name]
    const before = this.before?.sections.find((section) => section.name === name)
    return {
      name,
      model: model.architecture?.name ?? 'network',
      parameters: model.parameters().reduce((sum, { count }) => sum + count, 0),
      precision,
      loss: loss.name,
      size,
      batchSize: loaders.batchSize,
      images: { train: loaders.train.items.length, valid: loaders.valid.items.length },
      decoding: loaders.train.pictures.decoding,
      classes: loaders.vocab.length,
      epochs: recorder.rows.map(epochResult),
      ...(ttaAccuracy === undefined ? {} : { ttaAccuracy }),
      seconds: (before?.seconds ?? 0) + seconds,
      gpuMemoryBytes: Math.max(before?.gpuMemoryBytes ?? 0, this.gpu.buffers.peakUsedBytes),
      notebook: accuracy === undefined ? {} : { accuracy },
    }
  }

  private async write(): Promise<void> {
    const { gpu, options, data, sections } = this
    if (!data) throw new DataError('results.json', 'there is nothing to write before the data are known')
    const run = {
      adapter: gpu.name,
      software: gpu.software,
      precision: options.fp32 ? 'f32' : 'mixed',
      seed: options.seed,
      data: data.name,
      isSample: data.isSample,
      profile: options.profile,
      command: this.before?.command ?? commandLine(process.argv.slice(2)),
      versions: versions(),
      started: this.before?.started ?? this.started.toISOString(),
      interrupted: this.interrupted,
    } as const
    const results: Results = {
      ...run,
      sections: sections.map(({ fits, imageGroups, confusion, mostWrong, ...result }) => result),
    }
    // The results are written last: once they cover all sections, the run is finished.
    const contents: readonly (readonly [name: string, content: () => string | Promise<string>])[] = [
      ['history.csv', () => historyCsv(sections)],
      ['steps.jsonl', () => stepLines(sections)],
      [REPORT_FILE, () => renderReport({ ...run, sections })],
      [RESULTS_FILE, () => `${JSON.stringify(results, null, 2)}\n`],
    ]
    for (const [name, content] of contents) {
      await this.folder.attempt(name, async () => this.folder.write(name, await content()))
    }
  }
}

function checkpointOf(section: Section): string {
  return `${section}.checkpoint`
}

async function resultsBefore(folder: RunFolder): Promise<Results | undefined> {
  const file = folder.file(RESULTS_FILE)
  if (!(await nodeFiles.exists(file))) return undefined
  const fix = 'remove it: the run goes on from its checkpoints, only its times so far are lost'
  return parseResults(file, await nodeFiles.readText(file), fix)
}

/** Returns true if the results of a run cover all selected sections. */
async function isOver(
  folder: RunFolder,
  { interrupted, sections }: Results,
  wanted: ReadonlySet<Section>,
): Promise<boolean> {
  const files = [REPORT_FILE, ...(wanted.has('larger-images') ? [MODEL_FILE] : [])]
  const told = [...wanted].every((name) => sections.some((section) => section.name === name))
  return (
    !interrupted &&
    told &&
    (await Promise.all(files.map((name) => nodeFiles.exists(folder.file(name))))).every((there) => there)
  )
}

function withNeeds(sections: readonly Section[]): ReadonlySet<Section> {
  const all = new Set<Section>()
  for (const section of sections) for (let next: Section | undefined = section; next; next = NEEDS[next]) all.add(next)
  return new Set(SECTIONS.filter((section) => all.has(section)))
}

/** Returns the command line that repeats a run. */
function commandLine(argv: readonly string[]): string {
  return ['npm run imagenette', ...(argv.length > 0 ? ['--', ...argv.map((word) => quoted(word))] : [])].join(' ')
}

function verdict(section: SectionResult): string {
  if (section.epochs.length === 0) return 'no epoch was finished'
  const { accuracy } = section.notebook
  const { batchSize } = NOTEBOOK[section.name as Section]
  const beside =
    accuracy === undefined
      ? 'the notebook gives none'
      : `the notebook's, on all images at its own sizes in batches of ${batchSize}: ${(100 * accuracy).toFixed(1)}%`
  const [low, high] = intervalOf(section).map((end) => (100 * end).toFixed(1))
  const text = `accuracy ${(100 * accuracyOf(section)).toFixed(1)}% (95% interval ${low} to ${high}%, ${section.images.valid} images); ${beside}`
  return hasLearnt(section)
    ? text
    : `THIS DID NOT LEARN: ${text}. Guessing reaches ${(100 * guessing(section).accuracy).toFixed(0)}%.`
}

/** Says how much less than the notebook a run has trained, so that its accuracies are not read as failures. */
function scaleNotes(sections: readonly SectionResult[]): string[] {
  const { text, isSmaller } = scaleOf(sections)
  return isSmaller
    ? [`${text} With so much less training it does not reach the notebook’s accuracies: compare the sections.`]
    : []
}

function summary(sections: readonly SectionResult[]): string {
  return sections
    .map((section) => {
      const {
        name,
        size,
        epochs,
        notebook: { accuracy },
      } = section
      const [low, high] = intervalOf(section).map((end) => end.toFixed(2))
      const reached = epochs.length > 0 ? `${accuracyOf(section).toFixed(4)} (${low} to ${high})` : '–'
      return `${name.padEnd(16)}  ${String(size).padStart(3)} px  accuracy ${reached}   notebook ${accuracy?.toFixed(4) ?? '–'}`
    })
    .join('\n')
}
