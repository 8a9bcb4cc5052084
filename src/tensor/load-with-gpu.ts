import { KERNEL_FAMILIES, shadersOfFamily } from '../gpu/kernel-families.ts'

/** Declares a part that few pages use: it is loaded as a GPU is opened, or at once if one was, and not before. */
export function loadWithGpu(load: () => Promise<unknown>): void {
  for (const family of KERNEL_FAMILIES) shadersOfFamily(family, load)
}
