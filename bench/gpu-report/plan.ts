/** Task of a report with a time limit: a process of its own, which can be ended whatever it does. */
export interface Task {
  readonly name: string
  /** Share of the time that is left, beside the weights of the tasks that follow. */
  readonly weight: number
  /** Reason why the task cannot run here. */
  readonly absent?: string
}

/** Outcome of a task of the report. */
export interface TaskEnd {
  readonly name: string
  /** Seconds that it was given, and seconds that it took. */
  readonly slot: number
  readonly seconds: number
  readonly end: 'done' | 'stopped' | 'failed' | 'left out'
  readonly why?: string
}

/** Functions that a plan needs: the clock in milliseconds, and what runs a task for so many seconds at most. */
export interface PlanTools {
  readonly now: () => number
  readonly run: (
    name: string,
    seconds: number,
  ) => Promise<{ readonly end: 'done' | 'stopped' | 'failed'; readonly why?: string }>
  /** Called after every task with all ends so far. */
  readonly write: (ends: readonly TaskEnd[]) => Promise<void>
}

/** Seconds that are kept for writing and for a task that has to be ended. */
const RESERVE = 3
/** Fewest seconds with which a task is begun: loading the program takes one or two. */
const FEWEST = 5

/**
 * Runs tasks in order, the most valuable first. Each may take its share of the time that is left; what it does not take is
 * left to those after it.
 *
 * @param deadline  time of the clock at which everything is written
 */
export async function runPlan(tasks: readonly Task[], deadline: number, tools: PlanTools): Promise<readonly TaskEnd[]> {
  const ends: TaskEnd[] = []
  for (const [i, { name, weight, absent }] of tasks.entries()) {
    const after = tasks.slice(i + 1).filter((task) => task.absent === undefined)
    const weights = after.reduce((sum, task) => sum + task.weight, weight)
    const begin = tools.now()
    const slot = Math.floor((((deadline - begin) / 1000 - RESERVE) * weight) / weights)
    const leave = absent ?? (slot < FEWEST ? 'no time was left' : undefined)
    if (leave !== undefined) ends.push({ name, slot: Math.max(0, slot), seconds: 0, end: 'left out', why: leave })
    else {
      const result = await tools.run(name, slot)
      ends.push({ name, slot, seconds: (tools.now() - begin) / 1000, ...result })
    }
    await tools.write(ends)
  }
  return ends
}
