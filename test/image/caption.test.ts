import { describe, expect, test } from 'vitest'
import { drawLetters, hasLetters } from '../../src/image/caption.ts'
import { drawText } from '../../src/platform/node/text.ts'
import type { Pixels } from '../../src/image/pixels.ts'

/** Dots of a caption as rows of text. */
function dots({ width, height, data }: Pixels): string[] {
  return Array.from({ length: Math.ceil(height / 2) }, (_, y) =>
    Array.from({ length: Math.ceil(width / 2) }, (_, x) => (data[4 * (2 * y * width + 2 * x) + 3] ? '#' : '.')).join(
      '',
    ),
  )
}

const request = { width: 100, size: 13, color: [190, 0, 10] } as const

describe('letters of dots', () => {
  test('in capitals, without accents, wrapped and centered', () => {
    expect(dots(drawLetters({ ...request, text: 'aï' }))).toEqual([
      '.#..###',
      '#.#..#.',
      '###..#.',
      '#.#..#.',
      '#.#.###',
    ])
    const wrapped = drawLetters({ ...request, text: 'aaa\ni' })
    expect([wrapped.width, wrapped.height]).toEqual([22, 24])
    expect(dots(wrapped)[7]).toBe('....###....')
    const long = drawLetters({ ...request, text: 'x'.repeat(80) })
    expect(long.width).toBeLessThanOrEqual(100)
    expect(long.height).toBeGreaterThan(80)
  })

  test('have the color asked for', () => {
    const { data } = drawLetters({ ...request, text: 'i' })
    expect([...data.subarray(0, 4)]).toEqual([190, 0, 10, 255])
  })

  test('are there for Latin only', () => {
    expect(hasLetters('English springer, naïve (2)\nx_y-z.9/8:7?')).toBe(true)
    expect(['кошка', '猫', '🐱', 'a€'].some(hasLetters)).toBe(false)
    expect(drawLetters({ ...request, text: 'кошка' })).toEqual(drawLetters({ ...request, text: '?????' }))
  })
})

// A system may have no font at all: there the letters of dots are drawn.
const hasFont = (await drawText({ ...request, text: 'a' })) !== undefined

describe.runIf(hasFont)('fonts of the system', () => {
  const drawn = async (text: string, width = 100) => (await drawText({ ...request, text, width })) as Pixels

  test('draw other scripts, each as itself', async () => {
    const texts = ['кошка', 'собака', 'γάτα', 'Katze']
    const images = await Promise.all(texts.map((text) => drawn(text)))
    expect(new Set(images.map(({ data }) => data.join())).size).toBe(4)
    for (const { width, height, data } of images) {
      expect(data.length).toBe(4 * width * height)
      expect(width).toBeLessThanOrEqual(100)
      // Letters of about 13 pixels, in the color asked for.
      expect([height > 6, height < 25]).toEqual([true, true])
      const opaque = data.findIndex((value, i) => i % 4 === 3 && value === 255)
      expect([...data.subarray(opaque - 3, opaque)]).toEqual([190, 0, 10])
    }
  })

  test('wrap at the width, also a word that is too long, and add no hyphen', async () => {
    const once = await drawn('W'.repeat(5), 500)
    const wrapped = await drawn('W'.repeat(40))
    expect(wrapped.width).toBeLessThanOrEqual(100)
    expect(wrapped.height).toBeGreaterThan(4 * once.height)
    expect((await drawn('a\na')).height).toBeGreaterThan(1.5 * (await drawn('a')).height)
  })

  test('draw signs of markup as they are', async () => {
    expect((await drawn('<b>&amp;</b>', 500)).width).toBeGreaterThan((await drawn('&amp;', 500)).width)
    expect((await drawn('&', 500)).width).toBeLessThan((await drawn('&amp;', 500)).width)
  })

  test('nothing is drawn of nothing', async () => {
    expect(await drawText({ ...request, text: ' ' })).toBeUndefined()
  })
})
