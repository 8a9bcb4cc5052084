import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readOptions } from '../bench/options.ts'
import { DataError } from '../src/base/errors.ts'

let folder = ''

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'wgrad-lesson-'))
})

afterAll(() => {
  if (folder) rmSync(folder, { recursive: true })
})

describe('the options of a run that is continued', () => {
  test('a damaged file is named in one message', () => {
    const file = join(folder, 'options.json')
    writeFileSync(file, '{ "size": 32, ')
    const read = () => readOptions(['--resume', folder], {}, true)
    expect(read).toThrow(DataError)
    expect(read).toThrow(`${file}: a damaged file: not JSON\n  Fix: begin the run anew, without --resume`)
  })
})
