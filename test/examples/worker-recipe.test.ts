import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const text = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

test("the README's Worker is the one that test/browser/worker.test.ts runs", () => {
  const recipe = text('test/browser/recipe/train-worker.ts')
    .replace("'../../../src/browser.ts'", "'wgrad/browser'")
    .replace("'../../../src/exports/train.ts'", "'wgrad/train'")
  expect(recipe).toContain("from 'wgrad/browser'")
  expect(text('README.md')).toContain(`\`\`\`ts\n${recipe}\`\`\``)
})
