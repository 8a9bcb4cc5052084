import { WgradError } from '../../src/base/errors.ts'
import type { KernelFamily } from '../../src/gpu/device.ts'
import { openGpu, sampleData, type Gpu } from '../../src/node.ts'
import { candidateKernels, defaultKernel, kernelName, type KernelVariant } from '../../src/ops/convolution/families.ts'
import { describeSizes, PASSES, type ConvolutionSizes, type ConvolutionPass } from '../../src/ops/convolution/sizes.ts'
import { nodePlatform } from '../../src/platform/node/index.ts'
import { PARTS, type Part, type PartFiles, type Proof } from './parts.ts'
import { reportText } from './text.ts'
import { readTorch } from './torch.ts'
import { proveKernel } from '../../src/testing/measure-kernel.ts'
import { measureAll, type Measured } from '../kernels/harness.ts'
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

/** Runs the requested parts. @returns true if all of them were right */
export async function gpuReport(options: ReportOptions): Promise<boolean> {
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
  return right
}

type Save = (content: PartFiles[Part]) => Promise<void>

const RUN: Readonly<Record<Part, (plan: Plan, options: ReportOptions, save: Save) => Promise<boolean>>> = {
  async correctness(plan, _options, save) {
    const gpu = await openGpu({ profile: false })
    const proofs: Proof[] = []
    for (const { pass, sizes, kernels } of subjects(gpu, plan.selection)) {
      for (const kernel of kernels) await addProof(proofs, gpu, pass, sizes, kernel)
      gpu.platform.status?.(`${pass} ${describeSizes(sizes)}`)
      gpu.trim()
    }
    gpu.platform.status?.('')
    await save({ machine: machineOf(gpu), proofs })
    gpu.close()
    return proofs.every(({ failures }) => failures.length === 0)
  },

  async kernels({ selection, matmuls, rounds }, { out }, save) {
    const gpu = await openGpu({ profile: true })
    const machine = machineOf(gpu)
    const products = matmuls.flatMap((side) => DTYPES.map((dtype) => matmulCase(side, dtype)))
    const cases = [...products, ...kernelCases(selection)]
    let saving = Promise.resolve()
    // Written from time to time, so that an aborted run leaves its results.
    const keep = (measured: Measured) => {
      if (measured.rows.length % 25 === 0) saving = saving.then(() => save({ machine, ...measured }))
    }
    const measured = await measureAll(gpu, cases, { rounds }, keep)
    await saving
    await save({ machine, ...measured })
    const subtitle = `${machine.driver}, batch ${selection.batch}, ${machine.date.slice(0, 10)}`
    const svg = rooflineSvg({ ...measured, title: machine.device, subtitle })
    await gpu.platform.files.write(gpu.platform.files.join(out, 'kernels.svg'), svg)
    gpu.close()
    return measured.failures.length === 0
  },

  async steps({ steps, rounds }, _options, save) {
    const machine = await machineHere()
    const rows: StepRow[] = []
    const profiles: string[] = []
    for (const item of steps) {
      // Short steps are repeated more often: a stream of nine has hardly begun.
      const { row, profile } = await measureStep(item, machine.software ? rounds : 4 * rounds)
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

/** Writes the report of all parts found in the folder, including those of earlier commands. */
async function writeReport({ out, torch }: ReportOptions): Promise<void> {
  const { files } = nodePlatform
  const found: Partial<Record<Part, unknown>> = {}
  for (const part of PARTS) {
    const path = files.join(out, `${part}.json`)
    if (await files.exists(path)) found[part] = JSON.parse(await files.readText(path))
  }
  const baseline = torch === undefined ? undefined : readTorch(await files.readText(torch))
  await files.write(files.join(out, 'report.md'), reportText(found as Partial<PartFiles>, baseline))
}
