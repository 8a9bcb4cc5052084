import { currentGpu, type Gpu } from '../../gpu/device.ts'
import { candidateKernels, defaultKernel, kernelName, type Kernel } from './families.ts'
import { passKey, PASSES, type ConvolutionSizes, type Pass } from './sizes.ts'

/** A pass that was launched, and may want tuning. */
export interface ConvolutionPass {
  readonly pass: Pass
  readonly sizes: ConvolutionSizes
}

/** What is known about the kernels of a GPU. */
interface Choices {
  /** Names of chosen kernels by `passKey`, from the tuner, a file or a checkpoint. */
  names: Readonly<Record<string, string>>
  /** The same as kernels, once they were looked up. */
  readonly kernels: Map<string, Kernel>
  /** Passes that ran by rule, nothing being known about them, and how often each was recorded. */
  readonly unknown: Map<string, { readonly subject: ConvolutionPass; uses: number }>
}

const choices = new WeakMap<Gpu, Choices>()

function choicesOf(gpu: Gpu): Choices {
  const known = choices.get(gpu)
  if (known) return known
  const made: Choices = { names: {}, kernels: new Map(), unknown: new Map() }
  choices.set(gpu, made)
  return made
}

/** The kernel that a pass runs in on the current GPU: the chosen one where there is a choice, else the one by rule. Never waits. */
export function kernelFor(pass: Pass, sizes: ConvolutionSizes): Kernel {
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

/** Fixes the kernel of a pass on a GPU. */
export function chooseKernel(gpu: Gpu, { pass, sizes }: ConvolutionPass, kernel: Kernel): void {
  choicesOf(gpu).kernels.set(passKey(pass, sizes), kernel)
}

/** Passes launched so far for which no kernel is chosen. */
export function unknownPasses(gpu: Gpu): readonly ConvolutionPass[] {
  return [...choicesOf(gpu).unknown.values()]
    .map(({ subject }) => subject)
    .filter((subject) => !chosenKernel(gpu, subject))
}

/** How often passes of these sizes were recorded by rule: the most of the three, as a first forward pass tells of the gradients too. */
export function usesOf(gpu: Gpu, sizes: ConvolutionSizes): number {
  const { unknown } = choicesOf(gpu)
  return Math.max(...PASSES.map((pass) => unknown.get(passKey(pass, sizes))?.uses ?? 0))
}

/**
 * The chosen kernels by name, for a checkpoint: another kernel sums in another order, so a resumed run is the same to
 * the last bit only with the same choices.
 */
export function exportChoices(gpu: Gpu = currentGpu()): Readonly<Record<string, string>> {
  const { names, kernels } = choicesOf(gpu)
  return { ...names, ...Object.fromEntries([...kernels].map(([key, kernel]) => [key, kernelName(kernel)])) }
}

/**
 * Takes over choices, as from a checkpoint. A name that this GPU has no kernel for counts as unknown.
 *
 * @param replace  whether they win over those there are. Default true
 */
export function importChoices(names: Readonly<Record<string, string>>, gpu: Gpu = currentGpu(), replace = true): void {
  const known = choicesOf(gpu)
  known.names = replace ? { ...known.names, ...names } : { ...names, ...known.names }
  if (replace) for (const key of Object.keys(names)) known.kernels.delete(key)
}

/** The chosen kernel of a pass, if there is one. */
export function chosenKernel(gpu: Gpu, { pass, sizes }: ConvolutionPass): Kernel | undefined {
  const { names, kernels } = choicesOf(gpu)
  const key = passKey(pass, sizes)
  const known = kernels.get(key)
  if (known || names[key] === undefined) return known
  const possible = [defaultKernel(gpu, pass, sizes), ...candidateKernels(gpu, pass, sizes)]
  return possible.find((kernel) => kernelName(kernel) === names[key])
}

/** Forgets every choice: what runs next runs by rule. */
export function forgetChoices(gpu: Gpu = currentGpu()): void {
  choices.delete(gpu)
}
