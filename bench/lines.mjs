// `node bench/lines.mjs`, part of `npm run check`: lines of code per room beside its budget, so that additions are noticed.
// A room over its budget fails; raise the budget in the commit that needs it, and say there why.
//
// Lines are those of .ts, .mjs and .wgsl files that hold more than a comment or a brace.
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Most lines of each room: what it had on 2026-11-26, and 5% more. */
const BUDGETS = {
  bench: 960,
  'bench/docs': 10,
  'bench/fuzz': 430,
  'bench/frames': 210,
  'bench/gpu-report': 690,
  'bench/kernels': 1570,
  'bench/lesson': 1180,
  'bench/machine': 50,
  'bench/page': 2200,
  'bench/peers': 1030,
  'bench/recipe': 260,
  'bench/set-up': 480,
  'bench/steps': 500,
  shaders: 3720,
  src: 170,
  'src/base': 450,
  'src/cli': 1005,
  'src/cli/train': 1030,
  'src/data': 4190,
  'src/data/augment': 1010,
  'src/exports': 430,
  'src/gpu': 1900,
  'src/image': 1860,
  'src/nn': 2260,
  'src/onnx': 520,
  'src/ops': 875,
  'src/ops/convolution': 1720,
  'src/ops/plans': 570,
  'src/optim': 870,
  'src/platform': 260,
  'src/platform/browser': 920,
  'src/platform/node': 1220,
  'src/tensor': 850,
  'src/testing': 780,
  'src/train': 730,
  'src/train/callbacks': 1000,
  'src/train/files': 770,
  'src/train/fit': 1450,
  'src/train/report': 880,
  'src/train/results': 1630,
  'src/vendor': 35,
}

const counts = new Map()
for (const [folder, depth] of [
  ['src', 3],
  ['shaders', 1],
  ['bench', 2],
]) {
  for (const file of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })) {
    if (!/\.(ts|mjs|wgsl)$/.test(file) || /^gpu\/wgsl\/|node_modules/.test(file.split(sep).join('/'))) continue
    const room = [folder, ...file.split(sep).slice(0, -1)].slice(0, depth).join('/')
    counts.set(room, (counts.get(room) ?? 0) + linesOf(readFileSync(join(root, folder, file), 'utf8')))
  }
}

const rooms = [...counts.keys()].sort((a, b) => (a < b ? -1 : 1))
const over = rooms.filter((room) => !(counts.get(room) <= BUDGETS[room]))
const gone = Object.keys(BUDGETS).filter((room) => !counts.has(room))
console.log(`lines: ${rooms.map((room) => `${room} ${counts.get(room)}/${BUDGETS[room] ?? 0}`).join(', ')}`)
if (over.length > 0 || gone.length > 0) {
  const here = relative(process.cwd(), fileURLToPath(import.meta.url))
  for (const room of over) console.error(`${room} has ${counts.get(room)} lines, its budget is ${BUDGETS[room] ?? 0}`)
  for (const room of gone) console.error(`${room} has a budget, and no lines any more`)
  console.error(`Take lines away, or change the budget in ${here} in the commit that needs it`)
  process.exitCode = 1
}

function linesOf(text) {
  return text.split('\n').filter((line) => !/^\s*(\/\/.*|\/?\*.*|[\])}]*[,;]?)?$/.test(line)).length
}
