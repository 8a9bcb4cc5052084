/** The same training step in wgrad and in other libraries, each in a Worker of its own, one after the other. */
import { answers } from './answers.ts'
import { messageOf } from './dom.ts'
import { bar, milliseconds, table } from './table.ts'

interface Library {
  readonly name: string
  readonly precision: 'mixed' | 'f32'
  /** Starts its Worker, whose name says which step it makes (peers/serve.mjs). */
  readonly start: (step: string) => Worker
}

/** Libraries in the order of their turns: wgrad first, so that a visitor sees something soon. */
const LIBRARIES: readonly Library[] = [
  {
    name: 'wgrad, mixed precision',
    precision: 'mixed',
    start: (name) => new Worker(new URL('./peers/wgrad.mjs', import.meta.url), { type: 'module', name }),
  },
  {
    name: 'wgrad, float32',
    precision: 'f32',
    start: (name) => new Worker(new URL('./peers/wgrad.mjs', import.meta.url), { type: 'module', name }),
  },
  {
    name: 'jax-js 0.1.25, float32',
    precision: 'f32',
    start: (name) => new Worker(new URL('./peers/jaxjs.mjs', import.meta.url), { type: 'module', name }),
  },
  {
    name: 'TensorFlow.js 4.22, float32',
    precision: 'f32',
    start: (name) => new Worker(new URL('./peers/tfjs.mjs', import.meta.url), { type: 'module', name }),
  },
]

/** Messages of a library's Worker. */
type PeerMessage =
  { readonly steps: number } | { readonly firstMs: number; readonly stepMs: number } | { readonly error: string }

/** Images of a step, and their size, as in bench/peers/network.mjs. */
const STEPS = {
  gpu: { name: '', batch: 16, size: 64 },
  software: { name: ' small', batch: 8, size: 32 },
}
/** Minutes that a library has for its steps: a processor compiles and computes them slowly. */
const MINUTES = { software: 4, gpu: 1 }

/** Time of a step of one library, or the reason why there is none. */
export type Turn = { readonly name: string } & (
  { readonly stepMs: number; readonly failure?: undefined } | { readonly stepMs?: undefined; readonly failure: string }
)

export interface Comparison {
  readonly software: boolean
  /** Ends the comparison. */
  readonly signal: AbortSignal
  readonly onProgress: (text: string) => void
  /** Called after the turn of each library, with all turns so far. */
  readonly onTurn: (turns: readonly Turn[]) => void
}

/** Measures a training step of every library. One that fails, or does not finish in time, says so in its place. */
export async function compare({ software, signal, onProgress, onTurn }: Comparison): Promise<void> {
  const turns: Turn[] = []
  const minutes = software ? MINUTES.software : MINUTES.gpu
  const step = software ? STEPS.software : STEPS.gpu
  for (const { name, precision, start } of LIBRARIES) {
    const late = AbortSignal.timeout(60_000 * minutes)
    const begin = performance.now()
    let doing = 'compiling its first step'
    const tellTime = () =>
      onProgress(`${name}: ${doing}, ${Math.round((performance.now() - begin) / 1000)} s of ${60 * minutes} at most …`)
    tellTime()
    const ticking = setInterval(tellTime, 1000)
    try {
      const both = AbortSignal.any([signal, late])
      const { stepMs } = await answers<PeerMessage, { stepMs: number }>(
        start(precision + step.name),
        both,
        (message) => {
          if ('stepMs' in message) return message
          if ('steps' in message) doing = message.steps === 1 ? '1 step done' : `${message.steps} steps done`
          return undefined
        },
      )
      turns.push({ name, stepMs })
    } catch (error) {
      signal.throwIfAborted()
      const where = software ? ' on this software adapter' : ''
      const failure = late.aborted ? `did not finish within ${minutes} min${where}: ${doing}` : messageOf(error)
      turns.push({ name, failure })
    } finally {
      clearInterval(ticking)
    }
    onTurn(turns)
  }
}

/** Table of a comparison. */
export function comparison(software: boolean, turns: readonly Turn[]): HTMLElement {
  const { batch, size } = software ? STEPS.software : STEPS.gpu
  const [ours] = turns
  const slowest = Math.max(...turns.map(({ stepMs = 0 }) => stepMs))
  return table(
    `A training step of xresnet18, ${batch} images of ${size} px, Adam`,
    ['library', 'time of a step', 'images per second', 'times as long as wgrad', ''],
    turns.map(({ name, stepMs, failure }) =>
      stepMs === undefined
        ? [name, failure, '', '', '']
        : [
            name,
            milliseconds(stepMs),
            ((1000 * batch) / stepMs).toFixed(1),
            ratio(stepMs, ours),
            bar(stepMs / slowest),
          ],
    ),
  )
}

/** A comparison as text to copy. */
export function comparisonText(adapter: string, turns: readonly Turn[]): string {
  const [ours] = turns
  const rows = turns.map(({ name, stepMs, failure }) =>
    stepMs === undefined ? `${name}: ${failure}` : `${name}: ${milliseconds(stepMs)} ${ratio(stepMs, ours)}`.trimEnd(),
  )
  return [adapter, ...rows].join('\n')
}

/** How many times as long as that of wgrad a step takes. */
function ratio(stepMs: number, { stepMs: oursMs }: Turn): string {
  return oursMs === undefined ? '' : `${(stepMs / oursMs).toFixed(1)}×`
}
