import { formatBytes, formatClock } from '../../../src/base/format.ts'
import type { ChannelStats } from '../../../src/exports/data.ts'
import { labelSmoothing, smoothedLabels } from '../../../src/train/fit/losses.ts'
import { NOTEBOOK, type NotebookRow, type NotebookSection } from '../notebook.ts'
import type { EpochResult, Tile, TileGroup } from '../../../src/train/report/figures.ts'
import { percent } from '../../../src/base/format.ts'
import { certainty, count, median, rate, six, wholePercent } from '../../../src/train/report/format.ts'
import { html, type Html } from '../../../src/train/report/html.ts'
import { confusionMatrix, mostConfused, wrongest } from '../../../src/train/report/parts.ts'
import type { Section } from '../options.ts'
import { accuracyOf, guessing, intervalOf, hasLearnt, type BatchStats, type ReportedSection } from '../results.ts'
import { sectionCharts } from './charts.ts'

/** Label smoothing of the notebook; also the default of `labelSmoothing`. */
const SMOOTHING = 0.1

/** Renders one section of the report. @param earlier  sections before it, whose images are not repeated */
export async function sectionCard(section: ReportedSection, earlier: readonly ReportedSection[]): Promise<Html> {
  const notebook = NOTEBOOK[section.name as Section]
  const beside = notebook.accuracy === undefined ? '' : `; notebook ${percent(notebook.accuracy)}`
  const [low, high] = intervalOf(section)
  return html`<section class="card" id="${section.name}">
    <div class="head">
      <h2>${notebook.title}</h2>
      <p><strong>${percent(accuracyOf(section))}</strong> <span class="muted">${percent(low)} to ${percent(high)} with 95% confidence${beside}</span></p>
    </div>
    <p>${notebook.text}</p>
    <p class="muted">${settings(section)}</p>
    ${warning(section)}
    ${await sectionCharts(section)}
    ${epochTable(section, notebook)}
    ${batchStatistics(section, notebook)}
    ${smoothedTargets(section)}
    ${section.imageGroups.map((group) => imageGroup(group, earlier))}
    ${predictions(section)}
  </section>`
}

function settings({
  model,
  parameters,
  precision,
  loss,
  images,
  size,
  batchSize,
  fits,
  seconds,
  gpuMemoryBytes,
}: ReportedSection): string {
  const speeds = fits.flatMap(({ epochs }) => epochs.map(({ imagesPerSecond }) => imagesPerSecond))
  const network = `${model}, ${count(parameters)} parameters, ${precision === 'mixed' ? 'mixed' : 'single'} precision, ${loss}`
  const data = `${count(images.train)} + ${count(images.valid)} images at ${size} px in batches of ${batchSize}`
  const speed = speeds.length > 0 ? `${rate(median(speeds))} images/s, ` : ''
  return `${network}; ${data}; ${speed}${formatClock(seconds * 1000)} in all, ${formatBytes(gpuMemoryBytes)} of GPU memory at most`
}

function warning(section: ReportedSection): Html {
  if (section.epochs.length === 0) return html`<p class="note">No epoch was finished.</p>`
  if (hasLearnt(section)) return html``
  const { accuracy, withLuck } = guessing(section)
  return html`<p class="note">This did not learn: guessing reaches ${percent(accuracy)}, with luck ${percent(withLuck)}.</p>`
}

function epochTable({ fits }: ReportedSection, { fits: their, batchSize }: NotebookSection): Html {
  if (fits.length === 0) return html``
  const beside = their.length > 0
  const scaled = fits.some(({ epochs }) => epochs.some(({ skippedSteps }) => skippedSteps !== undefined))
  const bodies = longest(fits, their).map((_, fit) => {
    const [rows, theirRows] = [fits[fit]?.epochs ?? [], their[fit] ?? []]
    const line = (epoch: number) =>
      html`<tr><td>${epoch}</td>${ourCells(rows[epoch], scaled)}${beside ? theirCells(theirRows[epoch]) : undefined}</tr>`
    return html`<tbody>${longest(rows, theirRows).map((_, epoch) => line(epoch))}</tbody>`
  })
  return html`<h3>Epochs</h3><div class="scroll"><table>
    <thead>
      <tr class="groups"><th></th><th colspan="${scaled ? 7 : 5}">this run</th>
        ${beside ? html`<th colspan="4" class="first-theirs">notebook, in batches of ${batchSize}</th>` : undefined}</tr>
      <tr><th>epoch</th><th>train_loss</th><th>valid_loss</th><th>accuracy</th>${scaled ? html`<th>skipped</th><th>scale</th>` : undefined}<th>time</th><th>images/s</th>
        ${beside ? html`<th class="first-theirs">train_loss</th><th>valid_loss</th><th>accuracy</th><th>time</th>` : undefined}</tr>
    </thead>
    ${bodies}
  </table></div>`
}

function longest(a: readonly unknown[], b: readonly unknown[]): readonly unknown[] {
  return a.length < b.length ? b : a
}

function ourCells(row: EpochResult | undefined, scaled: boolean): Html {
  if (!row) return html`<td></td><td></td><td></td>${scaled ? html`<td></td><td></td>` : undefined}<td></td><td></td>`
  return html`<td>${six(row.trainLoss)}</td><td>${six(row.validLoss)}</td><td class="accuracy">${six(row.accuracy)}</td>
    ${scaled ? html`<td>${row.skippedSteps}</td><td>${row.lossScale}</td>` : undefined}
    <td>${formatClock(row.seconds * 1000)}</td><td>${rate(row.imagesPerSecond)}</td>`
}

function theirCells(row: NotebookRow | undefined): Html {
  return html`<td class="theirs first-theirs">${six(row?.trainLoss)}</td><td class="theirs">${six(row?.validLoss)}</td>
    <td class="theirs">${six(row?.accuracy)}</td><td class="theirs">${row?.time}</td>`
}

/**
 * Renders the channel statistics of a batch, x.mean and x.std, before and after normalization, as the notebook prints
 * them.
 */
function batchStatistics({ batchStats: ours }: ReportedSection, { batchStats: theirs }: NotebookSection): Html {
  if (!ours || !theirs) return html``
  const our = (values: readonly number[]) => values.map((value) => html`<td>${value.toFixed(4)}</td>`)
  const their = (values: readonly number[]) =>
    values.map((value, c) => html`<td class="theirs${c === 0 ? ' first-theirs' : ''}">${value.toFixed(4)}</td>`)
  const line = (when: keyof BatchStats, of: keyof ChannelStats) =>
    html`<tr><td>x.${of} ${when}</td>${our(ours[when][of])}${their(theirs[when][of])}</tr>`
  return html`<h3>A batch in numbers, before normalization and after</h3><div class="scroll"><table>
    <thead><tr class="groups"><th></th><th colspan="3">this run</th><th colspan="3" class="first-theirs">notebook</th></tr>
    <tr><th></th><th>red</th><th>green</th><th>blue</th><th class="first-theirs">red</th><th>green</th><th>blue</th></tr></thead>
    <tbody>${line('before', 'mean')}${line('before', 'std')}</tbody>
    <tbody>${line('after', 'mean')}${line('after', 'std')}</tbody>
  </table></div>`
}

/**
 * Renders the target distribution of label smoothing, in the notebook's example and with the outputs of this network.
 */
function smoothedTargets({ loss, classes, outputs }: ReportedSection): Html {
  if (loss !== labelSmoothing().name) return html``
  const line = (name: string, [right, other]: readonly number[]) =>
    html`<tr><td>${name}</td><td>${certainty(right)}</td><td>${certainty(other)}</td></tr>`
  const smoothed = (labels: number, name: string) =>
    line(`label smoothing, ${count(labels)} ${name}`, smoothedLabels(labels, SMOOTHING, 0))
  return html`<h3>What is asked for</h3><div class="scroll"><table class="narrow">
    <thead><tr><th></th><th>of the right class</th><th>of each other class</th></tr></thead>
    <tbody>${line('cross-entropy', [1, 0])}${smoothed(classes, 'classes')}
      ${outputs && outputs !== classes ? smoothed(outputs, 'outputs, as this network has') : undefined}</tbody>
  </table></div>`
}

function imageGroup({ title, tiles }: TileGroup, earlier: readonly ReportedSection[]): Html {
  if (tiles.length === 0) return html``
  const isSame = (group: TileGroup) => group.tiles.every(({ uri }, i) => uri === tiles[i]?.uri)
  const same = earlier.find((section) => section.imageGroups.some(isSame))
  if (same) {
    return html`<h3>${title}</h3><p class="caption">The same images as in <a href="#${same.name}">${same.name}</a>.</p>`
  }
  const [{ label }] = tiles
  const alike = tiles.every((tile) => tile.label === label && tile.mixedWith === undefined)
  const item = (tile: Tile) =>
    html`<li><img src="${tile.uri}" alt="${tile.label}">${alike ? undefined : labelText(tile)}</li>`
  return html`<h3>${title}${alike ? `: ${label}` : undefined}</h3><ul class="tiles">${tiles.map(item)}</ul>`
}

function labelText({ label, mixedWith, share }: Tile): Html {
  if (mixedWith === undefined || share === undefined) return html`<span>${label}</span>`
  return html`<div class="mix"><i style="width:${(100 * share).toFixed(1)}%"></i></div>
    <span>${wholePercent(share)} ${label}</span><span class="muted">${wholePercent(1 - share)} ${mixedWith}</span>`
}

function predictions({ confusion, mostWrong }: ReportedSection): Html {
  if (!confusion) return html``
  return html`<div class="columns"><div>${confusionMatrix(confusion)}</div>
    <div class="wrong">${wrongest(mostWrong)}${mostConfused(confusion.pairs)}</div></div>`
}
