/** `npm run bench`: kernel microbenchmarks, each proven before it is timed. `npm run bench -- step` times whole steps. */
import { writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { formatTable } from '../src/base/table.ts'
import { openGpu } from '../src/node.ts'
import { cells, HEADINGS, measure, type Row } from './harness.ts'
import { conv2dCases } from './kernels/conv2d.ts'
import { measureStep, stepTable, STEPS, type StepRow } from './step.ts'

const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: 'string' } } })
const [filter = ''] = positionals
const { line, ...where } = await machine()
console.log(line)
const rows = filter === 'step' ? await steps() : await kernels(filter)
if (values.json) await writeFile(values.json, `${JSON.stringify({ ...where, rows }, null, 1)}\n`)

async function steps(): Promise<StepRow[]> {
  const done: StepRow[] = []
  for (const item of STEPS) {
    const { row, profile } = await measureStep(item)
    done.push(row)
    console.log(`\n${stepTable([row])}\n\n${profile}`)
  }
  console.log(`\n${stepTable(done)}`)
  return done
}

async function kernels(wanted: string): Promise<Row[]> {
  const gpu = await openGpu({ profile: true })
  const done: Row[] = []
  for (const item of conv2dCases().filter(({ name }) => name.includes(wanted))) done.push(await measure(gpu, item))
  console.log(done.length > 0 ? formatTable([HEADINGS, ...done.map(cells)]) : `no kernel's name contains '${wanted}'`)
  gpu.close()
  return done
}

/** What the figures were measured on. */
async function machine() {
  const gpu = await openGpu()
  const { name, software } = gpu
  gpu.close()
  return {
    adapter: name, software, date: new Date().toISOString(), node: process.version,
    line: `${name}${software ? `: a software adapter, ${cpus().length} cores. These are figures of a processor, not of a GPU.` : ''}`,
  }
}
