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

describe('the options of a run', () => {
  test('one batch size is that of all sections, unless the first two have another, as in the notebook', () => {
    const sizes = (...args: string[]) => {
      const { batchSize, firstBatchSize } = readOptions(args, {}, true)
      return [batchSize, firstBatchSize]
    }
    expect(sizes('--batch-size', '8')).toEqual([8, 8])
    expect(sizes('--batch-size', '8', '--first-batch-size', '4')).toEqual([8, 4])
    expect(() => sizes('--first-batch-size', '1')).toThrow("--first-batch-size: '1' is out of range")
    // Of a run that was begun before there was a choice.
    const { firstBatchSize, ...options } = readOptions(['--batch-size', '8'], {}, true)
    writeFileSync(join(folder, 'options.json'), JSON.stringify(options))
    expect(readOptions(['--resume', folder], {}, true)).toEqual({ ...options, firstBatchSize, out: folder, resume: true })
  })

  test('a damaged file is named in one message', () => {
    const file = join(folder, 'options.json')
    writeFileSync(file, '{ "size": 32, ')
    const read = () => readOptions(['--resume', folder], {}, true)
    expect(read).toThrow(DataError)
    expect(read).toThrow(`${file}: a damaged file: not JSON\n  Fix: begin the run anew, without --resume`)
  })
})
