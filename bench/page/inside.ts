import type { TrainerClient } from './client.ts'
import { byId, element, messageOf, say } from './dom.ts'
import type { AdapterFacts } from './protocol.ts'
import type { RooflineMessage } from './roofline.ts'

/** Peers in the order of their turns: wgrad first, so that a visitor sees something soon. */
const PEERS = [
  {
    name: 'wgrad, mixed precision',
    start: () => new Worker(new URL('./peers/wgrad.mjs', import.meta.url), { type: 'module', name: 'wgrad-mixed' }),
  },
  {
    name: 'wgrad, float32',
    start: () => new Worker(new URL('./peers/wgrad.mjs', import.meta.url), { type: 'module', name: 'wgrad-f32' }),
  },
  {
    name: 'jax-js 0.1.25, float32',
    start: () => new Worker(new URL('./peers/jaxjs.mjs', import.meta.url), { type: 'module' }),
  },
  {
    name: 'TensorFlow.js 4.22, float32',
    start: () => new Worker(new URL('./peers/tfjs.mjs', import.meta.url), { type: 'module' }),
  },
] as const

type PeerMessage =
  { readonly steps: number } | { readonly firstMs: number; readonly stepMs: number } | { readonly error: string }

/** Images of a step of the peers. */
const BATCH = 16

/** The part of the page that shows the layers and measures the visitor's GPU. */
export function lookInside(trainer: TrainerClient, facts: AdapterFacts): void {
  const status = byId('inside-status')
  const result = byId('inside-result')
  const buttons = ['show-layers', 'time-kernels', 'measure-roofline', 'compare'].map((id) =>
    byId<HTMLButtonElement>(id),
  )

  if (facts.software) {
    for (const id of ['measure-roofline', 'compare']) {
      byId(id).before(element('p', { class: 'hint' }, 'Several minutes on a software adapter.'))
    }
  }

  const show = (...parts: readonly Node[]) => {
    result.replaceChildren(...parts)
    result.focus({ preventScroll: true })
  }
  const cancel = byId<HTMLButtonElement>('inside-cancel')
  const attempt = (id: string, before: string, work: (signal: AbortSignal) => Promise<string>) => {
    byId(id).addEventListener('click', () => {
      const control = new AbortController()
      for (const button of buttons) button.disabled = true
      cancel.hidden = false
      cancel.onclick = () => control.abort(new Error('Cancelled.'))
      say(status, before)
      void work(control.signal)
        .then(
          (text) => say(status, text),
          (error: unknown) => say(status, messageOf(error), !control.signal.aborted),
        )
        .finally(() => {
          for (const button of buttons) button.disabled = false
          cancel.hidden = true
        })
    })
  }

  attempt('show-layers', 'Listing the layers …', async () => {
    const layers = await trainer.call.layers()
    const parameters = layers.reduce((sum, row) => sum + row.parameters, 0)
    const flops = layers.reduce((sum, row) => sum + row.flops, 0)
    const most = Math.max(...layers.map((row) => row.flops))
    show(
      table(
        'The network that was trained last, for one image',
        ['layer', 'what it does', 'output', 'numbers learnt', 'million operations', ''],
        layers.map((row) => [
          row.name,
          row.kind,
          row.shape,
          row.parameters === 0 ? '' : row.parameters.toLocaleString('en'),
          row.flops === 0 ? '' : (row.flops / 1e6).toFixed(1),
          bar(row.flops / most),
        ]),
      ),
    )
    return `${layers.length} layers, ${parameters.toLocaleString('en')} numbers learnt, ${(flops / 1e6).toFixed(0)} million operations for an image.`
  })

  attempt('time-kernels', 'Timing three training steps …', async () => {
    if (!facts.timestamps) throw new Error('This adapter, or this browser, does not let pages read the GPU’s clock.')
    const kernels = await trainer.call.kernels()
    const totalMs = kernels.reduce((sum, { timeMs }) => sum + timeMs, 0)
    const text = (rate: number, unit: string) =>
      rate > 0 && Number.isFinite(rate) ? `${(rate / 1e9).toFixed(1)} G${unit}/s` : ''
    show(
      table(
        'Kernels of one training step of xresnet18, by the GPU’s clock',
        ['kernel', 'launches', 'time', 'share', 'arithmetic', 'memory'],
        kernels.map(({ operation, launches, timeMs, share, flops, bytes }) => [
          operation,
          String(Math.round(launches)),
          `${timeMs.toFixed(timeMs < 1 ? 3 : 1)} ms`,
          bar(share, `${(100 * share).toFixed(1)}%`),
          text(flops / (timeMs / 1000), 'FLOP'),
          text(bytes / (timeMs / 1000), 'B'),
        ]),
      ),
    )
    return `One step takes ${totalMs.toFixed(1)} ms on the GPU.`
  })

  attempt('measure-roofline', 'Starting …', async (signal) => {
    if (!facts.timestamps) throw new Error('This adapter, or this browser, does not let pages read the GPU’s clock.')
    await trainer.call.stop()
    const worker = new Worker(new URL('./roofline.ts', import.meta.url), { type: 'module' })
    const measured = await answers<
      RooflineMessage,
      { svg: string; peaks: string; table: string; failures: readonly string[] }
    >(worker, signal, (message) => {
      if ('svg' in message) return message
      if ('done' in message) say(status, `${message.done} of ${message.of}: ${message.name}`)
      return undefined
    })
    const { svg, peaks, table: text, failures } = measured
    const drawing = new DOMParser().parseFromString(svg, 'image/svg+xml').documentElement
    const whole = [facts.name, peaks, '', text, ...failures].join('\n')
    show(
      document.importNode(drawing, true),
      element('div', { class: 'row' }, copyButton(whole, status)),
      element('pre', { tabindex: 0, 'aria-label': 'Times of all kernels' }, `${peaks}\n\n${text}`),
    )
    return failures.length === 0
      ? 'Every kernel gave right results and was timed. Points near the line use all that your adapter has.'
      : `${failures.length} kernels gave wrong results here and were not timed.`
  })

  attempt('compare', 'Starting …', async (signal) => {
    await trainer.call.stop()
    const rows: (readonly [name: string, stepMs: number | undefined, text: string])[] = []
    for (const { name, start } of PEERS) {
      const minutes = facts.software ? MINUTES.software : MINUTES.gpu
      const late = AbortSignal.timeout(60_000 * minutes)
      const begin = performance.now()
      let doing = 'compiling its first step'
      const tellTime = (): void =>
        say(
          status,
          `${name}: ${doing}, ${Math.round((performance.now() - begin) / 1000)} s of ${60 * minutes} at most …`,
        )
      tellTime()
      const ticking = setInterval(tellTime, 1000)
      try {
        const both = AbortSignal.any([signal, late])
        const { stepMs } = await answers<PeerMessage, { stepMs: number }>(start(), both, (message) => {
          if ('stepMs' in message) return message
          if ('steps' in message) doing = `${message.steps} steps done`
          return undefined
        })
        rows.push([name, stepMs, ''])
      } catch (error) {
        signal.throwIfAborted()
        rows.push([name, undefined, late.aborted ? `not done after ${minutes} min (${doing})` : messageOf(error)])
      } finally {
        clearInterval(ticking)
      }
      show(comparison(rows), element('div', { class: 'row' }, copyButton(comparisonText(facts.name, rows), status)))
    }
    return 'The losses of the first three steps were compared with those of PyTorch in double precision: who computes something else has no time.'
  })
}

/** Minutes that a library has for its steps: a processor compiles and computes them slowly. */
const MINUTES = { software: 4, gpu: 1 }

type Rows = readonly (readonly [name: string, stepMs: number | undefined, text: string])[]

function comparison(rows: Rows): HTMLElement {
  const [, ours] = rows[0]
  const slowest = Math.max(...rows.map(([, stepMs]) => stepMs ?? 0))
  return table(
    `A training step of xresnet18, ${BATCH} images of 64 px, Adam`,
    ['library', 'time of a step', 'images per second', 'wgrad is so many times as fast', ''],
    rows.map(([name, stepMs, text]) =>
      stepMs === undefined
        ? [name, text, '', '', '']
        : [
            name,
            `${stepMs.toFixed(1)} ms`,
            ((1000 * BATCH) / stepMs).toFixed(1),
            ours === undefined ? '' : `${(stepMs / ours).toFixed(1)}×`,
            bar(stepMs / slowest),
          ],
    ),
  )
}

function comparisonText(adapter: string, rows: Rows): string {
  return [
    adapter,
    ...rows.map(([name, stepMs, text]) => `${name}: ${stepMs === undefined ? text : `${stepMs.toFixed(1)} ms`}`),
  ].join('\n')
}

/** Waits for the last message of a worker, and ends it. @throws Error  of a message that is one, or of a worker that does not start */
async function answers<Message, Last>(
  worker: Worker,
  signal: AbortSignal,
  each: (message: Message) => Last | undefined,
): Promise<Last> {
  try {
    return await new Promise<Last>((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<Message & { readonly error?: string }>) => {
        if (data.error !== undefined) reject(new Error(data.error))
        const last = each(data)
        if (last !== undefined) resolve(last)
      }
      signal.addEventListener('abort', () => reject(signal.reason as Error))
      worker.onerror = (event) => reject(new Error(event.message || 'its program does not load'))
    })
  } finally {
    worker.terminate()
  }
}

function copyButton(text: string, status: HTMLElement): HTMLElement {
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => say(status, 'Copied.'),
      () => say(status, 'The browser does not let this page copy: select the table instead.', true),
    )
  return element('button', { type: 'button', class: 'small', onclick: () => void copy() }, 'Copy the result')
}

function bar(share: number, text = ''): HTMLElement {
  const width = Math.round(100 * Math.min(1, Math.max(0, share)))
  return element(
    'div',
    {},
    text,
    element('span', { class: 'bar', 'aria-hidden': 'true' }, element('span', { style: `width:${width}%` })),
  )
}

function table(caption: string, head: readonly string[], rows: readonly (readonly (string | Node)[])[]): HTMLElement {
  return element(
    'div',
    { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption },
    element(
      'table',
      {},
      element('caption', {}, caption),
      element('thead', {}, element('tr', {}, ...head.map((text) => element('th', { scope: 'col' }, text)))),
      element('tbody', {}, ...rows.map((cells) => element('tr', {}, ...cells.map((cell) => element('td', {}, cell))))),
    ),
  )
}
