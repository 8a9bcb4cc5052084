/** Names of the families of kernels, see `KernelFamily`. */
export const KERNEL_FAMILIES = ['broadcast', 'tile', 'matrix'] as const

/**
 * Family of kernels. `broadcast` shares operands by subgroup broadcast and uses no workgroup memory, which suits software
 * adapters; `tile` stages tiles in workgroup memory and needs no device feature; `matrix` multiplies f16 operands on matrix
 * units (emulated, and slow, if there are none) and equals `tile` for everything else.
 */
export type KernelFamily = (typeof KERNEL_FAMILIES)[number]

type Load = () => Promise<unknown>

const loads = new Map<KernelFamily, Set<Load>>()
/** Families whose shaders were asked for. */
const wanted = new Set<KernelFamily>()

/**
 * Declares the shaders of a family that an operation loads only where a GPU uses that family: a page then loads those of one
 * family. Shaders declared after such a GPU was opened are loaded at once.
 */
export function shadersOfFamily(family: KernelFamily, load: Load): void {
  const known = loads.get(family) ?? new Set()
  loads.set(family, known.add(load))
  // A launch before they have arrived reports that they are not loaded.
  if (wanted.has(family)) void load().catch(() => undefined)
}

/** Loads the shaders of families. @throws if one cannot be loaded */
export async function loadShaders(families: readonly KernelFamily[]): Promise<void> {
  for (const family of families) wanted.add(family)
  await Promise.all(families.flatMap((family) => [...(loads.get(family) ?? [])].map((load) => load())))
}
