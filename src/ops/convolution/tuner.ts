import { formatTime } from '../../base/format.ts'
import { ANY, checkOptions, FLAG, FUNCTION, listOf, NUMBER, objectWith, type Kinds } from '../../base/options.ts'
import { currentGpu, type Gpu, type KernelFamily } from '../../gpu/device.ts'
import {
  chooseKernel,
  chosenKernel,
  comparisonKey,
  importTable,
  launchedPasses,
  settledKernel,
  usesOf,
  type SizedPass,
} from './choices.ts'
import { passLaunches } from './passes.ts'
import { candidateKernels, defaultKernel, kernelName, type KernelVariant } from './families.ts'
import { flopsOf, passKey, PASSES, type ConvolutionSizes, type ConvolutionPass } from './sizes.ts'
import { difference, gpuStopwatch, Trial, type Stopwatch } from './trial.ts'
import { tunes } from './tunes.ts'
import { oneLine, readTable, shippedTable, tunedFile, writeTable } from './tuned-file.ts'
import type { TunedPass, TunedTable } from './tuned-table.ts'
import { keepWhatPays, timeStep, type Change } from './whole-step.ts'

/** Options of `tune`. */
export interface TuneOptions {
  /** Convolutions to tune, in all three passes. Default: the passes launched so far without a chosen variant */
  readonly convolutions?: readonly ConvolutionSizes[]
  /** Tune all three passes of what was launched so far, for a network that has only run forward. Default false */
  readonly gradients?: boolean
  /**
   * Tune even where a search does not pay: on a software adapter, where a family was requested, or before a few steps.
   * Default false
   */
  readonly force?: boolean
  /** Time limit in seconds; remaining passes use the default variant. Default 20; with `steps`, less */
  readonly seconds?: number
  /** Function that is asked between measurements and ends the search when it returns true. Default: never */
  readonly stopped?: () => boolean
  /** Function that returns the candidates beside the default variant. Default: `candidateKernels` */
  readonly candidates?: (gpu: Gpu, pass: ConvolutionPass, sizes: ConvolutionSizes) => readonly KernelVariant[]
  /** Timer of the candidates. Default: the GPU's clock */
  readonly stopwatch?: Stopwatch
  /**
   * Function that records a whole training step of the chosen variants. With it, a choice is kept only if the step gets
   * faster. Default: choices are kept by the times of the kernels alone
   */
  readonly step?: () => void
  /**
   * Number of training steps that follow, each like `step`. Without `seconds`, the search then takes half the time that they
   * would take as it is at most, and all such searches of a GPU together 20 s; it does not begin if that is too little to
   * find anything. Default: any number
   */
  readonly steps?: number
}

const TUNE_KINDS: Kinds<TuneOptions> = {
  convolutions: listOf(objectWith('the sizes of a convolution')),
  gradients: FLAG,
  force: FLAG,
  seconds: NUMBER,
  stopped: FUNCTION,
  candidates: FUNCTION,
  stopwatch: ANY,
  step: FUNCTION,
  steps: NUMBER,
}

/** Result of tuning one pass. */
export interface Tuned extends TunedPass {
  /** Key of the pass (see `passKey`). */
  readonly pass: string
  /** Faster variants that were rejected, each with the reason. */
  readonly refused: readonly string[]
}

/**
 * Default time limit in seconds: long enough for xresnet18 on an H200 (4 s of compiling on 16 cores), short enough to
 * wait for.
 */
const SECONDS = 20
/** Largest part of the time of the steps that follow, unless a limit is given: nobody waits twice as long for a short fit. */
const PART_OF_STEPS = 0.5
/**
 * Time limit in milliseconds below which no search begins: on an H200 with 16 cores the first kernels compile for about a
 * second, and measuring them takes as long.
 */
const SHORTEST_MS = 2000
/** Fraction of the time limit after which no further compilation is started: measuring takes about as long. */
const COMPILING = 0.5
/**
 * Number of kernels compiled at a time: twice the threads of usual processors, as some take much longer than others.
 */
const AT_A_TIME = 32
/** Number of rounds in which all candidates are timed. */
const ROUNDS = 5
/** Ratio to the fastest time after the first round above which a candidate is dropped. */
const HOPELESS = 2
/**
 * Ratio of times below which a candidate replaces the default variant: the gain must exceed the variation between runs
 * of one kernel, 1 to 3% on an H200.
 */
const GAIN = 0.95

/** Tables of adapters whose file has been read. */
const read = new WeakMap<Gpu, TunedTable>()
/** Milliseconds that searches before fits have taken so far. */
const spentMs = new WeakMap<Gpu, number>()

/**
 * Chooses kernel variants for convolutions and matrix products by measuring, where none is chosen yet.
 *
 * All candidates (family and tile) are timed in turns; the fastest is chosen if it beats the default variant and its
 * result agrees with that of the family `tile`, and kept if a whole step gets faster by it (whole-step.ts). Choices are
 * stored on disk by adapter, driver and version of the shaders, so that later runs use the same variants; a table may be
 * shipped as well (shipped.ts). If the time limit ends the search, the passes with the least arithmetic use the default
 * variant, until a later call goes on with them: of the matrix family if matrix kernels proved right in every pass, of the
 * family `tile` if one of them was wrong.
 *
 * Asynchronous, so it cannot be part of a step: call it before training, when the shapes have been launched once, and
 * again when they change. Nothing else may be recorded meanwhile; steps recorded before keep their variants. It does
 * nothing on a software adapter, where compiling costs more than it gains and the default is good, where `openGpu` was
 * given a family, and with the setting TUNE=0.
 *
 * @returns the measurements; empty if all variants were known
 */
export async function tune(options: TuneOptions = {}): Promise<readonly Tuned[]> {
  checkOptions('tune', options, TUNE_KINDS)
  const gpu = currentGpu()
  const { platform } = gpu
  if (!tunes(options)) return []
  const file = tunedFile(gpu)
  const table = read.get(gpu) ?? (await readTable(gpu, file))
  read.set(gpu, table)
  const shipped = shippedTable(gpu)
  if (table.matrices || shipped?.matrices) gpu.family = 'matrix'
  const known = Object.entries({ ...shipped?.passes, ...table.passes })
  importTable(
    gpu,
    known.map(([key, { kernel }]) => [key, kernel]),
  )
  const unknown = wantedPasses(gpu, options).filter((subject) => !settledKernel(gpu, subject))
  if (unknown.length === 0) return []
  const following = followingSteps(options)
  const budgetMs = following ? await budgetOf(gpu, following) : 1000 * (options.seconds ?? SECONDS)
  const begin = platform.now()
  if (budgetMs < SHORTEST_MS && following) {
    chooseDefaults(gpu, unknown, gpu.family)
    return []
  }
  platform.log(
    `tuning ${unknown.length} kernels for ${gpu.name}, once, for ${formatTime(budgetMs)} at most (TUNE=0: not at all)`,
  )
  const stopwatch = options.stopwatch ?? gpuStopwatch(gpu)
  const subjects = byCost(gpu, unknown).map((subject) => ({
    subject,
    candidates: (options.candidates ?? candidateKernels)(gpu, subject.pass, subject.sizes),
  }))
  // Everything is compiled before anything is measured: a GPU that waits for compilers lowers its clock, an H200 after
  // 3 s to a sixth.
  const { stopped = () => false } = options
  const leftMs = () => begin + budgetMs - platform.now()
  const ready = await compileAll(gpu, subjects, stopwatch, () => leftMs() > (1 - COMPILING) * budgetMs && !stopped())
  const measured: Measured[] = []
  for (const { subject, candidates } of ready) {
    if (leftMs() <= 0 || stopped()) break
    platform.status?.(`measuring ${measured.length + 1}/${ready.length} ${passKey(subject.pass, subject.sizes)}`)
    measured.push(await tunePass(gpu, subject, candidates, stopwatch))
  }
  // The operands were large and are not needed again.
  gpu.trim()
  const wrong = measured.some(({ row }) => row.refused.some((line) => line.startsWith('matrix ')))
  const family = wrong ? 'tile' : gpu.family
  if (table.matrices ?? provesMatrices(table, measured)) gpu.family = 'matrix'
  else gpu.family = family
  const left = stopped() ? [] : subjects.slice(measured.length).map(({ subject }) => subject)
  const fixed = chooseDefaults(gpu, left, family)
  const changes = [...measured.map(({ change }) => change), ...fixed].filter(
    ({ before, after }) => kernelName(before) !== kernelName(after),
  )
  if (options.step && changes.length > 0 && !stopped()) {
    platform.status?.('comparing whole steps')
    takeBack(measured, await keepWhatPays(gpu, changes, options.step, family, () => leftMs() > 0 && !stopped()))
  }
  platform.status?.('')
  const found = measured.map(({ row }) => row)
  const rows = measured.map(({ row: { kernel, timeMs, ruleMs }, change: { subject } }) => {
    return [comparisonKey(subject), { kernel, timeMs, ruleMs }]
  })
  const matrices = table.matrices ?? (gpu.family === 'matrix' && provesMatrices(table, measured))
  const grown: TunedTable = {
    ...table,
    ...(matrices ? { matrices } : {}),
    passes: { ...table.passes, ...Object.fromEntries(rows) },
  }
  read.set(gpu, grown)
  if (file !== undefined) await writeTable(gpu, file, grown)
  if (following) spentMs.set(gpu, (spentMs.get(gpu) ?? 0) + platform.now() - begin)
  const [timeMs, ruleMs] = (['timeMs', 'ruleMs'] as const).map((name) => found.reduce((sum, row) => sum + row[name], 0))
  platform.log(
    `tuned in ${formatTime(platform.now() - begin)}: one run of each takes ${formatTime(timeMs)}, with default kernels ${formatTime(ruleMs)}` +
      (left.length > 0 ? `; ${left.length} with less arithmetic use default kernels until a later search` : ''),
  )
  return found
}

/** Result of tuning one pass, and the variants between which the whole step decides. */
interface Measured {
  row: Tuned
  readonly change: Change
  /** Milliseconds of the kernel before. */
  readonly beforeMs: number
}

/** Writes into the results that changes were taken back. */
function takeBack(measured: readonly Measured[], changes: readonly Change[]): void {
  for (const one of measured) {
    if (!changes.includes(one.change)) continue
    const { before, after } = one.change
    const refused = [...one.row.refused, `${kernelName(after)} makes no step faster`]
    one.row = { ...one.row, kernel: kernelName(before), timeMs: one.beforeMs, refused }
  }
}

/**
 * Returns true if matrix kernels were right and faster than those of the family `tile` in each of the three passes, now or in
 * an earlier search that a time limit ended.
 */
function provesMatrices(before: TunedTable, measured: readonly Measured[]): boolean {
  const rows = [
    ...Object.entries(before.passes).map(([pass, { kernel }]) => ({ pass, kernel })),
    ...measured.map(({ row }) => row),
  ]
  return PASSES.every((name) =>
    rows.some(({ pass, kernel }) => pass.startsWith(`${name} `) && kernel.startsWith('matrix ')),
  )
}

/** Returns the steps whose time limits a search; `undefined` where they are not known, or something else was asked for. */
function followingSteps({ seconds, force = false, step, steps }: TuneOptions): Following | undefined {
  return seconds !== undefined || force || !step || steps === undefined ? undefined : { step, steps }
}

type Following = Required<Pick<TuneOptions, 'step' | 'steps'>>

/** Returns the milliseconds that a search before some steps may take. */
async function budgetOf(gpu: Gpu, { step, steps }: Following): Promise<number> {
  const leftMs = 1000 * SECONDS - (spentMs.get(gpu) ?? 0)
  return leftMs < SHORTEST_MS ? leftMs : Math.min(leftMs, PART_OF_STEPS * steps * (await timeStep(gpu, step)))
}

/**
 * Chooses the default variants of passes that are not tuned now, so that a checkpoint lists them as well. A pass whose variant
 * was chosen before another kernel was registered keeps that.
 *
 * @param family  family before this search, whose default variants were used so far
 */
function chooseDefaults(gpu: Gpu, passes: readonly SizedPass[], family: KernelFamily): readonly Change[] {
  const changes = passes
    .filter((subject) => !chosenKernel(gpu, subject))
    .map((subject) => {
      const [before, after] = [family, gpu.family].map((one) => defaultKernel(gpu, subject.pass, subject.sizes, one))
      return { subject, before, after, timed: false }
    })
  for (const { subject, after, timed } of changes) chooseKernel(gpu, subject, after, timed)
  return changes
}

interface Subject {
  readonly subject: SizedPass
  readonly candidates: readonly KernelVariant[]
}

/** Sorts passes by the arithmetic that a step spends in them, the most expensive first. */
function byCost(gpu: Gpu, passes: readonly SizedPass[]): readonly SizedPass[] {
  const cost = ({ sizes }: SizedPass) => Math.max(1, usesOf(gpu, sizes)) * flopsOf(sizes)
  return [...passes].sort((a, b) => cost(b) - cost(a))
}

/** Compiles the kernels of pass after pass while there is time. @returns the passes that were compiled, at least one */
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

function wantedPasses(gpu: Gpu, { convolutions, gradients = false }: TuneOptions): readonly SizedPass[] {
  const seen = launchedPasses(gpu)
  const sizes = convolutions ?? (gradients ? seen.map((subject) => subject.sizes) : undefined)
  if (!sizes) return seen
  const all = sizes.flatMap((one) => PASSES.map((pass) => ({ pass, sizes: one })))
  // The same sizes may have been seen in several passes.
  return [...new Map(all.map((subject) => [passKey(subject.pass, subject.sizes), subject])).values()]
}

async function tunePass(
  gpu: Gpu,
  subject: SizedPass,
  candidates: readonly KernelVariant[],
  stopwatch: Stopwatch,
): Promise<Measured> {
  const pass = passKey(subject.pass, subject.sizes)
  const rule = defaultKernel(gpu, subject.pass, subject.sizes)
  const refused: string[] = []
  const refuse = (kernel: KernelVariant, why: string) => {
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
    // A choice from before another kernel was registered; otherwise the default. Matrix kernels are proven on this adapter
    // before they are used, by default as well; what was chosen is proven.
    const before = chosenKernel(gpu, subject) ?? (chosen === rule || (await isRight(trial, rule)) ? rule : chosen)
    chooseKernel(gpu, subject, chosen)
    // The proven variant, or the one before, need not be among the candidates.
    const timed = new Map([...times].map(([kernel, timeMs]) => [kernelName(kernel), timeMs]))
    for (const kernel of [chosen, before]) {
      if (!timed.has(kernelName(kernel))) timed.set(kernelName(kernel), await trial.time(kernel))
    }
    const [timeMs, ruleMs, beforeMs] = [chosen, rule, before].map((kernel) => timed.get(kernelName(kernel)) ?? Infinity)
    return {
      row: { pass, kernel: kernelName(chosen), timeMs, ruleMs, refused },
      change: { subject, before, after: chosen, timed: true },
      beforeMs,
    }
  } finally {
    trial.close()
  }
}

type Refuse = (kernel: KernelVariant, why: string) => void
type Times = Map<KernelVariant, number>

/** Returns the shortest time of each variant that runs. @throws ShaderError  if the default variant does not run */
async function timeInTurns(
  trial: Trial,
  rule: KernelVariant,
  others: readonly KernelVariant[],
  refuse: Refuse,
): Promise<Times> {
  const times = new Map<KernelVariant, number>([rule, ...others].map((kernel) => [kernel, Infinity]))
  // The first run compiles and is not counted.
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

/**
 * Returns the fastest variant whose result agrees with that of the family `tile`; the default one if none is clearly
 * faster, and that of the family `tile` if the default one is wrong as well.
 */
async function fastestRight(trial: Trial, rule: KernelVariant, times: Times, refuse: Refuse): Promise<KernelVariant> {
  const { gpu, subject } = trial
  const faster = [...times]
    .filter(([, timeMs]) => timeMs < GAIN * (times.get(rule) ?? Infinity))
    .sort(([, a], [, b]) => a - b)
  const proven = defaultKernel(gpu, subject.pass, subject.sizes, 'tile')
  if (faster.length === 0 && rule.family !== 'matrix') return rule
  const reference = await trial.compute(proven)
  for (const kernel of [...faster.map(([kernel]) => kernel), ...(rule.family === 'matrix' ? [rule] : [])]) {
    try {
      const wrong = difference(await trial.compute(kernel), reference)
      if (wrong === undefined) return kernel
      refuse(kernel, wrong)
    } catch (error) {
      gpu.check()
      refuse(kernel, `fails: ${oneLine(error)}`)
    }
  }
  return rule.family === 'matrix' ? proven : rule
}

/** Returns true if the default variant may be used after another one was chosen. */
async function isRight(trial: Trial, rule: KernelVariant): Promise<boolean> {
  if (rule.family !== 'matrix') return true
  const { gpu, subject } = trial
  try {
    const reference = await trial.compute(defaultKernel(gpu, subject.pass, subject.sizes, 'tile'))
    return difference(await trial.compute(rule), reference) === undefined
  } catch {
    gpu.check()
    return false
  }
}
