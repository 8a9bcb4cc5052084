// Server side of the protocol, run by a peer (see protocol.mjs).
import { readFileSync } from 'node:fs'
import { ANSWER, lines } from './protocol.mjs'

/** Settings of this process from run.mjs, see peer-process.mjs: { precision, dawnOptions, patient }. */
export const settings = JSON.parse(process.argv[2] ?? '{}')

/**
 * Answers requests until standard input ends.
 *
 * @param peer.hello      { version, adapter, software }
 * @param peer.operation  (problem) → { run(times), which waits until that is done; values(), the result in wgrad's
 *   layout }
 * @param peer.training   (network, optimizer) → a function that makes one step, waits for it and returns its loss
 * @param peer.counts     counters so far: { pipelines, dispatches, submits }
 */
export async function serve({ hello, operation, training, counts }) {
  let current
  let step
  const actions = {
    hello: () => hello,
    operation: async ({ problem }) => void (current = await operation(problem)),
    values: async ({ indices }) => {
      const values = await current.values()
      return { values: indices.map((index) => values[index]) }
    },
    run: async ({ times }) => timed(() => current.run(times)),
    training: async ({ network, optimizer }) => void (step = await training(network, optimizer)),
    step: async () => {
      const before = { ...counts }
      const { result: loss, ...times } = await timed(step)
      return {
        loss,
        ...times,
        counts: Object.fromEntries(Object.entries(counts).map(([name, now]) => [name, now - before[name]])),
      }
    },
    memory: () => ({ bytes: peakMemory() }),
  }
  for await (const line of lines(process.stdin)) {
    const request = JSON.parse(line)
    let answer
    try {
      answer = (await actions[request.do](request)) ?? {}
    } catch (error) {
      answer = { error: String(error?.message ?? error).slice(0, 2000) }
    }
    process.stdout.write(`${ANSWER}${JSON.stringify(answer)}\n`)
  }
  process.exit(0)
}

/** Measures work by the clock and by the CPU time of this process, which includes the threads of a software adapter. */
async function timed(work) {
  const cpu = process.cpuUsage()
  const start = performance.now()
  const result = await work()
  const timeMs = performance.now() - start
  const { user, system } = process.cpuUsage(cpu)
  return { result, timeMs, cpuMs: (user + system) / 1000 }
}

/** Returns the peak memory of this process: on Linux since its start, elsewhere the system's own figure. */
function peakMemory() {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS * 1024
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024
}
