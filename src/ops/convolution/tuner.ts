import { formatTime } from '../../base/format.ts'
import { currentGpu, type Gpu } from '../../gpu/device.ts'
import { chooseKernel, chosenKernel, importChoices, unknownPasses, usesOf, type ConvolutionPass } from './choices.ts'
import { passLaunches } from './passes.ts'
import { candidateKernels, defaultKernel, kernelName, type Kernel } from './families.ts'
import { flopsOf, passKey, PASSES, type ConvolutionSizes, type Pass } from './sizes.ts'
import { difference, gpuStopwatch, Trial, type Stopwatch } from './trial.ts'
import { oneLine, readTable, shippedTable, tunedFile, writeTable } from './tuned-file.ts'
import type { TunedPass, TunedTable } from './tuned-table.ts'

export interface TuneOptions {
  /** Convolutions to choose for, in all three passes. Default: the passes launched so far about which nothing is known. */
  readonly convolutions?: readonly ConvolutionSizes[]
  /** All three passes of what was launched so far, for a network that only went forward. Default false */
  readonly gradients?: boolean
  /** Also where a search is not worth its time: on a software adapter, or where a family was asked for. Default false */
  readonly force?: boolean
  /** Time to spend, in seconds; what is left then runs by rule. Default 20 */
  readonly seconds?: number
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

/** Long enough for xresnet18 on an H200 (4 s of compiling on 16 cores), short enough to wait for. */
const SECONDS = 20
/** Share of the time after which no further compiling is begun: measuring takes about as long. */
const COMPILING = 0.5
/** Kernels that are compiled at a time: twice the threads of usual processors, as some take much longer than others. */
const AT_A_TIME = 32
const ROUNDS = 5
/** After the first round, what took this many times as long as the fastest is out. */
const HOPELESS = 2
/** A kernel that replaces the one by rule must be faster by more than two runs of the same kernel differ: 1 to 3% on an H200. */
const GAIN = 0.95

/** Adapters whose file was read. */
const read = new WeakMap<Gpu, TunedTable>()

/**
 * Chooses the kernels of convolutions and matrix products that nothing is known about, by trying.
 *
 * Each candidate (family and tile) is timed in turns; the fastest is taken when it beats the one by rule and computes
 * what the family `tile` computes. What was found is remembered on disk, by adapter, driver and version of the shaders,
 * and known from then on: the same kernels in every run. A table may be shipped as well (shipped.ts). Where the time ends
 * before all are tried, those with the least arithmetic run by rule, in matrices where these were found right in every pass.
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
  const shipped = shippedTable(gpu)
  if (table.matrices || shipped?.matrices) gpu.family = 'matrix'
  const known = Object.entries({ ...shipped?.passes, ...table.passes })
  importChoices(Object.fromEntries(known.map(([pass, { kernel }]) => [pass, kernel])), gpu, false)
  const unknown = wantedPasses(gpu, options).filter((subject) => !chosenKernel(gpu, subject))
  if (unknown.length === 0) return []
  const begin = platform.now()
  const budgetMs = 1000 * (options.seconds ?? SECONDS)
  platform.log(
    `tuning ${unknown.length} kernels for ${gpu.name}, once, for ${formatTime(budgetMs)} at most (TUNE=0: not at all)`,
  )
  const stopwatch = options.stopwatch ?? gpuStopwatch(gpu)
  const subjects = byCost(gpu, unknown).map((subject) => ({
    subject,
    candidates: (options.candidates ?? candidateKernels)(gpu, subject.pass, subject.sizes),
  }))
  // First everything is compiled, then everything is measured: a GPU that waits for compilers slows its clock down, an H200
  // after 3 s to a sixth.
  const leftMs = () => begin + budgetMs - platform.now()
  const ready = await compileAll(gpu, subjects, stopwatch, () => leftMs() > (1 - COMPILING) * budgetMs)
  const found: Tuned[] = []
  for (const { subject, candidates } of ready) {
    if (leftMs() <= 0) break
    platform.status?.(`measuring ${found.length + 1}/${ready.length} ${passKey(subject.pass, subject.sizes)}`)
    found.push(await tunePass(gpu, subject, candidates, stopwatch))
  }
  platform.status?.('')
  // Large, and not needed again.
  gpu.trim()
  const rows = found.map(({ pass, kernel, timeMs, ruleMs }) => [pass, { kernel, timeMs, ruleMs }])
  const matrices = table.matrices ?? provesMatrices(found)
  if (matrices) gpu.family = 'matrix'
  // What is left is settled too, so that a checkpoint has the kernels of every pass.
  const left = subjects.slice(found.length).map(({ subject }) => subject)
  for (const subject of left) chooseKernel(gpu, subject, defaultKernel(gpu, subject.pass, subject.sizes))
  const grown: TunedTable = {
    ...table,
    ...(matrices ? { matrices } : {}),
    passes: { ...table.passes, ...Object.fromEntries(rows) },
  }
  read.set(gpu, grown)
  if (file !== undefined) await writeTable(gpu, file, grown)
  const [timeMs, ruleMs] = (['timeMs', 'ruleMs'] as const).map((name) => found.reduce((sum, row) => sum + row[name], 0))
  platform.log(
    `tuned in ${formatTime(platform.now() - begin)}: one run of each takes ${formatTime(timeMs)}, by rule ${formatTime(ruleMs)}` +
      (left.length > 0 ? `; ${left.length} with less arithmetic run by rule until the next run` : ''),
  )
  return found
}

/** True where matrix kernels were right, and faster than those of the family `tile`, in each of the three passes. */
function provesMatrices(found: readonly Tuned[]): boolean {
  return PASSES.every((name) =>
    found.some(({ pass, kernel }) => pass.startsWith(`${name} `) && kernel.startsWith('matrix ')),
  )
}

interface Subject {
  readonly subject: ConvolutionPass
  readonly candidates: readonly Kernel[]
}

/** The passes by the arithmetic that a step spends in them, most of it first. */
function byCost(gpu: Gpu, passes: readonly ConvolutionPass[]): readonly ConvolutionPass[] {
  const cost = ({ sizes }: ConvolutionPass) => Math.max(1, usesOf(gpu, sizes)) * flopsOf(sizes)
  return [...passes].sort((a, b) => cost(b) - cost(a))
}

/** Compiles the kernels of one pass after the other while there is time. @returns the passes that were compiled, at least one */
async function compileAll(
  gpu: Gpu,
  subjects: readonly Subject[],
  stopwatch: Stopwatch,
  goOn: () => boolean,
): Promise<readonly Subject[]> {
  const launches = subjects.map(({ subject: { pass, sizes }, candidates }) => {
    return [defaultKernel(gpu, pass, sizes), ...candidates].flatMap((kernel) =>
      passLaunches(pass, sizes, kernel).filter((one) => one !== undefined),
    )
  })
  let begun = 0
  for (let end = 0; begun < subjects.length && (begun === 0 || goOn()); begun = end) {
    const batch: (typeof launches)[number] = []
    while (end < subjects.length && (end === begun || batch.length + launches[end].length <= AT_A_TIME)) {
      batch.push(...launches[end++])
    }
    gpu.platform.status?.(`compiling ${begun + 1} to ${end} of ${subjects.length}`)
    await stopwatch.compile(batch)
  }
  return subjects.slice(0, begun)
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
  const all = sizes.flatMap((one) => PASSES.map((pass) => ({ pass, sizes: one })))
  // The same sizes may have been seen in several passes.
  return [...new Map(all.map((subject) => [passKey(subject.pass, subject.sizes), subject])).values()]
}

async function tunePass(
  gpu: Gpu,
  subject: ConvolutionPass,
  candidates: readonly Kernel[],
  stopwatch: Stopwatch,
): Promise<Tuned> {
  const pass = passKey(subject.pass, subject.sizes)
  const rule = defaultKernel(gpu, subject.pass, subject.sizes)
  const refused: string[] = []
  const refuse = (kernel: Kernel, why: string) => {
    refused.push(`${kernelName(kernel)} ${why}`)
    gpu.platform.log(`tune: ${kernelName(kernel)} is not used for ${pass}: it ${why}`)
  }
  const trial = new Trial(gpu, subject, stopwatch)
  try {
    const times = await timeInTurns(
      trial,
      rule,
      candidates.filter((kernel) => kernelName(kernel) !== kernelName(rule)),
      refuse,
    )
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
