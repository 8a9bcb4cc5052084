import type { Gpu } from '../../src/gpu/device.ts'
import type { ConvolutionSizes } from '../../src/ops/convolution/passes.ts'
import { tune } from '../../src/ops/convolution/tuner.ts'
import {
  measureKernel,
  underRoof,
  type KernelCase,
  type KernelTime,
  type KernelTiming,
  type UnderRoof,
} from '../../src/testing/measure-kernel.ts'
import { higherPeaks, measurePeaks, type Peaks } from '../../src/testing/peaks.ts'

/** Network that runs a kernel at a shape, and how often per step. */
export interface Use {
  /** Name of the network, such as `xresnet18 at 128 px`. */
  readonly network: string
  readonly count: number
}

/** One kernel at one shape of a network. */
export interface Case extends KernelCase {
  readonly uses: readonly Use[]
  /** Convolution to tune before the measurement, if the kernel belongs to one. */
  readonly convolution?: ConvolutionSizes
}

/** Measurement of a case in relation to the roofs of its device. */
export interface Row extends KernelTime, UnderRoof {
  readonly uses: readonly Use[]
}

/** Measurements of many cases; a case that is wrong or does not run has no row. */
export interface Measured {
  readonly peaks: Peaks
  readonly rows: readonly Row[]
  readonly failures: readonly string[]
}

/** Number of convolutions tuned at a time; results are stored after each group. */
const TUNED = 24

/**
 * Verifies and times one case after the other, with the kernel variants that the tuner chooses. The roofs are measured
 * before and after, and the higher ones count, since another process may have interfered.
 *
 * @param gpu    GPU opened with { profile: true }
 * @param timing.over  asked between cases, ends the measurement when it returns true. Default: never
 * @param onRow  called after each case with all rows so far
 */
export async function measureAll(
  gpu: Gpu,
  cases: readonly Case[],
  { over = () => false, ...timing }: KernelTiming & { readonly over?: () => boolean } = {},
  onRow: (soFar: Measured) => void = () => {},
): Promise<Measured> {
  const before = await measurePeaks(gpu)
  const convolutions = cases.flatMap(({ convolution }) => convolution ?? [])
  for (let first = 0; first < convolutions.length && !over(); first += TUNED) {
    await tune({ convolutions: convolutions.slice(first, first + TUNED), stopped: over })
  }
  const timed: Timed[] = []
  const failures: string[] = []
  for (const [i, item] of cases.entries()) {
    if (over()) break
    gpu.platform.status?.(`${i + 1}/${cases.length} ${item.name}`)
    try {
      timed.push({ ...(await measureKernel(gpu, item, timing)), uses: item.uses })
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error)
      failures.push(what.startsWith(item.name) ? what : `${item.name}: ${what}`)
      gpu.platform.log(failures[failures.length - 1])
    }
    onRow({ peaks: before, rows: underRoofs(timed, before), failures })
  }
  gpu.platform.status?.('')
  const peaks = over() ? before : higherPeaks(before, await measurePeaks(gpu))
  return { peaks, rows: underRoofs(timed, peaks), failures }
}

type Timed = KernelTime & Pick<Case, 'uses'>

function underRoofs(timed: readonly Timed[], peaks: Peaks): Row[] {
  return timed.map((row) => ({ ...row, ...underRoof(row, peaks) }))
}
