import type { Gpu } from './gpu.ts'

/** Idle time after which a GPU is warmed up again. */
export const IDLE_MS = 100

/** Duration of a warm-up. */
export const WARM_MS = 700

/**
 * Time after a warm-up during which the clock of the GPU is still high, whatever the GPU did since: two thirds of the
 * time after which it falls.
 */
export const HELD_MS = 2000

/**
 * Keeps the clock of a GPU high while it is measured. With little to do for 3 s an H200 lowers its clock from 1,980 to
 * 345 MHz, also between launches that wait for a compiler, and needs 0.5 s of work to raise it again
 * (bench/results/h200.md): work that is timed before that takes up to six times as long.
 */
export class WarmUp {
  private readonly gpu: Pick<Gpu, 'software' | 'platform'>
  private busyUntil = -Infinity
  private warmedAt = -Infinity

  constructor(gpu: Pick<Gpu, 'software' | 'platform'>) {
    this.gpu = gpu
  }

  /**
   * Prepares the GPU for a measurement: repeats work for `WARM_MS`, unless the GPU has worked within the last `IDLE_MS`.
   * Does nothing on a software adapter, whose clock is that of a processor.
   *
   * The duration is fixed, as work that no longer gets faster does not show that the clock is high: at the low clock it
   * takes equally long each time, until the clock rises.
   *
   * @param work    launches work and waits for it
   * @param heldMs  time since the last warm-up within which none is needed. Default 0; `HELD_MS` for many short
   *   measurements, of which each would otherwise cost a warm-up
   */
  async before(work: () => Promise<unknown>, heldMs = 0): Promise<void> {
    const { software, platform } = this.gpu
    if (software) return
    const begin = platform.now()
    if (begin < Math.max(this.busyUntil + IDLE_MS, this.warmedAt + heldMs)) return
    while (platform.now() < begin + WARM_MS) await work()
    this.warmedAt = platform.now()
    this.worked(this.warmedAt)
  }

  /**
   * Notes that the GPU has worked until now, or until a time of the platform's clock. Called after work for which the GPU
   * was prepared: a launch that came after a wait for the compiler raises no clock.
   */
  worked(until?: number): void {
    const { software, platform } = this.gpu
    if (software) return
    this.busyUntil = Math.max(this.busyUntil, until ?? platform.now())
  }
}

const warmUps = new WeakMap<object, WarmUp>()

/** Returns the warm-up of a GPU, which all that measure on it share. */
export function warmUpOf(gpu: Pick<Gpu, 'software' | 'platform'>): WarmUp {
  const made = warmUps.get(gpu) ?? new WarmUp(gpu)
  warmUps.set(gpu, made)
  return made
}
