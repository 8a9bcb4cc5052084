import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const table = readFileSync(new URL('fastai.md', import.meta.url), 'utf8')

test('every row of the table of fastai’s features names a test that exists', () => {
  const rows = table.split('\n').filter((line) => /^\|.*\| [AB] +\|/.test(line))
  expect(rows.length).toBeGreaterThan(60)
  expect(rows.filter((row) => !/\]\([^)]+\.test\.ts\)/.test(row))).toEqual([])
  const named = [...table.matchAll(/\]\(([^)]+\.test\.ts)\)/g)].map(([, path]) => path)
  expect([...new Set(named)].filter((path) => !existsSync(fileURLToPath(new URL(path, import.meta.url))))).toEqual([])
})
