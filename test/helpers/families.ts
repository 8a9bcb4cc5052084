import { KERNEL_FAMILIES, type Gpu, type KernelFamily } from '../../src/gpu/device.ts'

/** Set by the projects in vitest.config.ts: `own` or `others`, and nothing where a test file is run once. */
const part = process.env.TEST_FAMILIES

/**
 * The kernel families that a test file proves in this run of it: the adapter's own in the project `native`, the others in the
 * project `short vectors`. Family `broadcast` is not among them where there are no subgroups.
 *
 * @param proven  families that the file proves in all its runs together. Default: all
 */
export function testFamilies(gpu: Gpu, proven: readonly KernelFamily[] = KERNEL_FAMILIES): readonly KernelFamily[] {
  const there = proven.filter((family) => family !== 'broadcast' || gpu.subgroupSize > 0)
  if (part === undefined) return there
  const wanted = there.filter((family) => (family === gpu.family) === (part === 'own'))
  // A file without a test would fail.
  return wanted.length > 0 ? wanted : there
}

/** Values of a test that no family changes and that takes long: none of them in the second run of its file. */
export function once<Value>(values: readonly Value[]): readonly Value[] {
  return part === 'others' ? [] : values
}
