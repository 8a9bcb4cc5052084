/** Kernel that the tuner found best for a pass, with its time and the rule's. */
export interface TunedPass {
  /** Name of the fastest kernel, as `kernelName` gives it. */
  readonly kernel: string
  /** Milliseconds of that kernel. */
  readonly timeMs: number
  /** Milliseconds of the kernel by rule. */
  readonly ruleMs: number
}

/**
 * Result of the tuner for all passes on one adapter, as it is written to disk. The array in shipped.ts holds such tables
 * for adapters that were measured, with which a first run there begins.
 */
export interface TunedTable {
  /** Adapter for which the table holds, from `gpu.identity`. */
  readonly device: string
  /** Driver for which the table holds, from `gpu.identity`. */
  readonly driver: string
  /** Version of the shaders for which the table holds (see `convolutionShaders`). */
  readonly kernels: string
  /**
   * True if matrix kernels were right and faster in each of the three passes; passes without an entry then use them
   * too.
   */
  readonly matrices?: boolean
  /** Result for each pass, by its `comparisonKey`. */
  readonly passes: Readonly<Record<string, TunedPass>>
}
