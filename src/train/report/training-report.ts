import { OptionError } from '../../base/errors.ts'
import { formatClock, percent } from '../../base/format.ts'
import { lineChart } from '../results/line-chart.ts'
import { LAST_STEPS, type LrCurve, type Suggestion } from '../results/lr-suggestions.ts'
import { fitCharts, metricNames } from './charts.ts'
import {
  metricOf,
  type ConfusionResult,
  type EpochResult,
  type FitFigures,
  type SuspectLabels,
  type TargetResults,
  type TileGroup,
  type WrongTile,
} from './figures.ts'
import { count, rate, six } from './format.ts'
import { Html, html } from './html.ts'
import { confusionMatrix, mostConfused, suspectLabels, wrongest } from './parts.ts'
import { STYLE } from './style.ts'

/** Class in a training report. */
export interface ReportedClass {
  readonly name: string
  /** Number of images to train on, to measure on, and left out. */
  readonly train: number
  readonly valid: number
  readonly leftOut: number
  readonly precision: number
  readonly recall: number
  readonly f1: number
}

/** Everything that a report of a training run shows. */
export type TrainingReport = ReportedRun & (ClassResults | { readonly target: TargetResults })

/** Results of a network that tells classes apart. */
interface ClassResults {
  readonly target?: undefined
  /** Part of the measured images that were classified correctly, and its 95% interval. */
  readonly accuracy: number
  readonly interval: readonly [low: number, high: number]
  /** Part of the measured images that are of the most frequent class: the accuracy of always naming it. */
  readonly baseline: number
  readonly classes: readonly ReportedClass[]
  readonly confusion: ConfusionResult
  readonly mostWrong: readonly WrongTile[]
  /** Reason why the misclassified images have no heat maps. */
  readonly mapsNote?: string | undefined
  /** Images whose labels look wrong; `undefined` where they were not looked for. */
  readonly suspects?: SuspectLabels | undefined
}

/** Parts of a report that all runs have. */
interface ReportedRun {
  readonly title: string
  /** Start of the run, as ISO 8601. */
  readonly started: string
  readonly seconds: number
  readonly adapter: string
  readonly software: boolean
  /** Remarks about the images, such as classes with few. */
  readonly findings: readonly { readonly severity: string; readonly text: string; readonly files: readonly string[] }[]
  readonly fits: readonly FitFigures[]
  /** Layers that each fit trained, where the fits are parts of one training. */
  readonly layers?: readonly string[]
  /** Learning rate search; `undefined` where the rate was given. */
  readonly search?: (LrCurve & { readonly suggestion: Suggestion }) | undefined
  readonly images: readonly TileGroup[]
  /** Settings by name, as text. */
  readonly settings: readonly (readonly [name: string, value: string])[]
  /** Commands and files that the reader may use next. */
  readonly next: readonly (readonly [what: string, command: string])[]
}

/** Files that a remark names at most. */
const NAMED = 12

/**
 * Renders a training run as one self-contained page of HTML, without scripts and network.
 *
 * @returns  the page, and true if it has charts, which take the package echarts
 */
export async function renderTraining(
  run: TrainingReport,
): Promise<{ readonly page: string; readonly hasCharts: boolean }> {
  const charts = await chartsOf(run).catch((error: unknown) => {
    if (!(error instanceof OptionError)) throw error
    return undefined
  })
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${run.title}</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<main>
<h1>${run.title}</h1>
<p class="muted">${dateText(run.started)}, ${formatClock(run.seconds * 1000)} on ${run.adapter}</p>
${run.target ? undefined : classNotes(run)}${softwareNote(run)}
${run.target ? targetOverview(run.target, run) : overview(run)}
<section class="card"><h2>Training</h2>${charts ?? html`<p class="caption">Curves take the package echarts: npm install echarts, then make this report again.</p>`}
${epochs(run)}</section>
${run.target ? targetsWrong(run.target) : rightAndWrong(run)}
${images(run)}
${facts(run)}
</main>
</body>
</html>
`.text
  return { page, hasCharts: charts !== undefined }
}

function rightAndWrong({ confusion, mostWrong, mapsNote, suspects }: ClassResults): Html {
  return html`<section class="card"><h2>What it gets right and wrong</h2>
<div class="columns"><div>${confusionMatrix(confusion)}</div>
<div class="wrong">${wrongest(mostWrong)}${mapsNote === undefined ? undefined : html`<p class="caption">Without maps of what it looks at: ${mapsNote}.</p>`}${mostConfused(confusion.pairs)}</div></div>
${suspects && suspectLabels(suspects)}</section>`
}

function classNotes({ accuracy, baseline, interval, classes }: ClassResults): Html[] {
  const measured = classes.reduce((sum, { valid }) => sum + valid, 0)
  return [
    ...(accuracy <= baseline
      ? [
          html`<p class="note"><b>It did not learn.</b> Always answering with the most frequent class would be right in ${percent(baseline)} of the
    images: train for longer, with more images, or from pretrained weights.</p>`,
        ]
      : []),
    ...(interval[1] - interval[0] > 0.2
      ? [
          html`<p class="note"><b>Measured on ${count(measured)} images only.</b> The true accuracy may be anything from ${percent(interval[0])} to
    ${percent(interval[1])}.</p>`,
        ]
      : []),
  ]
}

function softwareNote({ software, adapter }: ReportedRun): Html | undefined {
  if (!software) return undefined
  return html`<p class="note"><b>Software adapter.</b> ${adapter} computes on the processor, not on a GPU.</p>`
}

function overview({ accuracy, interval, baseline, classes, findings }: ClassResults & ReportedRun): Html {
  const sum = (of: (one: ReportedClass) => number) => classes.reduce((total, one) => total + of(one), 0)
  const row = ({ name, train, valid, leftOut, precision, recall, f1 }: ReportedClass) => html`<tr><td>${name}</td>
    <td>${count(train)}</td><td>${count(valid)}</td><td>${leftOut === 0 ? '' : count(leftOut)}</td>
    <td>${valid === 0 ? '–' : percent(precision)}</td><td class="accuracy">${valid === 0 ? '–' : percent(recall)}</td><td>${valid === 0 ? '–' : percent(f1)}</td>
    <td><span class="bar"><i style="width:${100 * recall}%"></i></span></td></tr>`
  return html`<section class="card">
  <div class="head"><h2>Accuracy</h2>
    <p><strong>${percent(accuracy)}</strong> <span class="muted">95% interval ${percent(interval[0])} to ${percent(interval[1])}; the most frequent
    class alone ${percent(baseline)}</span></p></div>
  <div class="scroll"><table>
    <thead><tr><th>class</th><th>trained on</th><th>measured on</th><th>left out</th><th>precision</th><th>recall</th><th>F1</th><th></th></tr></thead>
    <tbody>${classes.map(row)}</tbody>
    <tbody><tr><td>all</td><td>${count(sum(({ train }) => train))}</td><td>${count(sum(({ valid }) => valid))}</td><td>${count(sum(({ leftOut }) => leftOut))}</td>
      <td></td><td></td><td></td><td></td></tr></tbody>
  </table></div>
  <p class="caption">Precision: of the images that it calls so, the part that are. Recall: of the images of the class, the part that it finds.</p>
  ${remarks(findings)}
</section>`
}

function remarks(findings: ReportedRun['findings']): Html | undefined {
  if (findings.length === 0) return undefined
  return html`<h3>About the images</h3><ul class="pairs">${findings.map(
    ({ text, files }) =>
      html`<li>${text}${files.slice(0, NAMED).map((file) => html`<br><code>${file}</code>`)}${files.length > NAMED ? html`<br>… and ${files.length - NAMED} more` : undefined}</li>`,
  )}</ul>`
}

function targetOverview({ isLabels, count: measured, scores, labels, numbers }: TargetResults, run: ReportedRun): Html {
  const digits = (value: number) => String(Number(value.toPrecision(4)))
  const rows = isLabels
    ? labels.map(
        ({
          name,
          precision,
          recall,
          f1,
          support,
        }) => html`<tr><td>${name}</td><td>${count(support)}</td><td>${percent(precision)}</td>
    <td>${percent(recall)}</td><td class="accuracy">${percent(f1)}</td><td><span class="bar"><i style="width:${100 * f1}%"></i></span></td></tr>`,
      )
    : numbers.map(
        ({
          name,
          mae,
          rmse,
          r2,
          baseline,
        }) => html`<tr><td>${name}</td><td>${digits(mae)}</td><td>${digits(rmse)}</td><td class="accuracy">${r2.toFixed(3)}</td>
    <td>${digits(baseline)}</td></tr>`,
      )
  const head = isLabels
    ? ['label', 'measured on', 'precision', 'recall', 'F1', '']
    : ['number', 'mean absolute error', 'root of mean squared error', 'R²', 'the mean alone']
  const summary = isLabels
    ? html`<strong>F1 ${percent(scores.f1)}</strong> <span class="muted">mean of the labels; ${percent(scores.f1Micro)} of all decisions. All labels right in
    ${percent(scores.exact)} of ${count(measured)} images, 95% interval ${percent(scores.exactLow)} to ${percent(scores.exactHigh)}</span>`
    : html`<strong>${digits(scores.mae)}</strong> <span class="muted">mean absolute error of ${count(measured)} images; R² ${scores.r2.toFixed(3)}</span>`
  const caption = isLabels
    ? 'Precision: of the images that it gives the label, the part that have it. Recall: of the images with the label, the part that it finds. F1: both.'
    : 'R² is 1 where all numbers are right and 0 where they are no better than always the mean, whose error stands in the last column.'
  return html`<section class="card">
  <div class="head"><h2>${isLabels ? 'Labels' : 'Numbers'}</h2><p>${summary}</p></div>
  <div class="scroll"><table><thead><tr>${head.map((name) => html`<th>${name}</th>`)}</tr></thead><tbody>${rows}</tbody></table></div>
  <p class="caption">${caption}</p>
  ${remarks(run.findings)}
</section>`
}

function targetsWrong({ mostWrong }: TargetResults): Html {
  // As of classes: where nothing is wrong there is nothing to show.
  if (mostWrong.length === 0) return html``
  return html`<section class="card"><h2>What it gets wrong</h2><h3>Largest losses</h3><ul class="tiles">${mostWrong.map(
    ({
      uri,
      path,
      actual,
      predicted,
      loss,
    }) => html`<li><img src="${uri}" alt="${actual}" title="${path}"><span>${predicted}</span>
    <span class="muted">is ${actual}</span><span class="muted">loss ${loss.toFixed(2)}</span></li>`,
  )}</ul></section>`
}

async function chartsOf({ fits, search }: TrainingReport): Promise<Html> {
  const curves = await fitCharts(fits)
  if (!search) return curves
  const { suggestion } = search
  const [lrs, losses] = [search.lrs, search.losses].map((values) => values.slice(0, -LAST_STEPS))
  const svg = await lineChart({
    title: 'Search for the learning rate',
    xName: 'learning rate',
    logX: true,
    // Losses that diverged at the end would flatten the rest.
    lines: [
      { name: 'loss', look: 'first', points: lrs.map((lr, i) => [lr, losses[i]] as const) },
      {
        name: suggestion.lr.toExponential(1),
        look: 'second',
        points: [[suggestion.point.lr, suggestion.point.loss]],
      },
    ],
  })
  return html`${curves}<div class="charts"><div class="chart">${new Html(svg)}</div><div></div></div>`
}

/** Formats a metric of an epoch: the accuracy in percent, others as they are. */
function metricText(row: EpochResult, name: string): string {
  return name === 'accuracy' ? percent(row.accuracy) : metricOf(row, name).toFixed(4)
}

function epochs({ fits, layers }: TrainingReport): Html {
  const phased = fits.length > 1
  const names = metricNames(fits)
  const phase = (fit: number) => (phased ? html`<td>${layers?.[fit] ?? fit + 1}</td>` : undefined)
  const rows = fits.map(
    (fit, i) =>
      html`<tbody>${fit.epochs.map(
        (row) => html`<tr><td>${row.epoch}</td>${phase(i)}<td>${six(row.trainLoss)}</td><td>${six(row.validLoss)}</td>
      ${names.map((name) => html`<td class="accuracy">${metricText(row, name)}</td>`)}<td>${formatClock(row.seconds * 1000)}</td><td>${rate(row.imagesPerSecond)}</td></tr>`,
      )}</tbody>`,
  )
  return html`<h3>Epochs</h3><div class="scroll"><table>
    <thead><tr><th>epoch</th>${phased ? html`<th>${layers ? 'layers' : 'fit'}</th>` : undefined}<th>train_loss</th><th>valid_loss</th>${names.map((name) => html`<th>${name}</th>`)}<th>time</th><th>images/s</th></tr></thead>
    ${rows}</table></div>`
}

function images({ images: groups }: TrainingReport): Html {
  if (groups.length === 0) return html``
  return html`<section class="card"><h2>Images</h2>${groups.map(
    ({ title, tiles }) =>
      html`<h3>${title}</h3><ul class="tiles">${tiles.map(
        ({ uri, label }) => html`<li><img src="${uri}" alt="${label}"><span>${label}</span></li>`,
      )}</ul>`,
  )}</section>`
}

function facts({ settings, next }: TrainingReport): Html {
  return html`<section class="card"><h2>Settings</h2><dl class="facts">
    ${settings.map(([name, value]) => html`<div class="${value.length > 40 ? 'two' : ''}"><dt>${name}</dt><dd>${value}</dd></div>`)}
    ${next.map(([what, command]) => html`<div class="wide"><dt>${what}</dt><dd><code>${command}</code></dd></div>`)}
  </dl></section>`
}

function dateText(iso: string): string {
  return new Date(iso).toLocaleString('en-GB', { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' }) + ' UTC'
}
