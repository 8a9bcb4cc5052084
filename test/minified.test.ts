import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Program of a user, who finds errors by name and has a metric of their own. */
const PROGRAM = `
  import * as errors from '${root}/src/base/errors.ts'
  import { accuracy, checkedMetrics, errorRate } from '${root}/src/train/fit/metrics.ts'
  import { columnNames } from '${root}/src/train/fit/epoch-table.ts'
  import { Cancel, Interrupted } from '${root}/src/train/fit/callback.ts'

  function hits(predictions, targets) { return predictions.rows + targets.length }
  const metrics = checkedMetrics([accuracy, errorRate, { hits }])
  export const columns = columnNames({ metrics, precision: 'f32' })
  export const value = metrics[2]({ rows: 2 }, [1, 2, 3])
  export const names = Object.entries(errors).filter(([name]) => name.endsWith('Error'))
    .map(([name, Kind]) => [name, new Kind('place', 'what').name, String(new Kind('place', 'what'))])
  export const others = [new Cancel('fit').name, new Interrupted().name]
  export const function_ = hits.name
`

test('names of errors and metrics are the same in a minified bundle', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'wgrad-minified-'))
  try {
    const { outputFiles } = await build({
      stdin: { contents: PROGRAM, resolveDir: root },
      bundle: true,
      minify: true,
      format: 'esm',
      platform: 'node',
      write: false,
    })
    const file = join(folder, 'bundle.mjs')
    writeFileSync(file, outputFiles[0].contents)
    const bundle = (await import(/* @vite-ignore */ pathToFileURL(file).href)) as {
      readonly columns: string[]
      readonly value: number
      readonly names: [string, string, string][]
      readonly others: string[]
      readonly function_: string
    }
    // Otherwise nothing would be proven.
    expect(bundle.function_).not.toBe('hits')
    expect(bundle.columns).toEqual(['epoch', 'train_loss', 'valid_loss', 'accuracy', 'error_rate', 'hits', 'time'])
    expect(bundle.value).toBe(5)
    expect(bundle.names).toHaveLength(9)
    for (const [name, given, text] of bundle.names) expect([given, text]).toEqual([name, `${name}: place: what`])
    expect(bundle.others).toEqual(['Cancel', 'Interrupted'])
  } finally {
    rmSync(folder, { recursive: true })
  }
})
