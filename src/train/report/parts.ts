/** Parts that the reports of a lesson and of a training run share, as HTML. */
import type { ConfusionResult, WrongTile } from './figures.ts'
import { wholePercent } from './format.ts'
import { html, type Html } from './html.ts'

/** Confusion matrix with counts, shaded by their part of each row, and the recall of each class. */
export function confusionMatrix({ classes, counts }: ConfusionResult): Html {
  const line = (row: readonly number[], actual: number) => {
    const sum = row.reduce((total, value) => total + value, 0)
    const cell = (value: number, predicted: number) => html`<td
      class="${actual === predicted ? 'right' : ''}${value === 0 ? ' none' : ''}" style="--share:${(sum === 0 ? 0 : value / sum).toFixed(3)}"
      title="${classes[actual]} taken for ${classes[predicted]}: ${value}">${value}</td>`
    return html`<tr><th scope="row">${classes[actual]}</th>${row.map(cell)}<td class="sum">${wholePercent(row[actual] / sum)}</td></tr>`
  }
  return html`<h3>Confusion matrix</h3><div class="scroll"><table class="confusion">
    <thead><tr><th></th>${classes.map((name) => html`<th scope="col"><span>${name}</span></th>`)}<th></th></tr></thead>
    <tbody>${counts.map(line)}</tbody>
  </table></div><p class="caption">Rows: actual classes. Columns: predicted classes.</p>`
}

/** Pairs of classes that are confused most often; empty if none is. */
export function mostConfused(pairs: ConfusionResult['pairs']): Html {
  if (pairs.length === 0) return html``
  return html`<h3>Most often confused</h3><ul class="pairs">${pairs.map(
    (pair) => html`<li><b>${pair.count}</b> ${pair.actual}
    <span class="muted">taken for</span> ${pair.predicted}</li>`,
  )}</ul>`
}

/** Misclassified images with the largest losses, each with the predicted and the actual class. */
export function wrongest(tiles: readonly WrongTile[]): Html {
  if (tiles.length === 0) {
    return html`<h3>Most wrong</h3><p class="caption">All images with the largest losses were classified correctly.</p>`
  }
  const item = ({
    uri,
    predicted,
    actual,
    loss,
    probability,
    path = '',
  }: WrongTile) => html`<li><img src="${uri}" alt="${actual}" title="${path}">
    <span>${predicted} ${wholePercent(probability)}</span><span class="muted">is ${actual}</span>
    <span class="muted">loss ${loss.toFixed(2)}</span></li>`
  return html`<h3>Most wrong</h3><ul class="tiles">${tiles.map(item)}</ul>`
}
