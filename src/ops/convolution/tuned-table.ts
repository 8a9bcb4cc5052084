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
  /** `gpu.identity` and `kernelsVersion()`, of which everything here holds. */
  readonly device: string
  readonly driver: string
  readonly kernels: string
  /** True where matrix kernels were right and faster in each of the three passes: then what is not in the table runs in them. */
  readonly matrices?: boolean
  /** Result for each pass, by its `passKey`. */
  readonly passes: Readonly<Record<string, TunedPass>>
}
