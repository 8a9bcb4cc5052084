import { OptionError } from '../../base/errors.ts'
import { escaped } from '../../base/escape.ts'
import { checkOptions, FLAG, TEXT } from '../../base/options.ts'
import { chartColor, chartProperties } from './chart-colors.ts'

/** Options of `ClassificationInterpretation.plotConfusionMatrix`. */
export interface ConfusionPlotOptions {
  /** True for parts of each row in place of counts. Default false */
  readonly normalize?: boolean
  /** Default 'Confusion matrix' */
  readonly title?: string
}

const CELL = 34
const FONT = 12
/** Estimated width of a letter, as a part of the font's size. */
const LETTER = 0.6
const MARGIN = 12
const TITLE = 28
/** Most part of the color in a cell, so that black or white text on it stays readable. */
const FULLEST = 0.6

/** Most classes: the text of 1,000 takes 340 MB, that of 1,300 would be longer than a text can be. */
const MOST_CLASSES = 1000

/** Draws counts as the text of an SVG. @throws OptionError  for an unknown option, or too many classes */
export function confusionPlot(
  classes: readonly string[],
  counts: () => readonly (readonly number[])[],
  options: ConfusionPlotOptions,
): string {
  checkOptions('plotConfusionMatrix', options, { normalize: FLAG, title: TEXT })
  if (classes.length > MOST_CLASSES) {
    throw new OptionError('plotConfusionMatrix', 'there are too many classes for a plot', {
      given: { classes: classes.length },
      expected: `at most ${MOST_CLASSES}`,
      fix: 'list what is confused most often: mostConfused()',
    })
  }
  const { normalize = false, title = 'Confusion matrix' } = options
  const names = Math.ceil(Math.max(0, ...classes.map(({ length }) => length)) * FONT * LETTER) + 8
  const [left, top] = [MARGIN + FONT + 8 + names, MARGIN + TITLE + FONT + 8 + names]
  const side = CELL * classes.length
  const [width, height] = [left + side + MARGIN, top + side + MARGIN]
  const cells = counts().flatMap((row, i) => {
    const sum = row.reduce((total, value) => total + value, 0)
    return row.map((value, j) => {
      const share = sum === 0 ? 0 : value / sum
      const [x, y] = [left + j * CELL, top + i * CELL]
      const text = value === 0 ? '' : normalize ? share.toFixed(2) : String(value)
      return (
        `<rect x="${x + 1}" y="${y + 1}" width="${CELL - 2}" height="${CELL - 2}" rx="4" fill="${chartColor('grid')}" fill-opacity="0.5"/>` +
        `<rect x="${x + 1}" y="${y + 1}" width="${CELL - 2}" height="${CELL - 2}" rx="4" fill="${chartColor(i === j ? 'first' : 'second')}" fill-opacity="${(FULLEST * share).toFixed(3)}"><title>${escaped(`${classes[i]} taken for ${classes[j]}: ${value}`)}</title></rect>` +
        `<text x="${x + CELL / 2}" y="${y + CELL / 2}" text-anchor="middle" dominant-baseline="central">${text}</text>`
      )
    })
  })
  const labels = classes.flatMap((name, i) => {
    const middle = i * CELL + CELL / 2
    return [
      `<text x="${left - 8}" y="${top + middle}" text-anchor="end" dominant-baseline="central">${escaped(name)}</text>`,
      `<text transform="translate(${left + middle} ${top - 8}) rotate(-90)" dominant-baseline="central">${escaped(name)}</text>`,
    ]
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<style>
svg { ${chartProperties('light')} }
@media (prefers-color-scheme: dark) { svg { ${chartProperties('dark')} } }
text { font: ${FONT}px system-ui, sans-serif; fill: ${chartColor('text')} }
.axis { fill: ${chartColor('muted')} }
.title { font-weight: 600 }
</style>
<rect width="100%" height="100%" fill="${chartColor('ground')}"/>
<text class="title" x="${MARGIN}" y="${MARGIN + FONT}">${escaped(title)}</text>
<text class="axis" x="${left + side / 2}" y="${MARGIN + TITLE + FONT / 2}" text-anchor="middle">predicted</text>
<text class="axis" transform="translate(${MARGIN + FONT / 2} ${top + side / 2}) rotate(-90)" text-anchor="middle">actual</text>
${[...cells, ...labels].join('\n')}
</svg>
`
}
