import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { reportTasks, runPlan, type Task, type TaskEnd } from '../../bench/gpu-report/plan.ts'
import { timedText } from '../../bench/gpu-report/text.ts'

describe('a plan with a time limit', () => {
  /** Runs tasks by a clock of its own, each for the seconds that it wants, or until it is ended. */
  async function planned(tasks: readonly Task[], minutes: number, wants: Readonly<Record<string, number>>) {
    let now = 5_000_000
    const begin = now
    const written: string[][] = []
    const ends = await runPlan(tasks, begin + 60_000 * minutes, {
      now: () => now,
      async run(name, seconds) {
        now += 1000 * Math.min(wants[name], seconds)
        return wants[name] > seconds ? { end: 'stopped', why: 'its time was over' } : { end: 'done' }
      },
      write: async (soFar) => void written.push(soFar.map(({ name }) => name)),
    })
    return { ends, written, seconds: (now - begin) / 1000 }
  }
  const tasks: readonly Task[] = [
    { name: 'first', weight: 1 },
    { name: 'absent', weight: 8, absent: 'there is no GPU' },
    { name: 'second', weight: 2 },
    { name: 'third', weight: 1 },
  ]
  const brief = ({ name, slot, seconds, end }: TaskEnd) => [name, slot, seconds, end]

  test('divides it by weight among those that can run, the most valuable first', async () => {
    const { ends, written, seconds } = await planned(tasks, 2, { first: 900, second: 900, third: 900 })
    expect(ends.map(brief)).toEqual([
      ['first', 29, 29, 'stopped'],
      ['absent', 64, 0, 'left out'],
      ['second', 58, 58, 'stopped'],
      ['third', 30, 30, 'stopped'],
    ])
    expect(seconds).toBeLessThanOrEqual(120)
    expect(written.at(-1)).toEqual(['first', 'absent', 'second', 'third'])
    expect(written.length).toBe(4)
  })

  test('leaves what one does not take to those after it', async () => {
    const { ends } = await planned(tasks, 2, { first: 3, second: 90, third: 900 })
    expect(ends.map(brief)).toEqual([
      ['first', 29, 3, 'done'],
      ['absent', 82, 0, 'left out'],
      ['second', 76, 76, 'stopped'],
      ['third', 38, 38, 'stopped'],
    ])
  })

  test('begins nothing for which no time is left', async () => {
    const { ends, seconds } = await planned(tasks, 0.2, { first: 900, second: 900, third: 900 })
    expect(ends.map(({ end }) => end)).toEqual(['left out', 'left out', 'stopped', 'left out'])
    expect(seconds).toBeLessThanOrEqual(12)
  })

  test('gives what is left in the end to the first that was stopped and may run again', async () => {
    const { ends, written, seconds } = await planned(
      [
        { name: 'lesson', weight: 1 },
        { name: 'steps', weight: 1, repeats: true },
        { name: 'kernels', weight: 1, repeats: true },
        { name: 'recipe', weight: 3 },
      ],
      4,
      { lesson: 900, steps: 100, kernels: 80, recipe: 5 },
    )
    expect(ends.map(brief)).toEqual([
      ['lesson', 39, 39, 'stopped'],
      ['steps', 115, 100, 'done'],
      // What is left then, 15 s, is less than it had.
      ['kernels', 39, 39, 'stopped'],
      ['recipe', 120, 5, 'done'],
    ])
    expect(written.length).toBe(5)
    expect(seconds).toBeLessThanOrEqual(240)
  })

  describe('of the report with eight minutes', () => {
    const all = ['correctness', 'steps', 'pytorch', 'lesson', 'kernels', 'recipe']

    test('uses them, where everything would take longer', async () => {
      const { ends, written, seconds } = await planned(
        reportTasks({}),
        8,
        Object.fromEntries(all.map((name) => [name, 9000])),
      )
      expect(ends.map(brief)).toEqual([
        ['correctness', 66, 66, 'stopped'],
        ['steps', 95, 95, 'stopped'],
        ['pytorch', 105, 105, 'stopped'],
        ['lesson', 95, 95, 'stopped'],
        ['kernels', 67, 67, 'stopped'],
        ['recipe', 49, 49, 'stopped'],
      ])
      expect(seconds).toBe(477)
      // After every part, with all so far.
      expect(written).toEqual(all.map((_, i) => all.slice(0, i + 1)))
    })

    test('ends sooner where everything is done, as on a software adapter', async () => {
      const wants = { correctness: 20, steps: 30, lesson: 40, kernels: 20, recipe: 60 }
      const { ends, seconds } = await planned(reportTasks({ pytorch: 'there is no GPU' }), 8, wants)
      expect(ends.map(({ end }) => end)).toEqual(['done', 'done', 'left out', 'done', 'done', 'done'])
      expect(seconds).toBe(170)
    })

    test('uses what quick parts leave for one that was cut short', async () => {
      const wants = { correctness: 300, steps: 30, pytorch: 40, lesson: 15, kernels: 40, recipe: 60 }
      const { ends, seconds } = await planned(reportTasks({}), 8, wants)
      expect(ends.map(({ end }) => end)).toEqual(['stopped', 'done', 'done', 'done', 'done', 'done'])
      expect(ends[0]).toMatchObject({ slot: 226, seconds: 226 })
      expect(seconds).toBe(477)
    })
  })

  test('and its tables say what was given, taken, and why something is missing', () => {
    const text = timedText(
      [
        { name: 'steps', slot: 30, seconds: 29.6, end: 'stopped', why: 'its time was over' },
        { name: 'lesson', slot: 40, seconds: 12, end: 'done' },
      ],
      (name) => (name === 'lesson' ? ['epoch  train_loss', '0      2.1'] : []),
    ).join('\n')
    expect(text).toContain('| steps | 30 | 30 | stopped: its time was over |')
    expect(text).toContain('| lesson | 40 | 12 | done |')
    expect(text).toContain('## Epochs of lesson, from image files\n\n```\nepoch  train_loss\n0      2.1\n```')
    expect(text).not.toContain('Epochs of steps')
  })
})

test('the report ends in time on any adapter, with a table of what it has', () => {
  const out = mkdtempSync(join(tmpdir(), 'wgrad-report-'))
  try {
    const program = fileURLToPath(new URL('../../dist/bench/bench.js', import.meta.url))
    const begin = performance.now()
    const { status } = spawnSync(process.execPath, [program, 'report', '--out', out, '--minutes', '0.6', '--tiny'])
    // Loading the program, drawing the images, and writing take a moment on a busy machine.
    expect((performance.now() - begin) / 1000).toBeLessThan(36 + 30)
    const ends = JSON.parse(readFileSync(join(out, 'plan.json'), 'utf8')) as TaskEnd[]
    expect(ends.map(({ name }) => name)).toEqual(['correctness', 'steps', 'pytorch', 'lesson', 'kernels', 'recipe'])
    expect(ends.find(({ name }) => name === 'pytorch')?.end).toBe('left out')
    expect(ends.filter(({ end }) => end === 'failed')).toEqual([])
    expect(status).toBe(0)
    const report = readFileSync(join(out, 'report.md'), 'utf8')
    expect(report).toContain('## What was measured in the time')
    for (const { name } of ends) expect(report).toContain(`| ${name} |`)
  } finally {
    rmSync(out, { recursive: true })
  }
})
