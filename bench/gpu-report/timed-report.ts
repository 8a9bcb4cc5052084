import { spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sampleData } from '../../src/node.ts'
import { nodePlatform } from '../../src/platform/node/index.ts'
import type { ReportOptions } from './gpu-report.ts'
import { reportTasks, runPlan, type TaskName } from './plan.ts'
import { readTorch } from './torch.ts'
import { timedText } from './text.ts'
import { writeReport } from './written.ts'

export interface TimedOptions extends Omit<ReportOptions, 'parts' | 'until'> {
  readonly minutes: number
  /** True on a software adapter, which gets the smallest version of everything. */
  readonly software: boolean
}

/** Folder of the built programs, dist/bench. */
const programs = fileURLToPath(new URL('..', import.meta.url))
const root = join(programs, '..', '..')

/** Places of PyTorch's baseline: as packed for a machine without the repository beside it, and in the repository's company. */
const BASELINES = [join('.gpu', 'torch_gpu_baseline.py'), join('..', 'shared', 'tools', 'torch_gpu_baseline.py')]

/** Seconds before the end of its slot at which a task is asked to end, so that it writes what it has. */
const GRACE = 3

/** Words of the lesson about a network that guesses, with which it exits as if it had failed. */
const UNTAUGHT = 'DID NOT LEARN'

/** File that PyTorch's figures are collected in. */
export const TORCH_FILE = 'torch.jsonl'

/**
 * Runs the report within a number of minutes: correctness, training steps with the default kernels and the tuned, PyTorch's
 * figures, the lesson from image files, kernels by their share of a step, and the leaderboard's recipe. Each is a process
 * that is ended when its time is over; tables are written after each.
 *
 * @returns true if none has failed
 */
export async function timedReport(options: TimedOptions): Promise<boolean> {
  const out = resolve(options.out)
  const baseline = BASELINES.map((file) => join(root, file)).find(existsSync)
  const data = options.data ?? (await sampleData({ images: options.software ? 100 : 1600, platform: nodePlatform }))
  mkdirSync(out, { recursive: true })
  // A run refuses the folder of another, and this report is written in place of one before.
  for (const name of ['lesson', 'recipe']) rmSync(join(out, name), { recursive: true, force: true })
  const torch = options.torch ?? join(out, TORCH_FILE)
  const small = options.tiny || options.software
  const commands = commandsOf({ ...options, out, torch, data, small, baseline })
  const pytorch = options.torch
    ? 'its figures were given'
    : options.software
      ? 'there is no GPU that it could be compared on'
      : baseline === undefined
        ? 'torch_gpu_baseline.py is not here'
        : undefined
  const ends = await runPlan(reportTasks({ pytorch }), 60_000 * options.minutes, {
    // Since this program was started.
    now: () => performance.now(),
    async run(name, seconds) {
      nodePlatform.log(`report: ${name}, ${seconds} s at most`)
      const result = await ended(commands[name as TaskName], {
        out,
        name,
        seconds,
        cwd: baseline ? dirname(baseline) : out,
      })
      const taught =
        !small || result.end !== 'failed' || !readFileSync(join(out, `${name}.log`), 'utf8').includes(UNTAUGHT)
      return taught ? result : { end: 'done', why: 'so few images teach nothing' }
    },
    async write(ends) {
      const { files } = nodePlatform
      await files.write(files.join(out, 'plan.json'), `${JSON.stringify(ends, null, 1)}\n`)
      const figures = readTorchFile(torch)
      await writeReport(
        { out, torch: figures ? torch : undefined },
        timedText(ends, (name) => epochLines(out, name)),
      )
    },
  })
  nodePlatform.log(`written: ${join(out, 'report.md')}`)
  // PyTorch may not be installed.
  return ends.every(({ name, end }) => end !== 'failed' || name === 'pytorch')
}

interface Commands extends Omit<TimedOptions, 'torch'> {
  readonly torch: string
  readonly data: string
  readonly small: boolean
  readonly baseline: string | undefined
}

function commandsOf({ out, data, small, baseline }: Commands): Readonly<Record<TaskName, readonly string[]>> {
  const node = (program: string, ...args: string[]) => [process.execPath, join(programs, program), ...args]
  const part = (name: string) =>
    node('bench.js', 'report', '--out', out, '--part', name, '--data', data, ...(small ? ['--tiny'] : []))
  const lesson = small
    ? ['--profile', 'quick', '--valid', '0.2', '--limit', '60', '--size', '32', '--epochs', '1', '--batch-size', '8']
    : ['--profile', 'full', '--epochs', '5']
  const recipe = small
    ? ['--limit', '120', '--size', '32', '--epochs', '1', '--batch-size', '8']
    : ['--size', '128', '--epochs', '5']
  return {
    correctness: part('correctness'),
    steps: part('steps'),
    pytorch: ['python3', baseline ?? '', '--quick'],
    lesson: node('imagenette.js', '--data', data, '--only', 'normalize', ...lesson, '--out', join(out, 'lesson')),
    kernels: part('kernels'),
    recipe: node('recipe.js', '--leaderboard', '--data', data, ...recipe, '--out', join(out, 'recipe')),
  }
}

interface Ending {
  readonly out: string
  readonly name: string
  readonly seconds: number
  readonly cwd: string
}

/** Runs a command, which is asked to end shortly before its time is over and is ended then; its output goes to a file. */
function ended(
  [command, ...args]: readonly string[],
  { out, name, seconds, cwd }: Ending,
): Promise<{ end: 'done' | 'stopped' | 'failed'; why?: string }> {
  const log = join(out, name === 'pytorch' ? TORCH_FILE : `${name}.log`)
  const output = openSync(log, 'w')
  const errors = name === 'pytorch' ? openSync(join(out, 'pytorch.log'), 'w') : output
  const child = spawn(command, args, {
    // Programs of ours find what they need beside themselves, and write to `out`.
    cwd: name === 'pytorch' ? cwd : process.cwd(),
    // Until when a part of the report measures: see `ReportOptions.until`.
    env: { ...process.env, WGRAD_REPORT_UNTIL: String(Date.now() + 1000 * (seconds - GRACE)) },
    stdio: ['ignore', output, errors],
  })
  let stopped = false
  const ask = setTimeout(
    () => {
      stopped = true
      child.kill('SIGINT')
    },
    1000 * (seconds - GRACE + 1),
  )
  const end = setTimeout(() => child.kill('SIGKILL'), 1000 * seconds)
  return new Promise((settle) => {
    const close = (result: { end: 'done' | 'stopped' | 'failed'; why?: string }) => {
      clearTimeout(ask)
      clearTimeout(end)
      closeSync(output)
      if (errors !== output) closeSync(errors)
      settle(result)
    }
    child.on('error', (error) => close({ end: 'failed', why: error.message }))
    child.on('close', (code) => {
      if (stopped || code === CUT_SHORT) close({ end: 'stopped', why: 'its time was over' })
      else if (code === 0) close({ end: 'done' })
      else {
        close({
          end: 'failed',
          why: `exit code ${code}: ${reasonIn(errors === output ? log : join(out, 'pytorch.log'))}`,
        })
      }
    })
  })
}

/** Exit code of a part of the report that stopped by itself when its time was over. */
export const CUT_SHORT = 75

/** Returns the line of a log that says why the program ended: that of its last error, whose message goes on below. */
function reasonIn(file: string): string {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  return lines.findLast((line) => /^[\w.]*Error: /.test(line)) ?? lines.at(-1) ?? ''
}

/** Returns the tables of epochs that a program printed. */
function epochLines(out: string, name: string): string[] {
  const file = join(out, `${name}.log`)
  if (!existsSync(file)) return []
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => /^epoch +train_loss|^\d+ +\d+\.\d+/.test(line))
}

/** Returns PyTorch's figures if a file has some. */
function readTorchFile(file: string): ReturnType<typeof readTorch> | undefined {
  if (!existsSync(file)) return undefined
  const text = readFileSync(file, 'utf8')
  return text.includes('"torch"') ? readTorch(text) : undefined
}
