import { rm } from 'node:fs/promises'
import { cpus } from 'node:os'
import { formatBytes } from '../src/base/format.ts'
import { DataError, Interrupted, type Callback, type ChannelStats, type Gpu, type ItemPredictions, type Learner } from '../src/node.ts'
import type { DataSource } from './data-source.ts'
import { NOTEBOOK } from './notebook.ts'
import { OPTIONS_FILE, SECTIONS, type Options, type Section } from './options.ts'
import { renderReport } from './report/report.ts'
import {
  accuracyOf, guessing, hasLearnt, historyCsv, parseResults, stepLines, type ReportedSection, type Results, type SectionResult,
} from './results.ts'
import { epochResult, SectionLog, withOwnLosses } from './section-log.ts'
import { versions } from './versions.ts'

/** Sections that continue what another one trained. */
const NEEDS: Partial<Record<Section, Section>> = { 'larger-images': 'small-images', tta: 'larger-images' }

const RESULTS_FILE = 'results.json'
const MODEL_FILE = 'model.safetensors'

/** What a section reports at its end. */
export interface ReportOptions {
  /** Of the validation items. Default: the learner is asked for them */
  readonly predictions?: ItemPredictions
  /** Of predictions that were averaged over random transforms: then it is the accuracy of the section. */
  readonly ttaAccuracy?: number
  /** Callbacks that change batches, for the report to show beside those of the section. */
  readonly beside?: readonly Callback[]
}

/** Called at the end of a section with what it trained. */
export type Report = (learner: Learner, options?: ReportOptions) => Promise<void>

/** What a section hands to a later one. */
export interface Shared<Value> {
  value: Value | undefined
  /** @throws Error when the section that provides it did not run */
  get(): Value
}

/** One run of the lesson: which sections run, what is printed around them, and the files it leaves. */
export class LessonRun {
  /** To be among the callbacks of every learner. */
  readonly sectionLog = new SectionLog()
  private readonly gpu: Gpu
  private readonly options: Options
  private readonly folder: string
  private readonly started = new Date()
  private readonly wanted: ReadonlySet<Section>
  private readonly sections: ReportedSection[] = []
  private data: DataSource | undefined
  private interrupted = false
  private current: Section | undefined
  private readonly checkpoints = new Set<string>()
  private hasModel = false
  /** What an interrupted run had left, where this one continues it. */
  private before: Results | undefined

  constructor(gpu: Gpu, options: Options) {
    this.gpu = gpu
    this.options = options
    this.folder = options.out ?? `runs/${this.started.toISOString().slice(0, 19).replace(/:/g, '-')}`
    this.wanted = withNeeds(options.sections)
    const { log } = gpu.platform
    log(gpu.software ? `${gpu.name}: a software adapter, ${cpus().length} cores. Speeds below are those of a processor, not of a GPU.` : gpu.name)
    log(`profile ${options.profile}, ${options.fp32 ? 'single' : 'mixed'} precision, seed ${options.seed}`)
  }

  async begin(data: DataSource): Promise<void> {
    const { platform } = this.gpu
    this.data = data
    platform.log(`images: ${data.name}`)
    if (this.options.resume) this.before = await this.resultsBefore()
    else await platform.files.write(this.file(OPTIONS_FILE), `${JSON.stringify(this.options, null, 2)}\n`)
  }

  /** For every fit of a section: where it stands after each epoch, so that an interrupted run can be continued. */
  get checkpoint(): { readonly checkpoint: string; readonly resume: boolean } {
    const checkpoint = this.file(`${this.current ?? 'lesson'}.checkpoint`)
    this.checkpoints.add(checkpoint)
    return { checkpoint, resume: this.options.resume }
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

  /** Prints the statistics of a batch as the notebook does. */
  printStats({ mean, std }: ChannelStats): void {
    const text = (values: readonly number[]) => `[${values.map((value) => value.toFixed(4).padStart(7)).join(', ')}]`
    this.gpu.platform.log(`x.mean ${text(mean)}  x.std ${text(std)}`)
  }

  /** Runs a section, on images of `size` pixels, if it is wanted and nobody has pressed Ctrl-C; writes down what it reports. */
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
        platform.log(`${images.train} + ${images.valid} images, ${size} px, batch ${batchSize}; ` +
          `GPU memory ${formatBytes(gpuMemoryBytes)} at most, ` +
          `${queue.counts.launches - before.launches} launches in ${queue.counts.submits - before.submits} submits`)
        platform.log(verdict(result))
        const averaged = predictions && ttaAccuracy !== undefined ? withOwnLosses(predictions) : predictions
        const judged = this.interrupted ? undefined : averaged ?? (await learner.getPredictions())
        this.sections.push({ ...result, ...(await this.sectionLog.details(learner, judged, beside)) })
      })
    } catch (error) {
      // Ctrl-C while predictions were made.
      if (!(error instanceof Interrupted)) throw error
      this.interrupted = true
    }
    await this.write()
  }

  /** Writes down what a section has trained, for `npm run predict`, unless it was interrupted. */
  async keepModel(learner: Learner): Promise<void> {
    if (this.interrupted) return
    await learner.export(this.file(MODEL_FILE))
    this.hasModel = true
  }

  async end(): Promise<void> {
    const { platform } = this.gpu
    if (this.sections.length > 1) platform.log(`\n${summary(this.sections)}`)
    if (this.data?.isSample) platform.log('Trained on the generated sample: these are not accuracies on Imagenette.')
    platform.log(`written: ${this.file('report.html')}, and beside it ${RESULTS_FILE}, history.csv and steps.jsonl`)
    if (this.hasModel) platform.log(`to use the model of larger-images: npm run predict -- ${this.file(MODEL_FILE)} image.jpg`)
    await this.gpu.writeProfile()
    if (this.interrupted) platform.log(`to continue: npm run imagenette -- --resume ${this.folder}`)
    // Large, and of use only to a run that is to be continued.
    else for (const file of this.checkpoints) await rm(file, { force: true })
    if (this.interrupted) process.exitCode = 130
    else if (!this.sections.every(hasLearnt)) process.exitCode = 1
    await platform.decoder.close()
    this.gpu.close()
  }

  private async resultsBefore(): Promise<Results | undefined> {
    const { files } = this.gpu.platform
    const file = this.file(RESULTS_FILE)
    if (!(await files.exists(file))) return undefined
    const fix = 'remove it: the run goes on from its checkpoints, only its times so far are lost'
    return parseResults(file, await files.readText(file), fix)
  }

  private resultOf(name: Section, size: number, learner: Learner, seconds: number, ttaAccuracy: number | undefined): SectionResult {
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
    const results: Results = { ...run, sections: sections.map(({ fits, pictures, confusion, mostWrong, ...result }) => result) }
    const { files } = gpu.platform
    await files.write(this.file(RESULTS_FILE), `${JSON.stringify(results, null, 2)}\n`)
    await files.write(this.file('history.csv'), historyCsv(sections))
    await files.write(this.file('steps.jsonl'), stepLines(sections))
    await files.write(this.file('report.html'), await renderReport({ ...run, sections }))
  }

  private file(name: string): string {
    return this.gpu.platform.files.join(this.folder, name)
  }
}

function withNeeds(sections: readonly Section[]): ReadonlySet<Section> {
  const all = new Set<Section>()
  for (const section of sections) for (let next: Section | undefined = section; next; next = NEEDS[next]) all.add(next)
  return new Set(SECTIONS.filter((section) => all.has(section)))
}

/** What to type for the same run. */
function commandLine(argv: readonly string[]): string {
  const quoted = argv.map((word) => (/^[\w.,:/=@+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
  return ['npm run imagenette', ...(quoted.length > 0 ? ['--', ...quoted] : [])].join(' ')
}

function verdict(section: SectionResult): string {
  if (section.epochs.length === 0) return 'no epoch was finished'
  const { accuracy } = section.notebook
  const { batchSize } = NOTEBOOK[section.name as Section]
  const beside = accuracy === undefined
    ? 'the notebook gives none'
    : `the notebook's, on all images at its own sizes in batches of ${batchSize}: ${(100 * accuracy).toFixed(1)}%`
  const text = `accuracy ${(100 * accuracyOf(section)).toFixed(1)}%; ${beside}`
  return hasLearnt(section) ? text : `THIS DID NOT LEARN: ${text}. Guessing reaches ${(100 * guessing(section).accuracy).toFixed(0)}%.`
}

function summary(sections: readonly SectionResult[]): string {
  return sections
    .map((section) => {
      const { name, size, epochs, notebook: { accuracy } } = section
      const reached = epochs.length > 0 ? accuracyOf(section).toFixed(4) : '–'
      return `${name.padEnd(16)}  ${String(size).padStart(3)} px  accuracy ${reached}   notebook ${accuracy?.toFixed(4) ?? '–'}`
    })
    .join('\n')
}
