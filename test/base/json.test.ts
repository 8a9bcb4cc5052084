import { expect, test } from 'vitest'
import { DataError } from '../../src/base/errors.ts'
import { jsonText, parseJson, parseRecord } from '../../src/base/json.ts'

test('numbers that are not finite are kept, and no text is taken for one', () => {
  const value = { losses: [1.5, NaN, Infinity, -Infinity], label: 'NaN', number: 3, nested: { number: 'Infinity' } }
  const text = jsonText(value)
  expect(text).toContain('[1.5,{"$number":"NaN"}')
  expect(parseJson(text)).toEqual(value)
})

test('every f64 comes back as it was', () => {
  const numbers = [0.1 + 0.2, 1 / 3, 5e-324, Number.MAX_VALUE, -1.7625894546508789]
  expect(parseJson(jsonText(numbers))).toEqual(numbers)
})

test('what is no JSON is refused', () => {
  expect(() => parseJson('{')).toThrow(SyntaxError)
})

test('the text of a file is to be { … }, and an error names the file', () => {
  expect(parseRecord('run.json', jsonText({ loss: NaN }), 'begin anew')).toEqual({ loss: NaN })
  const deep = `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
  for (const text of ['{', '', 'null', '[1]', '"x"', deep]) {
    expect(() => parseRecord('run.json', text, 'begin anew')).toThrow(DataError)
    expect(() => parseRecord('run.json', text, 'begin anew')).toThrow(
      'run.json: a damaged file: not JSON, or not { … }\n  Fix: begin anew',
    )
  }
})

test('nesting is counted outside of texts', () => {
  const brackets = '[{'.repeat(1000)
  expect(parseJson(jsonText({ brackets, 'a"\\': [brackets] }))).toEqual({ brackets, 'a"\\': [brackets] })
  expect(parseJson(`${'['.repeat(200)}${']'.repeat(200)}`)).toBeInstanceOf(Array)
  expect(() => parseJson('['.repeat(201))).toThrow('more than 200 levels of nesting')
})
