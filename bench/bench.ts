/** `npm run bench`: kernel microbenchmarks, each proven before it is timed. `npm run bench -- step` times whole steps. */
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { formatTable } from '../src/base/table.ts'
import { openGpuOn } from '../src/gpu/device.ts'
import { nodePlatform } from '../src/platform/node/index.ts'
import { cells, HEADINGS, measure, type Row } from './harness.ts'
import { conv2dCases } from './kernels/conv2d.ts'

const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: 'string' } } })
const filter = positionals[0] ?? ''

const gpu = await openGpuOn(nodePlatform, { profile: true })
console.log(`${gpu.name}${gpu.software ? ' (software adapter: figures of the CPU, not of a GPU)' : ''}`)
const rows: Row[] = []
for (const item of conv2dCases()) {
  if (!item.name.includes(filter)) continue
  rows.push(await measure(gpu, item))
  console.log(formatTable([cells(rows[rows.length - 1])]))
}
console.log('\n' + formatTable([HEADINGS, ...rows.map(cells)]))
if (values.json) await writeFile(values.json, JSON.stringify({ adapter: gpu.name, software: gpu.software, date: new Date().toISOString(), rows }, null, 1))
gpu.close()
