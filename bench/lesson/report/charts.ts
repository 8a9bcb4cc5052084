import type { Line } from '../../../src/train/results/line-chart.ts'
import { epochPoints, fitCharts } from '../../../src/train/report/charts.ts'
import type { Html } from '../../../src/train/report/html.ts'
import { NOTEBOOK, type NotebookRow } from '../notebook.ts'
import type { Section } from '../options.ts'
import type { FitResult, ReportedSection } from '../results.ts'

/** Renders loss, accuracy, learning rate and momentum of a section over its epochs; empty if nothing was trained. */
export function sectionCharts({ name, fits }: ReportedSection): Promise<Html> {
  return fitCharts(fits, {
    loss: notebookLine(name, fits, ({ validLoss }) => validLoss),
    accuracy: notebookLine(name, fits, ({ accuracy }) => accuracy),
  })
}

/**
 * Returns the notebook's values if both runs have the same number of epochs: in the middle of a cycle a value says
 * nothing about its end.
 */
function notebookLine(name: string, fits: readonly FitResult[], value: (row: NotebookRow) => number): Line[] {
  const theirs = NOTEBOOK[name as Section].fits
  const comparable = theirs.length === fits.length && theirs.every((rows, i) => rows.length === fits[i].epochs.length)
  return comparable ? [{ name: 'notebook', look: 'other', points: epochPoints(theirs, value) }] : []
}
