import { currentGpu, type Gpu } from '../../gpu/device.ts'
import { candidateKernels, defaultKernel, kernelName, type KernelVariant } from './families.ts'
import { passKey, PASSES, type ConvolutionSizes, type ConvolutionPass } from './sizes.ts'

/** One pass of a convolution of certain sizes. */
export interface SizedPass {
  readonly pass: ConvolutionPass
  readonly sizes: ConvolutionSizes
}

/** Kernel variants chosen for the passes of one GPU. */
interface Choices {
  /** Names of chosen variants by `passKey`, from the tuner, a file or a checkpoint. */
  names: Readonly<Record<string, string>>
  /** The same variants by `passKey`, resolved from their names on first use. */
  readonly kernels: Map<string, KernelVariant>
  /** Passes that ran the default variant because none was chosen, and how often each was launched. */
  readonly unknown: Map<string, { readonly subject: SizedPass; uses: number }>
}

const choices = new WeakMap<Gpu, Choices>()

function choicesOf(gpu: Gpu): Choices {
  const known = choices.get(gpu)
  if (known) return known
  const made: Choices = { names: {}, kernels: new Map(), unknown: new Map() }
  choices.set(gpu, made)
  return made
}

/**
 * Returns the kernel variant of a pass on the current GPU: the chosen one if there is a choice, otherwise the default.
 * Synchronous.
 */
export function kernelFor(pass: ConvolutionPass, sizes: ConvolutionSizes): KernelVariant {
  const gpu = currentGpu()
  const { kernels, unknown } = choicesOf(gpu)
  const key = passKey(pass, sizes)
  const known = kernels.get(key)
  if (known) return known
  const chosen = chosenKernel(gpu, { pass, sizes })
  if (chosen) kernels.set(key, chosen)
  else {
    const seen = unknown.get(key)
    if (seen) seen.uses++
    else unknown.set(key, { subject: { pass, sizes }, uses: 1 })
  }
  return chosen ?? defaultKernel(gpu, pass, sizes)
}

/** Sets the kernel variant of a pass on a GPU. */
export function chooseKernel(gpu: Gpu, { pass, sizes }: SizedPass, kernel: KernelVariant): void {
  choicesOf(gpu).kernels.set(passKey(pass, sizes), kernel)
}

/** Returns the passes launched so far for which no kernel variant is chosen. */
export function unknownPasses(gpu: Gpu): readonly SizedPass[] {
  return [...choicesOf(gpu).unknown.values()]
    .map(({ subject }) => subject)
    .filter((subject) => !chosenKernel(gpu, subject))
}

/**
 * Returns how often passes of these sizes were launched with the default variant: the maximum over the three passes,
 * since a first forward pass stands for both gradients too.
 */
export function usesOf(gpu: Gpu, sizes: ConvolutionSizes): number {
  const { unknown } = choicesOf(gpu)
  return Math.max(...PASSES.map((pass) => unknown.get(passKey(pass, sizes))?.uses ?? 0))
}

/**
 * Returns the names of the chosen kernel variants for a checkpoint: another variant sums in another order, so a resumed
 * run is bit-identical only with the same choices.
 */
export function exportChoices(gpu: Gpu = currentGpu()): Readonly<Record<string, string>> {
  const { names, kernels } = choicesOf(gpu)
  return { ...names, ...Object.fromEntries([...kernels].map(([key, kernel]) => [key, kernelName(kernel)])) }
}

/**
 * Restores choices, for instance from a checkpoint. A name for which this GPU has no variant is ignored.
 *
 * @param replace  true to override existing choices. Default true
 */
export function importChoices(names: Readonly<Record<string, string>>, gpu: Gpu = currentGpu(), replace = true): void {
  const known = choicesOf(gpu)
  known.names = replace ? { ...known.names, ...names } : { ...names, ...known.names }
  if (replace) for (const key of Object.keys(names)) known.kernels.delete(key)
}

/** Returns the chosen kernel variant of a pass; `undefined` if none is chosen. */
export function chosenKernel(gpu: Gpu, { pass, sizes }: SizedPass): KernelVariant | undefined {
  const { names, kernels } = choicesOf(gpu)
  const key = passKey(pass, sizes)
  const known = kernels.get(key)
  if (known || names[key] === undefined) return known
  const possible = [defaultKernel(gpu, pass, sizes), ...candidateKernels(gpu, pass, sizes)]
  return possible.find((kernel) => kernelName(kernel) === names[key])
}

/** Discards all choices of a GPU, so that the default variants run. */
export function forgetChoices(gpu: Gpu = currentGpu()): void {
  choices.delete(gpu)
}
