/** Parts that the reports of a lesson and of a training run share, as HTML. */
import { MOST_CLASSES, type ConfusionResult, type SuspectLabels, type SuspectTile, type WrongTile } from './figures.ts'
import { count, wholePercent } from './format.ts'
import { html, type Html } from './html.ts'

/** Confusion matrix with counts, shaded by their part of each row, and the recall of each class. */
export function confusionMatrix({ classes, counts }: ConfusionResult): Html {
  if (classes.length > MOST_CLASSES) {
    return html`<h3>Confusion matrix</h3><p class="caption">That of ${count(classes.length)} classes is too large for a page: see what is confused most often, and the figures of each class.</p>`
  }
  const line = (row: readonly number[], actual: number) => {
    const sum = row.reduce((total, value) => total + value, 0)
    const cell = (value: number, predicted: number) => html`<td
      class="${actual === predicted ? 'right' : ''}${value === 0 ? ' none' : ''}" style="--share:${(sum === 0 ? 0 : value / sum).toFixed(3)}"
      title="${classes[actual]} taken for ${classes[predicted]}: ${value}">${value}</td>`
    return html`<tr><th scope="row" title="${classes[actual]}">${classes[actual]}</th>${row.map(cell)}<td class="sum">${wholePercent(row[actual] / sum)}</td></tr>`
  }
  return html`<h3>Confusion matrix</h3><div class="scroll"><table class="confusion">
    <thead><tr><th></th>${classes.map((name) => html`<th scope="col" title="${name}"><span>${name}</span></th>`)}<th></th></tr></thead>
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
    map,
  }: WrongTile) => html`<li><div class="pair"><img src="${uri}" alt="${actual}" title="${path}">${
    map === undefined ? undefined : html`<img class="map" src="${map}" alt="What speaks for ${predicted}">`
  }</div>
    <span>${predicted} ${wholePercent(probability)}</span><span class="muted">is ${actual}</span>
    <span class="muted">loss ${loss.toFixed(2)}</span></li>`
  const hasMaps = tiles.some(({ map }) => map !== undefined)
  const caption = hasMaps
    ? html`<p class="caption">Beside an image: what speaks for the wrong answer, the brighter the more (Grad-CAM).</p>`
    : undefined
  return html`<h3>Most wrong</h3><ul class="tiles${hasMaps ? ' maps' : ''}">${tiles.map(item)}</ul>${caption}`
}

/** Images whose labels are perhaps wrong, each with the label that it has and the one that the network suggests. */
export function suspectLabels({ suggested, count: all, tiles, advice, command }: SuspectLabels): Html {
  const title = html`<h3>Labels to look at</h3>`
  if (suggested === 0) return html`${title}<p>For none of ${count(all)} images the network suggests another label.</p>`
  const item = ({ uri, path, actual, suggested: other, loss }: SuspectTile) => html`<li>
    <img src="${uri}" alt="${actual}" title="${path}"><span>${actual}</span><span>→ ${other}?</span>
    <span class="muted">loss ${loss.toFixed(2)}</span></li>`
  const few = tiles.length < suggested ? `, here the ${tiles.length} with the largest losses` : ''
  return html`${title}<p>For ${count(suggested)} of ${count(all)} images the network suggests another label${few}.</p>
    <ul class="tiles">${tiles.map(item)}</ul>
    <p class="caption">${advice}${command === undefined ? '.' : html`: <code>${command}</code>`}</p>`
}
