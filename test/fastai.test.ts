import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = new URL('..', import.meta.url)
const table = readFileSync(new URL('FASTAI.md', root), 'utf8')

test('every row of the table of fastai’s features names a test that exists', () => {
  const rows = table.split('\n').filter((line) => /^\|.*\| [AB] +\|/.test(line))
  expect(rows.length).toBeGreaterThan(60)
  expect(rows.filter((row) => !/\]\(test\/[^)]+\.test\.ts\)/.test(row))).toEqual([])
  const named = [...table.matchAll(/\]\((test\/[^)]+)\)/g)].map(([, path]) => path)
  expect([...new Set(named)].filter((path) => !existsSync(fileURLToPath(new URL(path, root))))).toEqual([])
})
