import { WgradError } from '../../src/base/errors.ts'
import type { KernelFamily } from '../../src/gpu/device.ts'
import { openGpu, sampleData, type Gpu } from '../../src/node.ts'
import { candidateKernels, defaultKernel, kernelName, type KernelVariant } from '../../src/ops/convolution/families.ts'
import {
  describeSizes,
  flopsOf,
  PASSES,
  type ConvolutionSizes,
  type ConvolutionPass,
} from '../../src/ops/convolution/sizes.ts'
import { nodePlatform } from '../../src/platform/node/index.ts'
import type { Part, PartFiles, Proof } from './parts.ts'
import { proveKernel } from '../../src/testing/measure-kernel.ts'
import { measureAll, type Case, type Measured } from '../kernels/harness.ts'
import { writeReport } from './written.ts'
import { conv2dCase, matmulCase } from '../kernels/conv2d.ts'
import { kernelCases, networkShapes, type Selection } from '../kernels/index.ts'
import { KernelOperands } from '../../src/testing/kernel-operands.ts'
import { measureLoader } from '../steps/loader.ts'
import { machineHere, machineOf } from '../machine/machine.ts'
import type { MemoryRow } from '../steps/memory.ts'
import { rooflineSvg } from '../kernels/roofline.ts'
import { measureMemory, measureStep, stepCases, type StepCase, type StepRow } from '../steps/step.ts'

export interface ReportOptions {
  /** Folder that receives `<part>.json`, `kernels.svg` and `report.md`. */
  readonly out: string
  readonly parts: readonly Part[]
  /** True to run the smallest version of everything, as a test on any adapter. */
  readonly tiny: boolean
  /** Path of PyTorch's figures on the same GPU: JSON, one row per line (bench/README.md). */
  readonly torch: string | undefined
  /** Folder of class folders for the loader. Default: a generated sample */
  readonly data: string | undefined
  /** Time, in milliseconds since 1970, at which what is being measured is the last. Default: none */
  readonly until?: number
}

/** Measurements at full size, and in the tiny version. */
interface Plan {
  readonly selection: Selection
  readonly matmuls: readonly number[]
  readonly steps: readonly StepCase[]
  readonly memory: readonly StepCase[]
  readonly loader: StepCase
  readonly images: number
  readonly rounds: number
}

const FULL: Plan = {
  selection: { models: ['xresnet18', 'xresnet50'], sizes: [128, 224], dtypes: ['f16'], batch: 64 },
  matmuls: [1024, 2048, 4096],
  steps: stepCases(false),
  memory: ['xresnet18', 'xresnet50'].map((model) => ({ model, batchSize: 64, size: 128, precision: 'mixed' })),
  loader: { model: 'xresnet18', batchSize: 64, size: 128, precision: 'mixed' },
  images: 13_394,
  rounds: 9,
}
const TINY: Plan = {
  selection: { models: ['xresnet18'], sizes: [32], dtypes: ['f16'], batch: 2 },
  matmuls: [64],
  steps: [{ model: 'xresnet18', batchSize: 4, size: 32, precision: 'mixed' }],
  memory: [{ model: 'xresnet18', batchSize: 4, size: 32, precision: 'mixed' }],
  loader: { model: 'xresnet18', batchSize: 8, size: 32, precision: 'mixed' },
  images: 50,
  rounds: 1,
}
const DTYPES = ['f16', 'f32'] as const
/** Number of generated images for the loader, if no folder is given. */
const SAMPLE = 1600

/** Returns true once the time of a report is over. */
function isOver({ until = Infinity }: ReportOptions): boolean {
  return Date.now() >= until
}

/**
 * Runs the requested parts.
 *
 * @returns true if all of them were right; `complete` is false if the time was over before the end
 */
export async function gpuReport(
  options: ReportOptions,
): Promise<{ readonly right: boolean; readonly complete: boolean }> {
  const { files, log } = nodePlatform
  const plan = options.tiny ? TINY : FULL
  let right = true
  for (const part of options.parts) {
    log(`report: ${part}`)
    const path = files.join(options.out, `${part}.json`)
    const save = (content: unknown) => files.write(path, `${JSON.stringify(content, null, 1)}\n`)
    try {
      right = (await RUN[part](plan, options, save)) && right
    } catch (error) {
      // A failure does not keep the later parts from running.
      right = false
      log(`report: ${part} failed: ${error instanceof WgradError ? error.message : String((error as Error).stack)}`)
    }
    await writeReport(options)
  }
  log(`written: ${files.join(options.out, 'report.md')}`)
  return { right, complete: !isOver(options) }
}

/** Least time between two writes of one part: the file of all kernels has hundreds of lines. */
const SAVING_MS = 2000

/** Sorts cases by the arithmetic, or else the uses, of a step: matrix products without a network come first. */
function byShare(cases: readonly Case[]): readonly Case[] {
  const cost = ({ convolution, uses }: Case) => {
    const count = uses.reduce((sum, use) => sum + use.count, 0)
    return count === 0 ? Infinity : count * (convolution ? flopsOf(convolution) : 1)
  }
  return [...cases].sort((a, b) => cost(b) - cost(a) || 0)
}

type Save = (content: PartFiles[Part]) => Promise<void>

const RUN: Readonly<Record<Part, (plan: Plan, options: ReportOptions, save: Save) => Promise<boolean>>> = {
  async correctness(plan, options, save) {
    const gpu = await openGpu({ profile: false })
    const proofs: Proof[] = []
    let savedMs = performance.now()
    for (const { pass, sizes, kernels } of subjects(gpu, plan.selection)) {
      if (isOver(options)) break
      for (const kernel of kernels) {
        if (!isOver(options)) await addProof(proofs, gpu, pass, sizes, kernel)
      }
      if (performance.now() > savedMs + SAVING_MS) {
        await save({ machine: machineOf(gpu), proofs })
        savedMs = performance.now()
      }
      gpu.platform.status?.(`${pass} ${describeSizes(sizes)}`)
      gpu.trim()
    }
    gpu.platform.status?.('')
    await save({ machine: machineOf(gpu), proofs })
    gpu.close()
    return proofs.every(({ failures }) => failures.length === 0)
  },

  async kernels({ selection, matmuls, rounds }, options, save) {
    const gpu = await openGpu({ profile: true })
    const machine = machineOf(gpu)
    const products = matmuls.flatMap((side) => DTYPES.map((dtype) => matmulCase(side, dtype)))
    const all = [...products, ...kernelCases(selection)]
    // With a time limit the kernels with the largest share of a step come first, as the last ones may not be reached.
    const cases = options.until === undefined ? all : byShare(all)
    let saving = Promise.resolve()
    let savedMs = performance.now()
    // Written from time to time, so that an aborted run leaves its results.
    const keep = (measured: Measured) => {
      if (performance.now() < savedMs + SAVING_MS) return
      savedMs = performance.now()
      saving = saving.then(() => save({ machine, ...measured }))
    }
    const measured = await measureAll(gpu, cases, { rounds, over: () => isOver(options) }, keep)
    await saving
    await save({ machine, ...measured })
    const subtitle = `${machine.driver}, batch ${selection.batch}, ${machine.date.slice(0, 10)}`
    const svg = rooflineSvg({ ...measured, title: machine.device, subtitle })
    await gpu.platform.files.write(gpu.platform.files.join(options.out, 'kernels.svg'), svg)
    gpu.close()
    return measured.failures.length === 0
  },

  async steps({ steps, rounds }, options, save) {
    const machine = await machineHere()
    const rows: StepRow[] = []
    const profiles: string[] = []
    // The default kernels first: before the tuner has chosen any.
    const cases = steps.flatMap((item) =>
      (machine.software ? [false] : [false, true]).map((tuned) => ({ item, tuned })),
    )
    for (const { item, tuned } of cases) {
      if (isOver(options)) break
      // Short steps are repeated more often: a stream of nine has hardly begun.
      const { row, profile } = await measureStep(item, machine.software ? rounds : 4 * rounds, tuned)
      rows.push(row)
      profiles.push(profile)
      await save({ machine, rows, profiles })
    }
    return true
  },

  async memory({ memory }, _options, save) {
    const rows: MemoryRow[] = []
    for (const item of memory) rows.push(await measureMemory(item))
    await save({ machine: await machineHere(), rows })
    return true
  },

  async loader({ loader, images }, { data }, save) {
    const path = data ?? (await sampleData({ images: Math.min(images, SAMPLE), platform: nodePlatform }))
    const rows = [await measureLoader(loader, { path, images })]
    await save({ machine: await machineHere(), data: data ?? 'generated sample', rows })
    return true
  },
}

/**
 * Sizes that no tile divides: three images, unequal sides, channels that are not multiples of four. The channels of the
 * first and third are stored as multiples of eight, as matrix kernels require, and those of the input of the last.
 */
const ODD: readonly ConvolutionSizes[] = DTYPES.flatMap((dtype) => [
  { N: 3, H: 13, W: 10, C: 13, P: 7, Q: 5, O: 22, R: 3, S: 3, STRIDE: 2, PAD: 1, dtype },
  { N: 3, H: 9, W: 11, C: 33, P: 9, Q: 11, O: 65, R: 3, S: 3, STRIDE: 1, PAD: 1, dtype },
  { N: 5, H: 7, W: 6, C: 133, P: 7, Q: 6, O: 38, R: 1, S: 1, STRIDE: 1, PAD: 0, dtype },
  { N: 67, H: 1, W: 1, C: 134, P: 1, Q: 1, O: 131, R: 1, S: 1, STRIDE: 1, PAD: 0, dtype },
])

/**
 * Returns the kernels to verify: every variant at odd sizes, and the default variant of each family at every size of
 * the networks.
 */
function subjects(
  gpu: Gpu,
  selection: Selection,
): { pass: ConvolutionPass; sizes: ConvolutionSizes; kernels: readonly KernelVariant[] }[] {
  const byRule = (pass: ConvolutionPass, sizes: ConvolutionSizes) => {
    const families: KernelFamily[] = ['tile']
    if (gpu.subgroupSize > 0) families.unshift('broadcast')
    if (sizes.dtype === 'f16') families.push('matrix')
    return families.map((family) => defaultKernel(gpu, pass, sizes, family))
  }
  const all = (pass: ConvolutionPass, sizes: ConvolutionSizes) => {
    const kernels = [...byRule(pass, sizes), ...candidateKernels(gpu, pass, sizes)]
    return [...new Map(kernels.map((kernel) => [kernelName(kernel), kernel])).values()]
  }
  const small = { ...selection, sizes: selection.sizes.slice(0, 1) }
  const sizes = DTYPES.flatMap((dtype) => networkShapes({ ...small, dtypes: [dtype] }).convolution)
  return PASSES.flatMap((pass) => [
    ...ODD.map((odd) => ({ pass, sizes: odd, kernels: all(pass, odd) })),
    ...sizes.map((each) => ({ pass, sizes: each.sizes, kernels: byRule(pass, each.sizes) })),
  ])
}

async function addProof(
  proofs: Proof[],
  gpu: Gpu,
  pass: ConvolutionPass,
  sizes: ConvolutionSizes,
  kernel: KernelVariant,
): Promise<void> {
  const name = kernelName(kernel)
  const item = conv2dCase(pass, sizes, [], kernel)
  const operands = new KernelOperands()
  let [deviation, failures] = [0, [] as string[]]
  try {
    deviation = await proveKernel(item.name, item.prepare(operands), operands)
    gpu.check()
  } catch (error) {
    failures = [String(error instanceof Error ? error.message : error)]
    gpu.platform.log(`${name}: ${failures[0]}`)
  } finally {
    operands.close()
  }
  const family = kernel.family === 'matrix' && gpu.matrices.emulated ? 'matrix (emulated)' : kernel.family
  const at = proofs.findIndex((proof) => proof.kernel === name && proof.pass === pass && proof.dtype === sizes.dtype)
  const before = proofs[at] ?? { family, kernel: name, pass, dtype: sizes.dtype, shapes: 0, deviation: 0, failures: [] }
  const proof = {
    ...before,
    shapes: before.shapes + 1,
    deviation: Math.max(before.deviation, deviation),
    failures: [...before.failures, ...failures],
  }
  if (at >= 0) proofs[at] = proof
  else proofs.push(proof)
}
