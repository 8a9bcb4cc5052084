import { element } from './dom.ts'

/** A share as a bar, with a text before it. */
export function bar(share: number, text = ''): HTMLElement {
  const width = Math.round(100 * Math.min(1, Math.max(0, share)))
  return element(
    'div',
    {},
    text,
    element('span', { class: 'bar', 'aria-hidden': 'true' }, element('span', { style: `width:${width}%` })),
  )
}

/** A table that scrolls by itself where it is wider than the page. */
export function table(
  caption: string,
  head: readonly string[],
  rows: readonly (readonly (string | Node)[])[],
): HTMLElement {
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

/** A time in the unit that leaves it a few digits. */
export function milliseconds(timeMs: number): string {
  if (timeMs >= 1000) return `${(timeMs / 1000).toFixed(1)} s`
  return `${timeMs.toFixed(timeMs < 1 ? 3 : 1)} ms`
}
