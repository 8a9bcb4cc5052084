import type { Platform } from '../../platform/platform.ts'

/**
 * Request to stop what a learner is doing, by `Learner.interrupt` or by Ctrl-C. The work itself looks at `requested` and
 * ends within one step.
 */
export class Interruption {
  /** True once the user has asked to stop; it remains true after the work has ended. */
  requested = false
  /** True if the user has asked to stop while nothing was running. */
  private held = false
  /** Number of nested calls that a request interrupts. */
  private depth = 0
  /** Function that stops listening for Ctrl-C. */
  private stopListening: (() => void) | undefined
  private readonly platform: () => Platform

  /** @param platform  returns the platform whose Ctrl-C counts, or throws: loaders, which bring it, may be replaced */
  constructor(platform: () => Platform) {
    this.platform = platform
  }

  /** Asks the work that is running to stop, or the next fit if nothing is running. */
  request(): void {
    this.requested = true
    if (this.depth === 0) this.held = true
  }

  /** Runs work that Ctrl-C interrupts; nested calls share one listener. */
  async during<Result>(what: 'fit' | 'evaluation', work: () => Promise<Result>): Promise<Result> {
    try {
      if (this.depth++ === 0) {
        this.stopListening = this.platform().onInterrupt(() => this.request())
        this.requested = what === 'fit' && this.held
        if (what === 'fit') this.held = false
      }
      return await work()
    } finally {
      if (--this.depth === 0) this.stopListening?.()
    }
  }
}
