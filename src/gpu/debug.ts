import { formatBytes } from '../base/format.ts'
import type { Platform } from '../platform/platform.ts'
import type { PoolBuffer } from './buffers.ts'
import type { DebugLevel } from './debug-level.ts'
import type { OnCompile } from './pipeline-cache.ts'

/**
 * Number of compiled kernels at which the first warning is printed, at least four times what training needs: with sizes as a uniform a step
 * of xresnet18 or xresnet50 compiles 27 to 33 whatever the size of its images (bench/results/steps-lavapipe.md, column
 * pipelines), and as constants 113 to 191 for each size (`gpu.pipelines.count` after steps at 64, 128 and 224 px).
 */
const MANY_KERNELS = { uniform: 128, constant: 1024 }
/** Number of shaders that a warning names. */
const NAMED_SHADERS = 5

/** Returns a function that warns at MANY_KERNELS compiled kernels and each time their number has doubled; at level 4 it prints each. */
export function kernelWatch(platform: Platform, level: DebugLevel, sizes: keyof typeof MANY_KERNELS): OnCompile {
  const counts = new Map<string, number>()
  let count = 0
  let warnAt = MANY_KERNELS[sizes]
  return (shader, { dtype = 'f32', constants = {}, shape = {} }, code) => {
    counts.set(shader, (counts.get(shader) ?? 0) + 1)
    if (level >= 4) {
      const values = Object.entries({ ...constants, ...(sizes === 'constant' ? shape : {}) }).map(
        ([name, value]) => `${name}=${value}`,
      )
      platform.log(`// kernel ${count + 1}: ${[shader, dtype, ...values].join(' ')}\n${code.trimEnd()}`)
    }
    if (++count < warnAt) return
    warnAt *= 2
    const most = [...counts].sort(([, a], [, b]) => b - a).slice(0, NAMED_SHADERS)
    platform.log(
      `${count} kernels compiled, many more than training needs: ${most.map(([name, times]) => `${times} × ${name}`).join(', ')}, …; ` +
        'a value that changes from launch to launch belongs in a buffer, not in `constants`' +
        (sizes === 'constant' ? ", and for sizes that change there is openGpu({ shapes: 'uniform' })" : ''),
    )
  }
}

/** Number of kinds of buffers that are named one by one. */
const NAMED_BUFFERS = 8

/**
 * Returns the text about the buffers in use when the GPU is closed, largest share first. Those of a model, its optimizer
 * and its loaders are included while these are referenced; a count that grows with the number of steps indicates a leak.
 */
export function inUseText(inUse: ReadonlyMap<PoolBuffer, string>): string {
  const kinds = new Map<string, { count: number; bytes: number }>()
  let total = 0
  for (const [{ byteLength }, label] of inUse) {
    const kind = kinds.get(label) ?? { count: 0, bytes: 0 }
    kinds.set(label, { count: kind.count + 1, bytes: kind.bytes + byteLength })
    total += byteLength
  }
  if (inUse.size === 0) return 'closed: no buffer in use'
  const sorted = [...kinds].sort(([, a], [, b]) => b.bytes - a.bytes)
  const named = sorted
    .slice(0, NAMED_BUFFERS)
    .map(([label, { count, bytes }]) => `${count} × ${label} (${formatBytes(bytes)})`)
  if (sorted.length > NAMED_BUFFERS) named.push(`and ${sorted.length - NAMED_BUFFERS} other kinds`)
  return `closed: ${inUse.size} buffers in use, ${formatBytes(total)}, kept or not collected yet: ${named.join(', ')}`
}
