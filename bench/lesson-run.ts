import { cpus } from 'node:os'
import { formatBytes } from '../src/base/format.ts'
import { DataError, type Gpu, type Learner } from '../src/node.ts'
import type { DataSource } from './data-source.ts'
import { SECTIONS, type Options, type Section } from './options.ts'
import { NOTEBOOK, type Results, type SectionResult } from './results.ts'

/** Sections that continue what another one trained. */
const NEEDS: Partial<Record<Section, Section>> = { 'larger-images': 'small-images', tta: 'larger-images' }

/** Called at the end of a section with what it trained; with TTA the accuracy is that of the averaged predictions. */
export type Report = (learner: Learner, ttaAccuracy?: number) => void

/** What a section hands to a later one. */
export interface Shared<Value> {
  value: Value | undefined
  /** @throws Error when the section that provides it did not run */
  get(): Value
}

/** One run of the lesson: which sections run, what is printed around them, and `results.json`. */
export class LessonRun {
  private readonly gpu: Gpu
  private readonly options: Options
  private readonly folder: string
  private readonly wanted: ReadonlySet<Section>
  private readonly sections: SectionResult[] = []
  private data: DataSource | undefined
  private interrupted = false

  constructor(gpu: Gpu, options: Options) {
    this.gpu = gpu
    this.options = options
    this.folder = options.out ?? `runs/${new Date().toISOString().slice(0, 19).replace(/:/g, '-')}`
    this.wanted = withNeeds(options.sections)
    const { log } = gpu.platform
    log(gpu.software ? `${gpu.name}: a software adapter, ${cpus().length} cores. Speeds below are those of a processor, not of a GPU.` : gpu.name)
    log(`profile ${options.profile}, ${options.fp32 ? 'single' : 'mixed'} precision, seed ${options.seed}`)
  }

  begin(data: DataSource): void {
    this.data = data
    this.gpu.platform.log(`images: ${data.name}`)
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

  /** Runs a section, on images of `size` pixels, if it is wanted and nobody has pressed Ctrl-C; writes down what it reports. */
  async section(name: Section, size: number, work: (report: Report) => Promise<void>): Promise<void> {
    if (!this.wanted.has(name) || this.interrupted) return
    const { log } = this.gpu.platform
    log(`\n${name}`)
    const { counts } = this.gpu.queue
    const before = { ...counts }
    await work((learner, ttaAccuracy) => {
      const result = this.resultOf(name, size, learner, ttaAccuracy)
      this.sections.push(result)
      this.interrupted = learner.interrupted
      const { images, batchSize } = result
      log(`${images.train} + ${images.valid} images, ${size} px, batch ${batchSize}; ` +
        `GPU memory ${formatBytes(this.gpu.buffers.peakUsedBytes)} at most, ${counts.launches - before.launches} launches in ${counts.submits - before.submits} submits`)
      log(verdict(result))
    })
    await this.write()
  }

  async end(): Promise<void> {
    const { platform } = this.gpu
    if (this.sections.length > 1) platform.log(`\n${summary(this.sections)}`)
    if (this.data?.isSample) platform.log('Trained on the generated sample: these are not accuracies on Imagenette.')
    platform.log(`written: ${platform.files.join(this.folder, 'results.json')}`)
    await this.gpu.writeProfile()
    if (this.interrupted) process.exitCode = 130
    else if (this.sections.some((section) => !hasLearnt(section))) process.exitCode = 1
    await platform.decoder.close()
    this.gpu.close()
  }

  private resultOf(name: Section, size: number, learner: Learner, ttaAccuracy: number | undefined): SectionResult {
    const { loaders, recorder, model } = learner
    return {
      name,
      model: 'xresnet18',
      parameters: model.parameters().reduce((sum, { count }) => sum + count, 0),
      size,
      batchSize: loaders.batchSize,
      images: { train: loaders.train.items.length, valid: loaders.valid.items.length },
      epochs: recorder.rows.map(({ epoch, trainLoss, validLoss, metrics, timeMs, imagesPerSecond }) => ({
        epoch, trainLoss, validLoss, accuracy: metrics.accuracy, seconds: timeMs / 1000, imagesPerSecond,
      })),
      ...(ttaAccuracy === undefined ? {} : { ttaAccuracy }),
      notebook: { accuracy: NOTEBOOK[name] },
    }
  }

  private async write(): Promise<void> {
    const { gpu, options, data } = this
    if (!data) throw new DataError('results.json', 'there is nothing to write before the data are known')
    const results: Results = {
      adapter: gpu.name,
      software: gpu.software,
      precision: options.fp32 ? 'f32' : 'mixed',
      seed: options.seed,
      data: data.name,
      command: ['npm run imagenette --', ...process.argv.slice(2)].join(' '),
      versions: { node: process.versions.node },
      interrupted: this.interrupted,
      sections: this.sections,
    }
    await gpu.platform.files.write(gpu.platform.files.join(this.folder, 'results.json'), `${JSON.stringify(results, null, 2)}\n`)
  }
}

function withNeeds(sections: readonly Section[]): ReadonlySet<Section> {
  const all = new Set<Section>()
  for (const section of sections) for (let next: Section | undefined = section; next; next = NEEDS[next]) all.add(next)
  return new Set(SECTIONS.filter((section) => all.has(section)))
}

function accuracyOf({ epochs, ttaAccuracy }: SectionResult): number {
  return ttaAccuracy ?? epochs.at(-1)?.accuracy ?? NaN
}

/** Twice what guessing among ten classes reaches, and a loss that is a number. */
function hasLearnt(section: SectionResult): boolean {
  const last = section.epochs.at(-1)
  return last === undefined || (Number.isFinite(last.trainLoss) && Number.isFinite(last.validLoss) && accuracyOf(section) >= 0.2)
}

function verdict(section: SectionResult): string {
  const last = section.epochs.at(-1)
  if (!last) return 'no epoch was finished'
  const text = `accuracy ${(100 * accuracyOf(section)).toFixed(1)}%; the notebook's, on all images at its own sizes: ${(100 * section.notebook.accuracy).toFixed(1)}%`
  return hasLearnt(section) ? text : `THIS DID NOT LEARN: ${text}. Guessing reaches 10%.`
}

function summary(sections: readonly SectionResult[]): string {
  return sections
    .map((section) => `${section.name.padEnd(16)}  ${String(section.size).padStart(3)} px  accuracy ${accuracyOf(section).toFixed(4)}   notebook ${section.notebook.accuracy.toFixed(4)}`)
    .join('\n')
}
