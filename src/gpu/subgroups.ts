/** Subgroups of an adapter, as far as kernels can rely on their width. */
export interface Subgroups {
  /** Number of lanes; 0 if kernels cannot know it. */
  readonly size: number
  /** True if the adapter has several widths and kernels ask for this one, by `@subgroup_size`. */
  readonly pinned: boolean
  /** Reason for a size of 0, as the end of a sentence that begins with the adapter. */
  readonly refusal?: string
}

/** Width to ask for where there is a choice: NVIDIA's, Apple's and AMD's usual one, and the widest of Intel's. */
const USUAL_SIZE = 32
/** Fewest lanes that share operands: shaders/lib/broadcast-tile.wgsl broadcasts four values at a time. */
const FEWEST = 4

/**
 * Returns the subgroups that kernels can rely on: those of the adapter if all have one width, otherwise of a width that
 * kernels choose, where the adapter allows it (AMD has 32 and 64, Intel 8 to 32, Adreno 64 and 128).
 */
export function subgroupsOf(info: GPUAdapterInfo, features: ReadonlySet<string>): Subgroups {
  const { subgroupMinSize: least = 0, subgroupMaxSize: most = 0 } = info
  const none = (refusal: string): Subgroups => ({ size: 0, pinned: false, refusal })
  if (!features.has('subgroups') || most === 0) return none('has no subgroups')
  const pinned = least !== most
  if (pinned && !features.has('subgroup-size-control')) {
    return none(`has subgroups of ${least} to ${most} lanes, and no feature subgroup-size-control to choose one`)
  }
  const size = pinned && least <= USUAL_SIZE && USUAL_SIZE <= most ? USUAL_SIZE : most
  return size < FEWEST ? none(`has subgroups of ${size} lanes, and kernels need ${FEWEST} or more`) : { size, pinned }
}
