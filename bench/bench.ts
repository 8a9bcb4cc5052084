/** `npm run bench`: kernels, each proven before it is timed; whole training steps and the loader; the report on a GPU. */
import { existsSync } from 'node:fs'
import { OptionError } from '../src/base/errors.ts'
import { requireExtension } from '../src/base/file-name.ts'
import { nearest } from '../src/base/options.ts'
import { openGpu, sampleData } from '../src/node.ts'
import { KERNEL_FAMILIES } from '../src/gpu/device.ts'
import { nodePlatform } from '../src/platform/node/index.ts'
import { choice, numberIn, parseCommand, runCommand } from '../src/cli/command.ts'
import { gpuReport } from './gpu-report/gpu-report.ts'
import { PARTS } from './gpu-report/parts.ts'
import { CUT_SHORT, timedReport } from './gpu-report/timed-report.ts'
import { measureAll } from './kernels/harness.ts'
import { kernelTable, totals, totalsTable } from './kernels/kernel-table.ts'
import { matmulCase } from './kernels/conv2d.ts'
import { kernelCases, MODELS, type Selection } from './kernels/index.ts'
import { loadOwnKernels } from './kernels/own-kernels.ts'
import { loaderTable, measureLoader } from './steps/loader.ts'
import { machineHere, machineOf, machineText, type Machine } from './machine/machine.ts'
import { memoryTable } from './steps/memory.ts'
import { peaksText } from '../src/testing/peaks.ts'
import { rooflineSvg } from './kernels/roofline.ts'
import { measureMemory, measureStep, stepCases, stepTable, type StepCase, type StepRow } from './steps/step.ts'

const USAGE = `npm run bench -- [FILTER] [options]     kernels whose name contains the text, each proven, then timed
npm run bench -- step [options]         whole training steps, and the loader beside them
npm run bench -- decode                 image files to pixels, by the decoders that there are
npm run bench -- frames                 frames of a page per second while it trains, in Chromium on a software adapter
npm run bench -- report --out DIR       everything that is wanted of a real GPU, as JSON and tables

  --model A,B         ${Object.keys(MODELS).join(', ')} (kernels: both; step: xresnet18)
  --size N,M          pixels a side (kernels: 128, on a GPU 128,224; step: 64, on a GPU 128)
  --batch N           images (16, on a GPU 64)
  --rounds N          that are timed, after two that are not (9)
  --json FILE         the same rows for a machine to read
kernels:
  --all               at 224 pixels too
  --dtype f16,f32     storage types (f16)
  --family NAME       broadcast, tile or matrix, instead of what is chosen for the adapter
  --own FILE          a module that registers kernels of its own (registerConvolutionKernel), timed beside the others
  --picture FILE.svg  the roofline
step:
  --precision P       mixed or f32 (both, on a GPU mixed)
  --part A,B          of steps, loader, memory (steps, loader)
  --data DIR          class folders for the loader (IMAGENETTE_PATH, otherwise a generated sample)
  --images N          of them, at most (400, on a GPU 13394)
report:
  --out DIR           gets a file for each part, and report.md
  --part A,B          of ${PARTS.join(', ')} (all)
  --torch FILE        what PyTorch's baseline printed on the same GPU, to be put beside
  --data DIR          as above
  --minutes N         the most valuable first, as much as fits: correctness, steps, PyTorch, the lesson from files, kernels
                      by their share of a step, the leaderboard's recipe; ends in time, and writes after each
  --tiny              the smallest of everything, to see on any adapter that it runs
`

const OPTIONS = {
  model: { type: 'string' },
  size: { type: 'string' },
  batch: { type: 'string' },
  rounds: { type: 'string' },
  json: { type: 'string' },
  all: { type: 'boolean' },
  dtype: { type: 'string' },
  family: { type: 'string' },
  own: { type: 'string' },
  picture: { type: 'string' },
  precision: { type: 'string' },
  part: { type: 'string' },
  data: { type: 'string' },
  images: { type: 'string' },
  out: { type: 'string' },
  torch: { type: 'string' },
  minutes: { type: 'string' },
  tiny: { type: 'boolean' },
  help: { type: 'boolean' },
} as const

/** Options of each command; those of kernels have no command in front. */
const TAKES: Readonly<Record<string, readonly (keyof typeof OPTIONS)[]>> = {
  '': ['model', 'size', 'batch', 'rounds', 'json', 'all', 'dtype', 'family', 'own', 'picture'],
  step: ['model', 'size', 'batch', 'rounds', 'json', 'precision', 'part', 'data', 'images'],
  decode: [],
  frames: [],
  report: ['out', 'part', 'torch', 'data', 'minutes', 'tiny'],
}

const STEP_PARTS = ['steps', 'loader', 'memory'] as const

async function main(argv: readonly string[]): Promise<void> {
  const { values: given, positionals } = parseCommand('bench', argv, OPTIONS, { positionals: true })
  const [command = '', ...others] = positionals
  if (others.length > 0) {
    throw new OptionError('bench', `'${others.join(' ')}' is one word too many`, {
      expected: 'step, decode, frames, report, or a part of a name',
    })
  }
  if (given.help) return console.log(USAGE)
  requireOptions(command, given)
  if (command === 'report') await report(given)
  else if (command === 'step') await steps(given)
  // Loaded here, since they need decoders, and a driver of browsers, that only a checkout has.
  else if (command === 'decode') console.log(await (await import('./steps/decode.ts')).decodeTable())
  else if (command === 'frames') console.log(await (await import('./frames/frames.ts')).framesTable())
  else await kernels(command, given)
}

type Given = ReturnType<typeof parseCommand<typeof OPTIONS>>['values']

/** Requires options of a command to be its own: those of another would change nothing. */
function requireOptions(command: string, given: Given): void {
  const takes = TAKES[command] ?? TAKES['']
  const other = (Object.keys(given) as (keyof Given)[]).find((option) => option !== 'help' && !takes.includes(option))
  if (other === undefined) return
  const commands = Object.keys(TAKES).filter((one) => TAKES[one].includes(other as never))
  throw new OptionError(
    'bench',
    `--${other} is an option of ${commands.map((one) => one || 'kernels').join(' and ')}`,
    {
      given: { command: command || 'kernels' },
      expected: takes.map((one) => `--${one}`).join(' ') || 'no options',
    },
  )
}

async function kernels(filter: string, given: Given): Promise<void> {
  if (given.picture !== undefined) requireExtension('--picture', given.picture, '.svg')
  if (given.own !== undefined) await loadOwnKernels(given.own)
  const family = given.family === undefined ? undefined : choices('--family', given.family, KERNEL_FAMILIES)[0]
  const gpu = await openGpu({ profile: true, ...(family ? { family } : {}) })
  const machine = machineOf(gpu)
  console.log(machineText(machine))
  const selection: Selection = {
    models: choices('--model', given.model ?? Object.keys(MODELS).join(','), Object.keys(MODELS)),
    sizes: numbers('--size', given.size ?? (gpu.software && !given.all ? '128' : '128,224')),
    dtypes: choices('--dtype', given.dtype ?? 'f16', ['f16', 'f32'] as const),
    batch: number('--batch', given.batch ?? (gpu.software ? '16' : '64')),
  }
  const sides = gpu.software ? [512] : [1024, 4096]
  const matmuls = sides.flatMap((side) => selection.dtypes.map((dtype) => matmulCase(side, dtype)))
  const all = [...matmuls, ...kernelCases(selection)]
  const cases = all.filter(({ name }) => name.includes(filter))
  if (cases.length === 0) {
    const near = nearest(filter, Object.keys(TAKES))
    throw new OptionError('bench', `no kernel's name contains '${filter}'`, {
      expected: `a command, or a part of a name such as ${[...new Set(all.map(({ name }) => name.split(/[ /]/)[0]))].join(', ')}`,
      fix: near && `write ${near}`,
    })
  }
  const { peaks, rows, failures } = await measureAll(gpu, cases, { rounds: roundsOf(given) })
  console.log(`${peaksText(peaks)}\n`)
  console.log(kernelTable(rows))
  const sums = totals(rows)
  if (filter === '' && sums.length > 0) console.log(`\n${totalsTable(sums)}`)
  await writeJson(given, machine, { peaks, rows, failures })
  if (given.picture !== undefined) {
    const subtitle = `${machine.driver}, batch ${selection.batch}, ${machine.date.slice(0, 10)}`
    await nodePlatform.files.write(given.picture, rooflineSvg({ rows, peaks, title: machine.device, subtitle }))
  }
  gpu.close()
  if (failures.length > 0) {
    console.log(`\nwrong, and not timed:\n${failures.join('\n')}`)
    process.exitCode = 1
  }
}

async function steps(given: Given): Promise<void> {
  const machine = await machineHere()
  console.log(machineText(machine))
  const parts = choices('--part', given.part ?? 'steps,loader', STEP_PARTS)
  const cases = stepsAsked(given, machine.software)
  const rounds = roundsOf(given)
  const done: StepRow[] = []
  for (const item of parts.includes('steps') ? cases : []) {
    const { row, profile } = await measureStep(item, rounds)
    done.push(row)
    console.log(`\n${stepTable([row])}\n\n${profile}`)
  }
  if (done.length > 1) console.log(`\n${stepTable(done)}`)
  const memory = []
  for (const item of parts.includes('memory') ? memoryAsked(given, cases) : []) memory.push(await measureMemory(item))
  if (memory.length > 0) console.log(`\n${memoryTable(memory)}`)
  const loader = []
  if (parts.includes('loader')) {
    const images = number('--images', given.images ?? (machine.software ? '400' : '13394'))
    const path = dataOf(given) ?? (await sampleData({ images: Math.min(images, 1600), platform: nodePlatform }))
    loader.push(await measureLoader(cases[0], { path, images }))
    console.log(`\nimages: ${path}\n${loaderTable(loader)}`)
  }
  await writeJson(given, machine, { steps: done, memory, loader })
}

function stepsAsked(given: Given, software: boolean): readonly StepCase[] {
  const { model, size, batch, precision } = given
  if ([model, size, batch, precision].every((option) => option === undefined)) return stepCases(software)
  const precisions = choices('--precision', precision ?? 'mixed', ['mixed', 'f32'] as const)
  return choices('--model', model ?? 'xresnet18', Object.keys(MODELS)).flatMap((name) =>
    numbers('--size', size ?? (software ? '64' : '128')).flatMap((side) =>
      numbers('--batch', batch ?? (software ? '16' : '64')).flatMap((batchSize) =>
        precisions.map((each) => ({ model: name, batchSize, size: side, precision: each })),
      ),
    ),
  )
}

/**
 * Returns the cases whose memory is reported: the given ones if the model, size or batch was named, otherwise the
 * defaults.
 */
function memoryAsked({ model, size, batch }: Given, cases: readonly StepCase[]): readonly StepCase[] {
  const asked = [model, size, batch].some((option) => option !== undefined)
  return asked ? cases : [{ model: 'xresnet18', batchSize: 64, size: 128, precision: 'mixed' }]
}

async function report(given: Given): Promise<void> {
  if (given.out === undefined) {
    throw new OptionError('bench report', 'there is no folder to write to', { fix: 'give --out DIR' })
  }
  // Before hours of work, not after.
  for (const [option, path] of [
    ['--torch', given.torch],
    ['--data', dataOf(given)],
  ]) {
    if (path !== undefined && !existsSync(path)) {
      throw new OptionError('bench report', 'there is no such file or folder', { given: { [option as string]: path } })
    }
  }
  const machine = await machineHere()
  console.log(machineText(machine))
  const options = { out: given.out, tiny: given.tiny ?? false, torch: given.torch, data: dataOf(given) }
  if (given.minutes !== undefined) {
    if (given.part !== undefined) throw new OptionError('bench report', '--minutes chooses the parts by itself')
    const minutes = numberIn('--minutes', given.minutes, 0, 600)
    if (!(await timedReport({ ...options, minutes, software: machine.software }))) process.exitCode = 1
    return
  }
  const until = nodePlatform.env('WGRAD_REPORT_UNTIL')
  const { right, complete } = await gpuReport({
    ...options,
    ...(until === undefined ? {} : { until: Number(until) }),
    parts: choices('--part', given.part ?? PARTS.join(','), PARTS),
  })
  if (!right) process.exitCode = 1
  else if (!complete) process.exitCode = CUT_SHORT
}

async function writeJson({ json }: Given, machine: Machine, content: object): Promise<void> {
  if (json !== undefined) await nodePlatform.files.write(json, `${JSON.stringify({ machine, ...content }, null, 1)}\n`)
}

function dataOf({ data }: Given): string | undefined {
  return data ?? nodePlatform.env('IMAGENETTE_PATH')
}

function roundsOf({ rounds }: Given): number {
  return number('--rounds', rounds ?? '9')
}

function choices<Choice extends string>(option: string, given: string, known: readonly Choice[]): Choice[] {
  return given.split(',').map((text) => choice(option, text.trim(), known))
}

function numbers(option: string, given: string): number[] {
  return given.split(',').map((text) => number(option, text))
}

function number(option: string, text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new OptionError(option, `'${text}' is no whole number from 1 on`)
  return value
}

await runCommand(main)
