import { formatBytes, formatClock } from '../../../src/base/format.ts'
import { NOTEBOOK, scaleOf } from '../notebook.ts'
import type { Section } from '../options.ts'
import { accuracyOf, intervalOf, type ReportedSection, type Results } from '../results.ts'
import { percent } from '../../../src/base/format.ts'
import { median, rate } from '../../../src/train/report/format.ts'
import { Html, html } from '../../../src/train/report/html.ts'
import { sectionCard } from './section.ts'
import { STYLE } from '../../../src/train/report/style.ts'

export interface ReportedRun extends Omit<Results, 'sections'> {
  readonly sections: readonly ReportedSection[]
}

/** Renders a run of the lesson as one self-contained page of HTML, without scripts and network. */
export async function renderReport(run: ReportedRun): Promise<string> {
  const cards: Html[] = []
  for (const [i, section] of run.sections.entries()) cards.push(await sectionCard(section, run.sections.slice(0, i)))
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Imagenette, ${run.started.slice(0, 10)}</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<main>
<h1>The Imagenette lesson, trained with wgrad</h1>
<p class="muted">${dateText(run.started)}. Beside each figure is that of the notebook, which is fastai on a GPU.</p>
<p>${scaleOf(run.sections).text}</p>
${notes(run)}
${overview(run)}
${facts(run)}
${cards}
</main>
</body>
</html>
`.text
}

function notes({ isSample, software, adapter, interrupted, sections }: ReportedRun): Html[] {
  return [
    ...(isSample
      ? [
          html`<p class="note"><b>Not Imagenette.</b> The images could not be had, so this was trained on a
      generated sample of drawn shapes. Its accuracies say that training works, and nothing about Imagenette.</p>`,
        ]
      : []),
    ...(scaleOf(sections).isSmaller
      ? [
          html`<p class="note"><b>A small run.</b> With so much less training it does not reach the notebook's accuracies, and is
      not meant to: compare its sections with each other. They differ by more than chance where their intervals hardly overlap.</p>`,
        ]
      : []),
    ...(software
      ? [
          html`<p class="note"><b>Software adapter.</b> ${adapter} computes on the processor: speeds and times are not
      those of a GPU.</p>`,
        ]
      : []),
    ...(interrupted ? [html`<p class="note"><b>Interrupted.</b> What follows is what there was until then.</p>`] : []),
  ]
}

function overview({ sections }: ReportedRun): Html {
  return html`<div class="card"><div class="scroll"><table>
    <thead><tr><th>section</th><th>accuracy</th><th>95% interval</th><th>notebook</th><th></th><th>network</th><th>pixels</th><th>epochs</th>
      <th>train_loss</th><th>valid_loss</th><th>images/s</th><th>time</th></tr></thead>
    <tbody>${sections.map(overviewRow)}</tbody>
  </table></div>
  <div class="legend"><span><i></i>accuracy</span><span><u></u>95% interval</span><span><b></b>notebook</span></div></div>`
}

function overviewRow(section: ReportedSection): Html {
  const { name, model, size, fits, seconds } = section
  const accuracy = accuracyOf(section)
  const [low, high] = intervalOf(section)
  const notebook = NOTEBOOK[name as Section].accuracy
  const epochs = fits.flatMap((fit) => fit.epochs)
  const last = epochs.at(-1)
  const speed = median(epochs.map(({ imagesPerSecond }) => imagesPerSecond))
  const mark = notebook === undefined ? undefined : html`<b style="left:${100 * notebook}%"></b>`
  return html`<tr>
    <td><a href="#${name}">${name}</a></td><td class="accuracy">${percent(accuracy)}</td><td>${Number.isFinite(accuracy) ? `${(100 * low).toFixed(1)} – ${percent(high)}` : '–'}</td><td class="theirs">${percent(notebook ?? NaN)}</td>
    <td><span class="bar"><i style="width:${100 * (accuracy || 0)}%"></i>${Number.isFinite(accuracy) ? html`<u style="left:${(100 * low).toFixed(1)}%;width:${(100 * (high - low)).toFixed(1)}%"></u>` : undefined}${mark}</span></td>
    <td>${model}</td><td>${size}</td><td>${fits.map((fit) => fit.epochs.length).join(' + ') || '–'}</td>
    <td>${last?.trainLoss.toFixed(3) ?? '–'}</td><td>${last?.validLoss.toFixed(3) ?? '–'}</td>
    <td>${epochs.length > 0 ? rate(speed) : '–'}</td><td>${formatClock(seconds * 1000)}</td>
  </tr>`
}

function facts(run: ReportedRun): Html {
  const { adapter, software, precision, seed, data, profile, versions, command, sections } = run
  const memory = Math.max(...sections.map(({ gpuMemoryBytes }) => gpuMemoryBytes))
  const seconds = sections.reduce((sum, section) => sum + section.seconds, 0)
  const fact = (name: string, value: Html | string | number, width = '') =>
    html`<div class="${width}"><dt>${name}</dt><dd>${value}</dd></div>`
  return html`<div class="card"><dl class="facts">
    ${fact('Adapter', software ? html`${adapter} <b>(software)</b>` : adapter, 'two')}
    ${fact('Images', data, 'two')}
    ${fact('Profile', profile)}
    ${fact('Precision', precision === 'mixed' ? 'mixed: activations in f16' : 'f32')}
    ${fact('Seed', seed)}
    ${fact('Time', formatClock(seconds * 1000))}
    ${fact('GPU memory at most', formatBytes(memory))}
    ${fact(
      'Versions',
      Object.entries(versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(', '),
      'two',
    )}
    ${fact('Command', html`<code>${command}</code>`, 'wide')}
  </dl></div>`
}

function dateText(iso: string): string {
  return new Date(iso).toLocaleString('en-GB', { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' }) + ' UTC'
}
