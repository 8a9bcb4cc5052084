// Client side of the protocol: a peer in a process of its own, which receives one request at a time.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { ANSWER, lines } from './protocol.mjs'

/** Time limit for an answer: the slowest, a first step, takes about a minute on two cores. */
const TIME_LIMIT_MS = 15 * 60_000

export class PeerProcess {
  #child
  #answers
  #log = ''

  /** @param peer  { command, script, settings }; @param environment  variables in addition to those of this process */
  constructor({ command, script, settings }, environment = {}) {
    const path = fileURLToPath(new URL(script, import.meta.url))
    this.startedAt = performance.now()
    this.#child = spawn(command, [path, JSON.stringify(settings)], {
      env: { ...process.env, ...environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#child.on('error', (error) => (this.#log += `${error.message}\n`))
    // A failed write to an ended process shows as a missing answer.
    this.#child.stdin.on('error', () => {})
    this.#child.stderr.setEncoding('utf8').on('data', (text) => (this.#log += text))
    this.#answers = this.#read()
  }

  async *#read() {
    for await (const line of lines(this.#child.stdout)) {
      if (line.startsWith(ANSWER)) yield JSON.parse(line.slice(ANSWER.length))
      else this.#log += `${line}\n`
    }
  }

  /**
   * Sends a request and returns the answer. @throws Error  with the peer's message if it fails, ends or does not answer
   */
  async ask(action, details = {}) {
    this.#child.stdin.write(`${JSON.stringify({ do: action, ...details })}\n`)
    const limit = setTimeout(() => this.#child.kill('SIGKILL'), TIME_LIMIT_MS)
    const { value: answer, done } = await this.#answers.next()
    clearTimeout(limit)
    if (done) throw new Error(`it ended without an answer. ${this.#lastWords()}`)
    if (answer.error !== undefined) throw new Error(answer.error)
    return answer
  }

  /** Returns the line that names the error, otherwise the last one. */
  #lastWords() {
    const said = this.#log.split('\n').filter((line) => line.trim() !== '')
    return said.findLast((line) => /^\w*(Error|Exception)\b/.test(line)) ?? said.at(-1) ?? 'It said nothing.'
  }

  /** Ends the process and waits for its end. */
  async close() {
    const { exitCode, signalCode, pid } = this.#child
    if (pid === undefined || exitCode !== null || signalCode !== null) return
    const gone = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.kill('SIGKILL')
    await gone
  }
}
