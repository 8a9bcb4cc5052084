import { currentGpu, type Gpu } from '../../gpu/device.ts'
import { candidateKernels, defaultKernel, kernelName, type Kernel } from './families.ts'
import { passKey, type ConvolutionSizes, type Pass } from './sizes.ts'

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
  /** Passes that ran by rule, nothing being known about them. */
  readonly unknown: Map<string, ConvolutionPass>
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
  const { names, kernels, unknown } = choicesOf(gpu)
  const key = passKey(pass, sizes)
  const known = kernels.get(key)
  if (known) return known
  const name = names[key]
  const chosen = name === undefined ? undefined : candidateKernels(gpu, pass, sizes).find((kernel) => kernelName(kernel) === name)
  if (chosen) kernels.set(key, chosen)
  else unknown.set(key, { pass, sizes })
  return chosen ?? defaultKernel(gpu, pass, sizes)
}

/** Fixes the kernel of a pass on a GPU. */
export function chooseKernel(gpu: Gpu, { pass, sizes }: ConvolutionPass, kernel: Kernel): void {
  const { kernels, unknown } = choicesOf(gpu)
  kernels.set(passKey(pass, sizes), kernel)
  unknown.delete(passKey(pass, sizes))
}

/** Passes launched so far for which no kernel was chosen. */
export function unknownPasses(gpu: Gpu): readonly ConvolutionPass[] {
  return [...choicesOf(gpu).unknown.values()]
}

/**
 * The chosen kernels by name, for a checkpoint: another kernel sums in another order, so a resumed run is the same to
 * the last bit only with the same choices.
 */
export function exportChoices(gpu: Gpu = currentGpu()): Readonly<Record<string, string>> {
  const { names, kernels } = choicesOf(gpu)
  return { ...names, ...Object.fromEntries([...kernels].map(([key, kernel]) => [key, kernelName(kernel)])) }
}

/** Adds choices to those there are, over which they win. A name that this GPU has no kernel for counts as unknown. */
export function importChoices(names: Readonly<Record<string, string>>, gpu: Gpu = currentGpu()): void {
  const known = choicesOf(gpu)
  known.names = { ...known.names, ...names }
  for (const key of Object.keys(names)) {
    known.kernels.delete(key)
    known.unknown.delete(key)
  }
}

/** Forgets every choice: what runs next runs by rule. */
export function forgetChoices(gpu: Gpu = currentGpu()): void {
  choices.delete(gpu)
}
