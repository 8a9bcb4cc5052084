/** Colors of charts, in the reader's light or dark mode. */

/** Colors of one mode. */
interface ChartColors {
  readonly ground: string
  readonly text: string
  readonly muted: string
  readonly grid: string
  readonly first: string
  readonly second: string
  /** Color of every single value behind a smoothed line. */
  readonly faint: string
}

/**
 * Colors by mode. Lines and text differ from the ground by a contrast of 3 or more (WCAG 2.2, 1.4.11), which a test
 * computes; the grid only leads the eye.
 */
export const CHART_COLORS: Readonly<Record<'light' | 'dark', ChartColors>> = {
  light: {
    ...{ ground: '#ffffff', text: '#1b1f27', muted: '#5f6877', grid: '#e3e6eb' },
    ...{ first: '#2563eb', second: '#d9480f', faint: '#628af0' },
  },
  dark: {
    ...{ ground: '#171b21', text: '#e6e9ee', muted: '#98a2b3', grid: '#2a303a' },
    ...{ first: '#7aa2ff', second: '#ff9a62', faint: '#4f6cb0' },
  },
}

/** Returns the custom properties of CSS that give a chart the colors of a mode. */
export function chartProperties(mode: keyof typeof CHART_COLORS): string {
  return Object.entries(CHART_COLORS[mode])
    .map(([name, color]) => `--chart-${name}: ${color};`)
    .join(' ')
}

/** Returns a color of charts as CSS: that of the page's mode, or of light mode where a page sets none. */
export function chartColor(name: keyof ChartColors): string {
  return `var(--chart-${name}, ${CHART_COLORS.light[name]})`
}
