/** Task of a report with a time limit: a process of its own, which can be ended whatever it does. */
export interface Task {
  readonly name: string
  /** Share of the time that is left, beside the weights of the tasks that follow. */
  readonly weight: number
  /** Reason why the task cannot run here. */
  readonly absent?: string
  /** True if the task may run a second time, with more time, and then writes its results anew. */
  readonly repeats?: boolean
}

/** Names of the tasks of the report and their weights, in the order of their value. */
export const WEIGHTS = { correctness: 14, steps: 20, pytorch: 22, lesson: 20, kernels: 14, recipe: 10 } as const
export type TaskName = keyof typeof WEIGHTS
/** Tasks whose second run replaces the first: parts of the report, which write one file each. */
const REPEATS: readonly string[] = ['correctness', 'steps', 'kernels'] satisfies readonly TaskName[]

/** Returns the tasks of the report. @param absent  reasons why some cannot run here */
export function reportTasks(absent: Partial<Readonly<Record<TaskName, string | undefined>>>): readonly Task[] {
  return Object.entries(WEIGHTS).map(([name, weight]) => {
    const why = absent[name as TaskName]
    return { name, weight, repeats: REPEATS.includes(name), ...(why === undefined ? {} : { absent: why }) }
  })
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
 * left to those after it, and what is left in the end to the first that was stopped, if that is more than it had.
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
  for (const [i, { name, repeats = false }] of tasks.entries()) {
    const begin = tools.now()
    const slot = Math.floor((deadline - begin) / 1000 - RESERVE)
    if (!repeats || ends[i].end !== 'stopped' || slot <= ends[i].slot) continue
    const result = await tools.run(name, slot)
    ends[i] = { name, slot, seconds: (tools.now() - begin) / 1000, ...result }
    await tools.write(ends)
  }
  return ends
}
