import { currentGpu, type Gpu } from '../../gpu/device.ts'
import { candidateKernels, defaultKernel, kernelName, ownKernels, type KernelVariant } from './families.ts'
import { passKey, PASSES, type ConvolutionSizes, type ConvolutionPass } from './sizes.ts'

/** One pass of a convolution of certain sizes. */
export interface SizedPass {
  readonly pass: ConvolutionPass
  readonly sizes: ConvolutionSizes
}

/** Kernel variants chosen for the passes of one GPU. */
interface Choices {
  /** Names of variants by `passKey` that are given, as by a checkpoint. */
  readonly given: Map<string, string>
  /** Names of variants by `comparisonKey`, from tables of the tuner. */
  readonly found: Map<string, string>
  /** Variants that run by `passKey`, and the `comparisonKey` of their choice: `undefined` if nothing was compared. */
  readonly kernels: Map<string, { readonly kernel: KernelVariant; readonly comparison: string | undefined }>
  /** Passes that were launched or chosen for, and how often each ran the default variant because none was chosen. */
  readonly launched: Map<string, { readonly subject: SizedPass; uses: number }>
}

const choices = new WeakMap<Gpu, Choices>()

function choicesOf(gpu: Gpu): Choices {
  const known = choices.get(gpu)
  if (known) return known
  const made: Choices = { given: new Map(), found: new Map(), kernels: new Map(), launched: new Map() }
  choices.set(gpu, made)
  return made
}

/**
 * Returns the key of a pass in tables of the tuner: its `passKey`, and the kernels of programs that take part in the comparison,
 * as another kernel may win beside another set of them.
 */
export function comparisonKey({ pass, sizes }: SizedPass): string {
  const own = ownKernels.filter((one) => one.pass === pass && one.takes(sizes)).map(({ version }) => version)
  return passKey(pass, sizes) + (own.length > 0 ? ` beside ${own.sort().join(', ')}` : '')
}

/**
 * Returns the kernel variant of a pass on the current GPU: the chosen one if there is a choice, otherwise the default.
 * Synchronous.
 */
export function kernelFor(pass: ConvolutionPass, sizes: ConvolutionSizes): KernelVariant {
  const gpu = currentGpu()
  const { kernels, launched } = choicesOf(gpu)
  const key = passKey(pass, sizes)
  const known = kernels.get(key)
  if (known) return known.kernel
  const subject = { pass, sizes }
  const seen = launched.get(key) ?? { subject, uses: 0 }
  launched.set(key, seen)
  const chosen = settledKernel(gpu, subject)
  if (chosen) kernels.set(key, { kernel: chosen, comparison: comparisonKey(subject) })
  else seen.uses++
  return chosen ?? defaultKernel(gpu, pass, sizes)
}

/**
 * Sets the kernel variant of a pass on a GPU.
 *
 * @param settled  false for a variant that was not compared with others: the tuner may still do so
 */
export function chooseKernel(gpu: Gpu, subject: SizedPass, kernel: KernelVariant, settled = true): void {
  const { given, kernels, launched } = choicesOf(gpu)
  const key = passKey(subject.pass, subject.sizes)
  given.delete(key)
  if (!launched.has(key)) launched.set(key, { subject, uses: 0 })
  kernels.set(key, { kernel, comparison: settled ? comparisonKey(subject) : undefined })
}

/** Returns the passes that were launched or chosen for so far. */
export function launchedPasses(gpu: Gpu): readonly SizedPass[] {
  return [...choicesOf(gpu).launched.values()].map(({ subject }) => subject)
}

/**
 * Returns how often passes of these sizes were launched with the default variant: the maximum over the three passes,
 * since a first forward pass stands for both gradients too.
 */
export function usesOf(gpu: Gpu, sizes: ConvolutionSizes): number {
  const { launched } = choicesOf(gpu)
  return Math.max(...PASSES.map((pass) => launched.get(passKey(pass, sizes))?.uses ?? 0))
}

/**
 * Returns the names of the chosen kernel variants for a checkpoint: another variant sums in another order, so a resumed
 * run is bit-identical only with the same choices.
 */
export function exportChoices(gpu: Gpu = currentGpu()): Readonly<Record<string, string>> {
  const { given, kernels } = choicesOf(gpu)
  const names = [...kernels].map(([key, { kernel }]) => [key, kernelName(kernel)] as const)
  return Object.fromEntries([...given, ...names])
}

/** Restores choices, for instance from a checkpoint, over others. A name for which this GPU has no variant is ignored. */
export function importChoices(names: Readonly<Record<string, string>>, gpu: Gpu = currentGpu()): void {
  const { given, kernels } = choicesOf(gpu)
  for (const [key, name] of Object.entries(names)) {
    given.set(key, name)
    kernels.delete(key)
  }
}

/** Takes the choices of a table of the tuner, by `comparisonKey`, where nothing else is chosen. */
export function importTable(gpu: Gpu, names: Iterable<readonly [key: string, name: string]>): void {
  const { found, kernels, launched } = choicesOf(gpu)
  for (const [key, name] of names) found.set(key, name)
  // A kernel that was registered after the choice may be in the table.
  for (const [key, { subject }] of launched) {
    const kernel = settledKernel(gpu, subject)
    if (kernel) kernels.set(key, { kernel, comparison: comparisonKey(subject) })
  }
}

/**
 * Returns the kernel variant that is chosen for a pass, also if other kernels have been registered since; `undefined` if none
 * is, or only one that was compared with no other, which proves nothing about it.
 */
export function chosenKernel(gpu: Gpu, subject: SizedPass): KernelVariant | undefined {
  const known = choicesOf(gpu).kernels.get(passKey(subject.pass, subject.sizes))
  return known?.comparison === undefined ? settledKernel(gpu, subject) : known.kernel
}

/**
 * Returns the kernel variant of a pass that is given, or was chosen beside the kernels that are registered now; `undefined` if
 * there is none.
 */
export function settledKernel(gpu: Gpu, subject: SizedPass): KernelVariant | undefined {
  const { given, found, kernels } = choicesOf(gpu)
  const { pass, sizes } = subject
  const key = passKey(pass, sizes)
  const known = kernels.get(key)
  // Most adapters tune nothing, and look at every launch.
  if (!known && found.size === 0 && !given.has(key)) return undefined
  const comparison = comparisonKey(subject)
  if (known && (given.has(key) || known.comparison === comparison)) return known.kernel
  const name = given.get(key) ?? found.get(comparison)
  if (name === undefined) return undefined
  const possible = [defaultKernel(gpu, pass, sizes), ...candidateKernels(gpu, pass, sizes)]
  return possible.find((kernel) => kernelName(kernel) === name)
}

/** Discards all choices of a GPU, so that the default variants run. */
export function forgetChoices(gpu: Gpu = currentGpu()): void {
  choices.delete(gpu)
}
