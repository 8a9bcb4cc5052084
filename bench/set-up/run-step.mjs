// Runs a command of the set-up silently and keeps its output in case it fails.
import { spawnSync } from 'node:child_process'
import { readSync } from 'node:fs'

/** Error of the set-up in one message; `log` is the end of the failing command's output. */
export class SetUpError extends Error {
  constructor(message, log = '') {
    super(log.trim() === '' ? message : `${message}\n${log.trim().replace(/^/gm, '    ')}`)
  }
}

/** Prints one line on the terminal: the action, then its duration or its failure. */
export function step(what, work) {
  const start = performance.now()
  process.stderr.write(`set-up: ${what} … `)
  try {
    const result = work()
    process.stderr.write(`${((performance.now() - start) / 1000).toFixed(1)} s\n`)
    return result
  } catch (error) {
    process.stderr.write('failed\n')
    throw error
  }
}

/**
 * Runs a command to its end. An interrupt reaches the command instead of this process, so that partial work is tidied
 * up.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, shell?: boolean, timeoutMs?: number }} [options]
 */
export function run(command, args, { cwd, env, shell = false, timeoutMs } = {}) {
  const wait = () => {}
  process.on('SIGINT', wait)
  const result = spawnSync(command, args, {
    cwd,
    shell,
    timeout: timeoutMs,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  })
  process.off('SIGINT', wait)
  if (result.signal === 'SIGINT') throw new SetUpError('interrupted')
  const failure = result.error === undefined ? '' : `${command}: ${result.error.message}\n`
  return {
    status: result.status ?? 1,
    timedOut: result.error?.code === 'ETIMEDOUT',
    output: `${result.stdout ?? ''}${result.stderr ?? ''}${failure}`,
  }
}

export function tail(text, lines = 20) {
  return text.trim().split('\n').slice(-lines).join('\n')
}

/** Asks a question on the terminal; an empty answer means yes. */
export function ask(question) {
  process.stderr.write(`${question} [Y/n] `)
  const bytes = Buffer.alloc(1000)
  const answer = bytes.toString('utf8', 0, readSync(0, bytes)).trim()
  return answer === '' || /^y(es)?$/i.test(answer)
}
