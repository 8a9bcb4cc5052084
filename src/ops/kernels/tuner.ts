import { formatTime } from '../../base/format.ts'
import { currentGpu, type Gpu } from '../../gpu/device.ts'
import { chooseKernel, chosenKernel, importChoices, unknownPasses, type ConvolutionPass } from './choices.ts'
import { candidateKernels, defaultKernel, kernelName, type Kernel } from './families.ts'
import { passKey, type ConvolutionSizes, type Pass } from './sizes.ts'
import { difference, gpuStopwatch, Trial, type Stopwatch } from './trial.ts'
import { oneLine, readTable, shippedPasses, tunedFile, writeTable, type TunedPass, type TunedTable } from './tuned-file.ts'

export interface TuneOptions {
  /** Convolutions to choose for, in all three passes. Default: the passes launched so far about which nothing is known. */
  readonly convolutions?: readonly ConvolutionSizes[]
  /** All three passes of what was launched so far, for a network that only went forward. Default false */
  readonly gradients?: boolean
  /** Also where a search is not worth its time: on a software adapter, or where a family was asked for. Default false */
  readonly force?: boolean
  /** What to choose from besides the kernel by rule. Default: `candidateKernels` */
  readonly candidates?: (gpu: Gpu, pass: Pass, sizes: ConvolutionSizes) => readonly Kernel[]
  /** Default: the GPU's clock. */
  readonly stopwatch?: Stopwatch
}

/** What was chosen for a pass. */
export interface Tuned extends TunedPass {
  /** See `passKey`. */
  readonly pass: string
  /** What a faster kernel was refused for, if one was. */
  readonly refused: readonly string[]
}

const ROUNDS = 5
/** After the first round, what took this many times as long as the fastest is out. */
const HOPELESS = 2
/** What is to replace the kernel by rule must be faster by more than two runs of the same kernel differ. Not measured on a GPU yet. */
const GAIN = 0.95

/** Adapters whose file was read. */
const read = new WeakMap<Gpu, TunedTable>()

/**
 * Chooses the kernels of convolutions and matrix products that nothing is known about, by trying.
 *
 * Each candidate (family and tile) is timed in turns; the fastest is taken when it beats the one by rule and computes
 * what the family `tile` computes. What was found is remembered on disk, by adapter, driver and version of the shaders,
 * and known from then on: the same kernels in every run. A table may be shipped as well (shipped.ts).
 *
 * Waits, so it is no part of a step: call it before training, when the shapes have been launched once, and once more
 * when they change. Nothing else may be recorded meanwhile; recordings of steps made before still run what they did.
 * Does nothing on a software adapter, where compiling costs more than is to be gained and the rule is good, where
 * `openGpu` was asked for a family, and with the setting TUNE=0.
 *
 * @returns what was measured, nothing where all was known
 */
export async function tune(options: TuneOptions = {}): Promise<readonly Tuned[]> {
  const gpu = currentGpu()
  const { platform } = gpu
  if (!tunes(options)) return []
  const file = tunedFile(gpu)
  const table = read.get(gpu) ?? (await readTable(gpu, file))
  read.set(gpu, table)
  const known = Object.entries({ ...shippedPasses(gpu), ...table.passes })
  importChoices(Object.fromEntries(known.map(([pass, { kernel }]) => [pass, kernel])), gpu, false)
  const unknown = wantedPasses(gpu, options).filter((subject) => !chosenKernel(gpu, subject))
  if (unknown.length === 0) return []
  const begin = platform.now()
  platform.log(`tuning ${unknown.length} kernels for ${gpu.name}, once (TUNE=0: not at all)`)
  const stopwatch = options.stopwatch ?? gpuStopwatch(gpu)
  const found: Tuned[] = []
  for (const subject of unknown) {
    platform.status?.(`${found.length + 1}/${unknown.length} ${passKey(subject.pass, subject.sizes)}`)
    const candidates = (options.candidates ?? candidateKernels)(gpu, subject.pass, subject.sizes)
    found.push(await tunePass(gpu, subject, candidates, stopwatch))
  }
  // Large, and not needed again.
  gpu.trim()
  const rows = found.map(({ pass, kernel, timeMs, ruleMs }) => [pass, { kernel, timeMs, ruleMs }])
  const grown: TunedTable = { ...table, passes: { ...table.passes, ...Object.fromEntries(rows) } }
  read.set(gpu, grown)
  if (file !== undefined) await writeTable(gpu, file, grown)
  const [timeMs, ruleMs] = (['timeMs', 'ruleMs'] as const).map((name) => found.reduce((sum, row) => sum + row[name], 0))
  platform.log(`tuned in ${formatTime(platform.now() - begin)}: one run of each takes ${formatTime(timeMs)}, by rule ${formatTime(ruleMs)}`)
  return found
}

/** Whether `tune` would do anything about kernels that nothing is known about. */
export function tunes({ force = false }: Pick<TuneOptions, 'force'> = {}): boolean {
  const { platform, software, familyGiven } = currentGpu()
  return platform.env('TUNE') !== '0' && (force || !(software || familyGiven))
}

function wantedPasses(gpu: Gpu, { convolutions, gradients = false }: TuneOptions): readonly ConvolutionPass[] {
  const seen = unknownPasses(gpu)
  const sizes = convolutions ?? (gradients ? seen.map((subject) => subject.sizes) : undefined)
  if (!sizes) return seen
  const all = sizes.flatMap((one) => (['forward', 'backward-input', 'backward-weight'] as const).map((pass) => ({ pass, sizes: one })))
  // The same sizes may have been seen in several passes.
  return [...new Map(all.map((subject) => [passKey(subject.pass, subject.sizes), subject])).values()]
}

async function tunePass(gpu: Gpu, subject: ConvolutionPass, candidates: readonly Kernel[], stopwatch: Stopwatch): Promise<Tuned> {
  const pass = passKey(subject.pass, subject.sizes)
  const rule = defaultKernel(gpu, subject.pass, subject.sizes)
  const refused: string[] = []
  const refuse = (kernel: Kernel, why: string) => {
    refused.push(`${kernelName(kernel)} ${why}`)
    gpu.platform.log(`tune: ${kernelName(kernel)} is not used for ${pass}: it ${why}`)
  }
  const trial = new Trial(gpu, subject, stopwatch)
  try {
    const times = await timeInTurns(trial, rule, candidates.filter((kernel) => kernelName(kernel) !== kernelName(rule)), refuse)
    const chosen = await fastestRight(trial, rule, times, refuse)
    chooseKernel(gpu, subject, chosen)
    return { pass, kernel: kernelName(chosen), timeMs: timeOf(times, chosen), ruleMs: timeOf(times, rule), refused }
  } finally {
    trial.close()
  }
}

type Refuse = (kernel: Kernel, why: string) => void
type Times = ReadonlyMap<Kernel, number>

function timeOf(times: Times, kernel: Kernel): number {
  return times.get(kernel) ?? Infinity
}

/** The shortest time of each kernel that runs; that by rule must. */
async function timeInTurns(trial: Trial, rule: Kernel, others: readonly Kernel[], refuse: Refuse): Promise<Times> {
  const times = new Map<Kernel, number>([rule, ...others].map((kernel) => [kernel, Infinity]))
  // The first run compiles, and counts for nothing.
  for (let round = -1; round < ROUNDS; round++) {
    const fastest = Math.min(...times.values())
    for (const [kernel, best] of times) {
      if (round > 0 && best > HOPELESS * fastest) continue
      try {
        const timeMs = await trial.time(kernel)
        if (round >= 0) times.set(kernel, Math.min(best, timeMs))
      } catch (error) {
        if (kernel === rule) throw error
        trial.gpu.check()
        times.delete(kernel)
        refuse(kernel, `does not run: ${oneLine(error)}`)
      }
    }
  }
  return times
}

/** The fastest kernel that computes what the family `tile` does, or the one by rule where none is clearly faster. */
async function fastestRight(trial: Trial, rule: Kernel, times: Times, refuse: Refuse): Promise<Kernel> {
  const { gpu, subject } = trial
  const faster = [...times].filter(([, timeMs]) => timeMs < GAIN * timeOf(times, rule)).sort(([, a], [, b]) => a - b)
  if (faster.length === 0) return rule
  const reference = await trial.compute(defaultKernel(gpu, subject.pass, subject.sizes, 'tile'))
  for (const [kernel] of faster) {
    try {
      const wrong = difference(await trial.compute(kernel), reference)
      if (wrong === undefined) return kernel
      refuse(kernel, wrong)
    } catch (error) {
      gpu.check()
      refuse(kernel, `fails: ${oneLine(error)}`)
    }
  }
  return rule
}
