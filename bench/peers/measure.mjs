// Order and content of the measurements. Rows are returned in the form that report.mjs prints, with all figures.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { network, optimizers, proveTraining } from './network.mjs'
import { PeerProcess } from './peer-process.mjs'
import { problems, prove } from './problems.mjs'
import { median } from './report.mjs'

/** Shortest duration of a turn, so that starting and waiting do not count, and its largest number of repetitions. */
const TURN_MS = 20
const MOST_TIMES = 50

/** Number of initial steps that verify a peer; the first is reported separately, the others are not timed. */
const PROVING_STEPS = 3

/** One run of the benchmark: its peers and the figures found so far. */
export class Measurement {
  /** Failures, one line each. */
  failures = []
  /** Number of cores that other processes kept busy in each turn; measured on Linux only. */
  foreign = []
  #peers
  #rounds
  #optimizer
  #folder

  /**
   * @param options.peers      see run.mjs
   * @param options.rounds     number of turns of each peer
   * @param options.optimizer  name of the optimizer, see network.mjs
   * @param options.folder     temporary folder for shader caches
   */
  constructor({ peers, rounds, optimizer, folder }) {
    this.#peers = peers
    this.#rounds = rounds
    this.#optimizer = optimizer
    this.#folder = folder
  }

  /** Measures the operations one after the other, each by all peers in turns. */
  async operations() {
    const children = this.#peers.map((peer) => ({ peer, child: new PeerProcess(peer) }))
    const rows = []
    for (const problem of problems) {
      const row = newRow(problem.name, 'ms', problem.flops)
      const ready = []
      for (const { peer, child } of children) {
        await this.attempt(peer, problem.name, row, async () => {
          await child.ask('operation', { problem })
          row.deviations[peer.id] = await prove(
            problem,
            peer.precision,
            async (indices) => (await child.ask('values', { indices })).values,
          )
          // Verification has compiled everything; this run determines how many a turn needs.
          const { timeMs } = await child.ask('run', { times: 1 })
          ready.push({ peer, child, times: Math.min(MOST_TIMES, Math.ceil(TURN_MS / timeMs)) })
        })
      }
      await this.#inTurns(ready, row, async ({ child, times }) => {
        const { timeMs, cpuMs } = await child.ask('run', { times })
        return { timeMs: timeMs / times, cpuMs }
      })
      rows.push(row)
    }
    for (const { child } of children) await child.close()
    return rows
  }

  /**
   * Measures the training step: first alone with an empty shader cache of the driver, then, in a new process, with the
   * cache that this left, and then by all peers in turns.
   */
  async trainingStep() {
    const described = network()
    const rows = {
      step: newRow(described.name, 'ms', described.flops),
      cold: newRow('first step, shader cache empty', 'ms'),
      warm: newRow('first step, shader cache warm', 'ms'),
      coldStart: newRow('start to first step, empty', 'ms'),
      warmStart: newRow('start to first step, warm', 'ms'),
      memory: newRow('peak memory', 'bytes'),
      pipelines: newRow('pipelines', 'count'),
      dispatches: newRow('dispatches a step', 'count'),
      submits: newRow('submits a step', 'count'),
    }
    const ready = []
    for (const peer of this.#peers) {
      await this.attempt(peer, described.name, rows.step, async () => {
        const optimizer = optimizers[peer.ours ? 'adam' : this.#optimizer]
        const begin = async (child, first, start) => {
          await child.ask('training', { network: described, optimizer })
          const answer = await child.ask('step')
          first.values[peer.id] = answer.timeMs
          start.values[peer.id] = performance.now() - child.startedAt
          return answer
        }
        const caches = shaderCache(join(this.#folder, peer.id))
        const alone = new PeerProcess(peer, caches)
        await begin(alone, rows.cold, rows.coldStart).finally(() => alone.close())
        const child = new PeerProcess(peer, caches)
        ready.push({ peer, child })
        const { loss, counts } = await begin(child, rows.warm, rows.warmStart)
        if (counts.pipelines !== undefined) rows.pipelines.values[peer.id] = counts.pipelines
        const losses = [loss]
        while (losses.length < PROVING_STEPS) losses.push((await child.ask('step')).loss)
        rows.step.losses[peer.id] = losses
        proveTraining(losses, peer.precision, optimizer)
      })
    }
    await this.#inTurns(ready, rows.step, async ({ peer, child }) => {
      const { timeMs, cpuMs, counts } = await child.ask('step')
      for (const name of ['dispatches', 'submits']) {
        if (counts[name] !== undefined) rows[name].values[peer.id] = counts[name]
      }
      return { timeMs, cpuMs }
    })
    for (const { peer, child } of ready) {
      if (!rows.step.failed.includes(peer.id)) rows.memory.values[peer.id] = (await child.ask('memory')).bytes
      await child.close()
    }
    return Object.values(rows)
  }

  /** Runs a part of a peer's work. An error is recorded, and the other peers continue. */
  async attempt(peer, what, row, work) {
    try {
      await work()
    } catch (error) {
      this.failures.push(`${peer.name}, ${what}: ${error.message}`)
      row.failed.push(peer.id)
      delete row.times[peer.id]
    }
  }

  /** Gives every peer its turn, `rounds` times: A B C, A B C, … Peers that fail drop out. */
  async #inTurns(ready, row, turn) {
    for (let round = 0; round < this.#rounds; round++) {
      for (const entry of ready) {
        const { id } = entry.peer
        if (row.failed.includes(id)) continue
        await this.attempt(entry.peer, row.name, row, async () => {
          const before = busyMs()
          const start = performance.now()
          const { timeMs, cpuMs } = await turn(entry)
          ;(row.times[id] ??= []).push(timeMs)
          if (before !== undefined) {
            this.foreign.push(Math.max(0, busyMs() - before - cpuMs) / (performance.now() - start))
          }
        })
      }
    }
    for (const [id, times] of Object.entries(row.times)) row.values[id] = median(times)
    const figures = Object.entries(row.values).map(([id, timeMs]) => `${id} ${timeMs.toPrecision(3)} ms`)
    process.stderr.write(`${row.name}: ${figures.join(', ')}\n`)
  }
}

function newRow(name, unit, flops = 0) {
  return { name, unit, flops, values: {}, times: {}, deviations: {}, losses: {}, failed: [] }
}

/** Returns the variables for the folder of compiled shaders: Mesa's and NVIDIA's. */
function shaderCache(path) {
  return { MESA_SHADER_CACHE_DIR: path, __GL_SHADER_DISK_CACHE_PATH: path }
}

/** Returns the milliseconds that all cores together were busy since the machine started, if the system reports them. */
function busyMs() {
  if (process.platform !== 'linux') return undefined
  const [user, nice, system, , , interrupts, soft] = readFileSync('/proc/stat', 'utf8')
    .split('\n')[0]
    .trim()
    .split(/\s+/)
    .slice(1)
    .map(Number)
  // In hundredths of a second, see proc(5).
  return 10 * (user + nice + system + interrupts + soft)
}
