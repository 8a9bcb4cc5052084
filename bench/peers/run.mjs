// `npm run peers`: the same operations and the same training step in wgrad and in its peers, on the same adapter in the
// same run. Each peer has a process of its own; they take turns, so that anything that slows the machine affects all
// alike; a peer with wrong results is not timed. README.md explains the table.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readOptions } from './options.mjs'
import { run, step } from '../set-up/run-step.mjs'
import { missingPackages } from '../set-up/set-up.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const options = readOptions()

if (missingPackages(here).length > 0) {
  step('installing the peers (npm ci)', () => {
    const { status, output } = run('npm', ['ci', '--ignore-scripts', '--loglevel=error'], {
      cwd: here,
      shell: process.platform === 'win32',
    })
    if (status !== 0) throw new Error(output)
  })
}
// These modules need the build.
const { choosePeers, introduce } = await import('./peers.mjs')
const { Measurement } = await import('./measure.mjs')
const { report } = await import('./report.mjs')

const folder = mkdtempSync(join(tmpdir(), 'wgrad-peers-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
process.once('SIGINT', () => process.exit(130))

const peers = await introduce(choosePeers(options)).catch((error) => {
  process.stderr.write(`peers: ${error.message}\n`)
  process.exit(1)
})
const onGpu = peers.find(({ id }) => id !== 'pytorch')
if (onGpu) {
  console.log(`${onGpu.adapter}${onGpu.software ? ' (software adapter: figures of the CPU, not of a GPU)' : ''}`)
}
const pytorch = peers.find(({ id }) => id === 'pytorch')
console.log(
  pytorch
    ? `PyTorch on ${pytorch.adapter}`
    : "without PyTorch: `python3 -c 'import torch'` fails, or it was not asked for (PYTHON=… names another Python)",
)
console.log(`${cpus()[0].model}, ${cpus().length} cores`)

const measurement = new Measurement({ ...options, peers, folder })
const rows = []
if (options.part !== 'step') rows.push(...(await measurement.operations()))
if (options.part !== 'operations') rows.push(...(await measurement.trainingStep()))
const { failures, foreign } = measurement

console.log(`\n${report(peers, rows)}`)
if (options.optimizer !== 'adam' && options.part !== 'operations') {
  console.log(`\nThe step's optimizer is ${options.optimizer} in the peers, adam in wgrad.`)
}
const foreignCores = foreign.reduce((sum, cores) => sum + cores, 0) / Math.max(1, foreign.length)
// Above this load, the figures reflect the machine rather than the peers.
if (foreignCores > 0.1) {
  console.log(`\nOther processes kept ${foreignCores.toFixed(2)} cores busy meanwhile: not a run to quote.`)
}
for (const line of failures) console.log(`\nFAILED: ${line}`)
if (failures.length > 0) process.exitCode = 1

if (options.json !== undefined) {
  const machine = {
    processor: cpus()[0].model,
    cores: cpus().length,
    platform: process.platform,
    node: process.version,
  }
  const { rounds, optimizer, asIs } = options
  const described = peers.map(({ id, title, version, adapter, software, precision }) => ({
    id,
    title,
    version,
    adapter,
    software,
    precision,
  }))
  writeFileSync(
    options.json,
    JSON.stringify(
      {
        date: new Date().toISOString(),
        machine,
        rounds,
        optimizer,
        asIs,
        foreignCores,
        peers: described,
        rows,
        failures,
      },
      null,
      1,
    ),
  )
}
