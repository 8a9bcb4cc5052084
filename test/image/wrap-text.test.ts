import { describe, expect, test } from 'vitest'
import { charactersOf, estimatedWidth, wrapText } from '../../src/image/wrap-text.ts'

const wrap = (text: string, width: number) => wrapText(text, width, (part) => charactersOf(part).length)

describe('a text is wrapped', () => {
  test.each([
    ['between words', 'English springer', 10, ['English', 'springer']],
    ['only where it must', 'a b c', 5, ['a b c']],
    ['with punctuation at its word', 'no, really (yes)', 7, ['no,', 'really', '(yes)']],
    ['behind signs that join names', 'red_setter-2.jpg', 8, ['red_', 'setter-', '2.jpg']],
    ['inside a word that is too long', 'abcdefgh ij', 3, ['abc', 'def', 'gh', 'ij']],
    ['at line breaks', 'one\n\ntwo three', 5, ['one', '', 'two', 'three']],
    ['in Thai, which has no spaces', 'แมวบ้านตัวเล็ก', 6, ['แมวบ้าน', 'ตัวเล็ก']],
    ['in Chinese', '大熊猫宝宝', 3, ['大熊猫', '宝宝']],
    ['never inside an emoji', '👩‍👩‍👧‍👦👩‍👩‍👧‍👦', 1, ['👩‍👩‍👧‍👦', '👩‍👩‍👧‍👦']],
    ['and nothing at all is a line', '', 3, ['']],
  ])('%s', (_name, text, width, lines) => {
    expect(wrap(text, width)).toEqual(lines)
  })

  test('and nothing is lost', () => {
    const text = 'a_label of/eighty.characters, кошка домашняя, قطة منزلية, 猫ねこ고양이 (बिल्ली) and-on'
    for (const width of [1, 2, 5, 12, 30]) {
      const lines = wrap(text, width)
      expect(lines.join('').replaceAll(' ', '')).toBe(text.replaceAll(' ', ''))
      expect(lines.every((line) => charactersOf(line).length <= width)).toBe(true)
    }
  })
})

test('the estimated width counts characters, the wide ones more', () => {
  expect(estimatedWidth('abc', 10)).toBeCloseTo(18.6)
  expect(estimatedWidth('猫', 10)).toBeCloseTo(10.5)
  expect(estimatedWidth('🐱', 10)).toBeCloseTo(10.5)
  // A letter with its mark is one.
  expect(estimatedWidth('e\u0301', 10)).toBeCloseTo(6.2)
})
