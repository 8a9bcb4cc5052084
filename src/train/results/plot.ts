import type { History } from '../fit/history.ts'
import type { LrCurve, Suggestion } from './lr-suggestions.ts'

// Training needs no charts, so what draws them is loaded on first use.

/**
 * Plots loss, learning rate and momentum over the steps of the last fit as SVG text.
 *
 * @throws OptionError  if there was no fit, or the package echarts is not installed
 */
export async function trainingPlot(history: History): Promise<string> {
  const { drawTraining } = await import('./draw-plot.ts')
  return drawTraining(history)
}

/**
 * Plots the smoothed training loss over the steps of the last fit, and the loss on the validation set after each of its
 * epochs, as SVG text.
 *
 * @param skipStart  number of steps at the beginning that are left out, where there are twice as many. Default 5
 * @throws OptionError  if there was no fit, or the package echarts is not installed
 * Source: fastai learner.py, Recorder.plot_loss.
 */
export async function lossPlot(history: History, skipStart?: number): Promise<string> {
  const { drawLoss } = await import('./draw-plot.ts')
  return drawLoss(history, skipStart)
}

/**
 * Plots losses and every metric over the epochs of all fits, as SVG text.
 *
 * @throws OptionError  if no epoch was finished, or the package echarts is not installed
 * Source: fastai's plot_metrics, a recipe for Recorder that its forum uses.
 */
export async function metricsPlot(history: Pick<History, 'history'>): Promise<string> {
  const { drawMetrics } = await import('./draw-plot.ts')
  return drawMetrics(history)
}

/**
 * Plots the curve of a learning rate search with its suggestions as SVG text.
 *
 * @param search  result of `learner.lrFind`
 * @param options  `skipEnd`, the number of points at the end that are left out: a diverged loss would dominate the axis.
 *   Default 5
 * @throws OptionError  if no point remains, or the package echarts is not installed
 * Source: fastai callback/schedule.py, plot_lr_find.
 */
export async function lrFindPlot(
  search: LrCurve & { readonly suggestions: Readonly<Record<string, Suggestion>> },
  options: { readonly skipEnd?: number } = {},
): Promise<string> {
  const { drawLrFind } = await import('./draw-plot.ts')
  return drawLrFind(search, options)
}
