import type { ConvolutionPass } from '../../src/ops/convolution/sizes.ts'
import type { Measured } from '../kernels/harness.ts'
import type { LoaderRow } from '../steps/loader.ts'
import type { Machine } from '../machine/machine.ts'
import type { MemoryRow } from '../steps/memory.ts'
import type { StepRow } from '../steps/step.ts'

/** Names of the parts, in order. Each writes a file of its own, so that they can be run in several commands. */
export const PARTS = ['correctness', 'kernels', 'steps', 'memory', 'loader'] as const
export type Part = (typeof PARTS)[number]

/** Verification of one kernel of one family. */
export interface Proof {
  readonly family: string
  readonly kernel: string
  readonly pass: ConvolutionPass
  readonly dtype: 'f32' | 'f16'
  readonly shapes: number
  /** Largest deviation, relative to the largest number. */
  readonly deviation: number
  readonly failures: readonly string[]
}

/** Contents of the files of the parts. */
export interface PartFiles {
  readonly correctness: { readonly machine: Machine; readonly proofs: readonly Proof[] }
  readonly kernels: { readonly machine: Machine } & Measured
  readonly steps: { readonly machine: Machine; readonly rows: readonly StepRow[]; readonly profiles: readonly string[] }
  readonly memory: { readonly machine: Machine; readonly rows: readonly MemoryRow[] }
  readonly loader: { readonly machine: Machine; readonly data: string; readonly rows: readonly LoaderRow[] }
}
