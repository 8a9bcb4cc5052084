import { answers } from './answers.ts'
import type { TrainerClient } from './client.ts'
import { compare, comparison, comparisonText } from './compare.ts'
import { byId, element, messageOf, say } from './dom.ts'
import type { AdapterFacts } from './protocol.ts'
import type { RooflineMessage } from './roofline.ts'
import { bar, milliseconds, table } from './table.ts'
import type { KernelTime, TimedMessage } from './timed-launches.ts'

/** Kernels that take less of a step are one row together. */
const LEAST_SHARE = 0.002

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
    // The button that was pressed lost the keyboard as it was disabled. What the visitor does elsewhere keeps it.
    if (document.activeElement === document.body) result.focus({ preventScroll: true })
  }
  const cancel = byId<HTMLButtonElement>('inside-cancel')
  const attempt = (id: string, before: string, work: (signal: AbortSignal) => Promise<string>) => {
    byId(id).addEventListener('click', () => {
      const control = new AbortController()
      for (const button of buttons) button.disabled = true
      cancel.hidden = false
      cancel.onclick = () => control.abort(new Error('Cancelled.'))
      say(status, before)
      // On a phone it is far below what was pressed, and so is what follows.
      if (status.getBoundingClientRect().bottom > innerHeight) status.scrollIntoView({ block: 'center' })
      void work(control.signal)
        .then(
          (text) => say(status, text),
          (error: unknown) => say(status, messageOf(error), !control.signal.aborted),
        )
        .finally(() => {
          for (const button of buttons) button.disabled = false
          if (document.activeElement === cancel) byId(id).focus()
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

  attempt('time-kernels', 'Timing three training steps …', async (signal) => {
    if (!facts.timestamps) throw new Error('This adapter, or this browser, does not let pages read the GPU’s clock.')
    await trainer.call.stop()
    const worker = new Worker(new URL('./timed-launches.ts', import.meta.url), { type: 'module' })
    const kernels = await answers<TimedMessage, readonly KernelTime[]>(worker, signal, (message) =>
      'kernels' in message ? message.kernels : undefined,
    )
    const totalMs = kernels.reduce((sum, { timeMs }) => sum + timeMs, 0)
    const [large, small] = [true, false].map((most) => kernels.filter(({ share }) => share >= LEAST_SHARE === most))
    show(
      table(
        'Kernels of one training step of xresnet18, by the GPU’s clock',
        ['kernel', 'launches', 'time', 'share', 'arithmetic', 'memory'],
        [...large, ...(small.length > 0 ? [together(small)] : [])].map(
          ({ operation, launches, timeMs, share, flops, bytes }) => [
            operation,
            String(Math.round(launches)),
            milliseconds(timeMs),
            bar(share, `${(100 * share).toFixed(1)}%`),
            perSecond(flops / (timeMs / 1000), 'FLOP'),
            perSecond(bytes / (timeMs / 1000), 'B'),
          ],
        ),
      ),
    )
    return `One step takes ${milliseconds(totalMs)} on ${facts.software ? 'this software adapter' : 'the GPU'}.`
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
    // A Content-Security-Policy may forbid the element.
    const style = new CSSStyleSheet()
    style.replaceSync(drawing.querySelector('style')?.textContent ?? '')
    drawing.querySelector('style')?.remove()
    document.adoptedStyleSheets = [style]
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
    await compare({
      software: facts.software,
      signal,
      onProgress: (text) => say(status, text),
      onTurn: (turns) =>
        show(
          comparison(facts.software, turns),
          element('div', { class: 'row' }, copyButton(comparisonText(facts.name, turns), status)),
        ),
    })
    return 'The losses of the first three steps were compared with those of PyTorch in double precision: who computes something else has no time.'
  })
}

function copyButton(text: string, status: HTMLElement): HTMLElement {
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => say(status, 'Copied.'),
      () => say(status, 'The browser does not let this page copy: select the table instead.', true),
    )
  return element('button', { type: 'button', class: 'small', onclick: () => void copy() }, 'Copy the result')
}

/** One row of many kernels. */
function together(kernels: readonly KernelTime[]): KernelTime {
  const sum = (of: (kernel: KernelTime) => number) => kernels.reduce((total, kernel) => total + of(kernel), 0)
  return {
    operation: `${kernels.length} others`,
    launches: sum(({ launches }) => launches),
    timeMs: sum(({ timeMs }) => timeMs),
    share: sum(({ share }) => share),
    flops: sum(({ flops }) => flops),
    bytes: sum(({ bytes }) => bytes),
  }
}

/** A rate in the unit that leaves it a few digits; nothing where there is none. */
function perSecond(rate: number, unit: string): string {
  if (!(rate > 0) || !Number.isFinite(rate)) return ''
  const [scale, prefix] = rate >= 1e11 ? [1e12, 'T'] : rate >= 1e8 ? [1e9, 'G'] : [1e6, 'M']
  return `${(rate / scale).toFixed(1)} ${prefix}${unit}/s`
}
