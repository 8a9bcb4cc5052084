import { formatTime } from '../../base/format.ts'
import type { Gpu, KernelFamily } from '../../gpu/device.ts'
import { chooseKernel, type SizedPass } from './choices.ts'
import type { KernelVariant } from './families.ts'
import { passLaunches } from './passes.ts'
import { PASSES } from './sizes.ts'

/** Kernel variant of a pass before and after tuning. */
export interface Change {
  readonly subject: SizedPass
  readonly before: KernelVariant
  readonly after: KernelVariant
  /** False if `after` is a default that the tuner has not timed. */
  readonly timed: boolean
}

/** Number of turns in which steps with different kernels are timed. */
const TURNS = 5
/** Duration of a measurement: a step of an xresnet18 takes 4 to 14 ms on an H200. */
const LONG_MS = 50
/** Largest number of steps in one measurement. */
const MOST_STEPS = 20
/**
 * Ratio of the times of a step below which other kernels pay: the variation between steps is 1% on an H200 (the spread of
 * its rows in bench/results/h200.md).
 */
const GAIN = 0.99

/**
 * Keeps the changes of kernels with which a whole step gets faster, and takes the others back: kernels that win on their
 * own, on operands that nothing else uses, may lose among others that share caches and clocks.
 *
 * All changes are tried together first, in turns with the kernels of before; if they do not pay, those of each of the three
 * passes are tried alone.
 *
 * @param step    function that records a step of the chosen kernels; its work is waited for here
 * @param family  family before tuning, of which passes that no change names are
 * @param goOn    function that says if there is time to try passes alone; those not tried are taken back
 * @returns       the changes that were taken back
 */
export async function keepWhatPays(
  gpu: Gpu,
  changes: readonly Change[],
  step: () => void,
  family: KernelFamily,
  goOn: () => boolean,
): Promise<readonly Change[]> {
  const { pipelines, platform } = gpu
  const tuned = gpu.family
  const use = (kept: ReadonlySet<Change>): void => {
    gpu.family = kept.size > 0 ? tuned : family
    for (const change of changes) {
      chooseKernel(gpu, change.subject, kept.has(change) ? change.after : change.before, change.timed)
    }
  }
  // Several at a time, in place of one by one in the first step of each.
  const launches = changes.flatMap(({ subject: { pass, sizes }, before, after }) =>
    [before, after].flatMap((kernel) => passLaunches(pass, sizes, kernel).filter((one) => one !== undefined)),
  )
  await Promise.all(launches.map(({ shader, options }) => pipelines.compileAhead(shader, options)))

  const sets = [new Set(changes), ...PASSES.map((name) => new Set(changes.filter((one) => one.subject.pass === name)))]
  let kept: ReadonlySet<Change> = new Set()
  for (const [i, set] of sets.entries()) {
    // If all changes are of one pass, trying them together has decided about that pass.
    if (set.size === 0 || (i > 0 && (set.size === changes.length || !goOn()))) continue
    const wanted = new Set([...kept, ...set])
    const [beforeMs, afterMs] = await timeInTurns(gpu, step, TURNS, [() => use(kept), () => use(wanted)])
    const pays = afterMs < GAIN * beforeMs
    const what = i === 0 ? `${changes.length} kernels` : `those of ${PASSES[i - 1]}`
    platform.log(
      `tune: a step takes ${formatTime(afterMs)} with ${what}, ${formatTime(beforeMs)} without; ${pays ? 'kept' : 'taken back'}`,
    )
    if (pays) kept = wanted
    if (i === 0 && pays) break
  }
  use(kept)
  return changes.filter((change) => !kept.has(change))
}

/**
 * Returns about how long a whole training step takes with the kernels that are chosen now, in milliseconds. It takes a few
 * steps itself, of which the first compiles.
 *
 * @param step  function that records a step; its work is waited for here
 */
export async function timeStep(gpu: Gpu, step: () => void): Promise<number> {
  // One step, and then as many as are long enough to be timed.
  const [timeMs] = await timeInTurns(gpu, step, 2, [() => {}])
  return timeMs
}

/** Returns the shortest time of one step after each of several preparations, in milliseconds. */
async function timeInTurns(
  gpu: Gpu,
  step: () => void,
  turns: number,
  prepare: readonly (() => void)[],
): Promise<readonly number[]> {
  const { platform, queue } = gpu
  const best = prepare.map(() => Infinity)
  let steps = 1
  // The first turn, −1, compiles kernels that are not ready yet, and its time is not counted.
  for (let turn = -1; turn < turns; turn++) {
    for (const [i, choose] of prepare.entries()) {
      choose()
      const begin = platform.now()
      for (let n = 0; n < steps; n++) {
        step()
        queue.submit()
      }
      await queue.finished()
      const timeMs = (platform.now() - begin) / steps
      if (turn >= 0) best[i] = Math.min(best[i], timeMs)
    }
    if (turn === 0) steps = Math.min(MOST_STEPS, Math.max(1, Math.ceil(LONG_MS / Math.max(Math.min(...best), 1e-3))))
  }
  return best
}
