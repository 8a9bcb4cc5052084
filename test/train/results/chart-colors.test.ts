import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { STYLE } from '../../../src/train/report/style.ts'
import { CHART_COLORS } from '../../../src/train/results/chart-colors.ts'

/** Contrast of two colors. Source: WCAG 2.2, "contrast ratio" and "relative luminance". */
function contrast(a: string, b: string): number {
  const [low, high] = [a, b].map(luminance).sort((x, y) => x - y)
  return (high + 0.05) / (low + 0.05)
}

function luminance(color: string): number {
  const hex = color.length === 4 ? color.replace(/[\da-f]/gi, '$&$&') : color
  expect(hex).toMatch(/^#[\da-f]{6}$/i)
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const value = parseInt(hex.slice(at, at + 2), 16) / 255
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/** Custom properties of a block of CSS. */
function properties(css: string): Map<string, string> {
  return new Map([...css.matchAll(/--([\w-]+):\s*([^;]+);/g)].map(([, name, value]) => [name, value.trim()]))
}

test('the measure is that of WCAG', () => {
  expect(contrast('#000000', '#ffffff')).toBe(21)
  expect(contrast('#777777', '#fff')).toBeCloseTo(4.48, 2)
})

describe.each(['light', 'dark'] as const)('charts in %s mode', (mode) => {
  const { ground, ...colors } = CHART_COLORS[mode]

  test.each(['first', 'second', 'faint', 'muted'] as const)('a line of the color %s stands out by 3 : 1', (name) => {
    expect(contrast(colors[name], ground)).toBeGreaterThanOrEqual(3)
  })

  test.each(['text', 'muted'] as const)('%s is readable, by 4.5 : 1', (name) => {
    expect(contrast(colors[name], ground)).toBeGreaterThanOrEqual(4.5)
  })
})

test('bars and marks of reports stand out by 3 : 1 in each mode, and on paper', () => {
  const [light, dark, print] = [...STYLE.matchAll(/:root \{([^}]*)\}/g)].map(([, css]) => properties(css))
  for (const colors of [light, new Map([...light, ...dark]), new Map([...light, ...print])]) {
    for (const name of ['first', 'second', 'muted']) {
      expect(contrast(colors.get(name) ?? '', colors.get('card') ?? '')).toBeGreaterThanOrEqual(3)
    }
    // Charts lie on cards.
    expect(luminance(colors.get('chart-ground') ?? '')).toBe(luminance(colors.get('card') ?? ''))
  }
})

test('no line of a chart is drawn with an opacity, which would lower its contrast', () => {
  const source = readFileSync(new URL('../../../src/train/results/line-chart.ts', import.meta.url), 'utf8')
  expect(source).not.toContain('opacity')
})

test('lines of the charts in the page stand out by 3 : 1 in each mode', () => {
  const css = readFileSync(new URL('../../../bench/page/style.css', import.meta.url), 'utf8')
  const [light, dark] = [...css.matchAll(/:root \{([^}]*)\}/g)].map(([, block]) => properties(block))
  const strokes = [...css.matchAll(/\.chart [^{]*\{[^}]*?\bstroke: var\(--([\w-]+)\)/g)].map(([, name]) => name)
  expect(strokes).toContain('raw')
  for (const colors of [light, new Map([...light, ...dark])]) {
    for (const name of strokes.filter((stroke) => stroke !== 'line')) {
      for (const ground of ['ground', 'panel']) {
        expect(
          contrast(colors.get(name) ?? '', colors.get(ground) ?? ''),
          `${name} on ${ground}`,
        ).toBeGreaterThanOrEqual(3)
      }
    }
  }
})
