import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import jpeg from 'jpeg-js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readOptions } from '../bench/options.ts'
import type { Results } from '../bench/results.ts'
import { DataError } from '../src/base/errors.ts'
import { stripes } from './helpers/tiny.ts'

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
    for (const text of ['{ "size": 32, ', 'null']) {
      writeFileSync(file, text)
      const read = () => readOptions(['--resume', folder], {}, true)
      expect(read).toThrow(DataError)
      expect(read).toThrow(`${file}: a damaged file: not JSON, or no { … }\n  Fix: begin the run anew, without --resume`)
    }
  })
})

/** `npm run imagenette`, built: `npm test` builds first. */
describe('the command imagenette', () => {
  const built = (name: string) => fileURLToPath(new URL(`../dist/bench/${name}.js`, import.meta.url))
  const text = (...parts: string[]) => readFileSync(join(folder, ...parts), 'utf8')
  const KINDS = { across: 'n01440764', slanted: 'n03028079', upright: 'n03888257' }
  const SMALL = ['--data', 'set', '--size', '32', '--batch-size', '8']

  beforeAll(() => {
    if (!existsSync(built('imagenette'))) throw new Error('dist/ is not there, or old: run `npm run build`, as `npm test` does')
    for (let i = 0; i < 30; i++) {
      const [kind, label] = Object.entries(KINDS)[i % 3]
      const path = join(folder, 'set', i < 20 ? 'train' : 'val', label, `${i}.jpg`)
      const { data, width, height } = stripes(`${kind}/${i}.jpg`, 48)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, jpeg.encode({ data: Buffer.from(data), width, height }, 90).data)
    }
  })

  interface Ended {
    readonly code: number | null
    readonly stdout: string
    readonly stderr: string
  }

  /** Runs a command to its end, or until it prints that: then Ctrl-C is pressed. */
  function run(name: string, args: readonly string[], pressAt?: RegExp): Promise<Ended> {
    const child = spawn(process.execPath, [built(name), ...args], { cwd: folder })
    const printed = { stdout: '', stderr: '' }
    let pressed = false
    child.stdout.on('data', (data: Buffer) => {
      printed.stdout += data.toString()
      if (pressed || !pressAt?.test(printed.stdout)) return
      pressed = true
      child.kill('SIGINT')
    })
    child.stderr.on('data', (data: Buffer) => {
      printed.stderr += data.toString()
    })
    return new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code) => resolve({ code, ...printed }))
    })
  }

  const lesson = (...args: string[]) => run('imagenette', args)
  const resultsOf = (out: string) => JSON.parse(text(out, 'results.json')) as Results

  /** All but the clock and the memory. */
  const figures = ({ sections }: Results) => sections.map(({ seconds, gpuMemoryBytes, epochs, ...section }) => (
    { ...section, epochs: epochs.map(({ epoch, trainLoss, validLoss, accuracy }) => ({ epoch, trainLoss, validLoss, accuracy })) }))
  const picturesOf = (out: string) => text(out, 'report.html').match(/data:image\/png;base64,[\w+/=]+/g) ?? []

  test('interrupted and continued, a run has the figures and the pictures of one that was not', async () => {
    const options = [...SMALL, '--first-batch-size', '4', '--epochs', '2', '--only', 'normalize,label-smoothing']
    await lesson(...options, '--out', 'whole')
    const interrupted = await run('imagenette', [...options, '--out', 'parts'], /\nlabel-smoothing\n[^]*\n0 /)
    expect(interrupted.code).toBe(130)
    expect(interrupted.stdout).toContain('to continue: npm run imagenette -- --resume parts\n')
    const before = resultsOf('parts')
    expect(before.interrupted).toBe(true)
    expect(before.sections.map(({ name, batchSize }) => [name, batchSize])).toEqual([['normalize', 4], ['label-smoothing', 8]])
    for (const name of ['options.json', 'results.json']) cpSync(join(folder, 'parts', name), join(folder, 'damaged', name))

    const resumed = await lesson('--resume', 'parts')
    expect(resumed.stdout).toMatch(/normalize\.checkpoint, 2 of 2 epochs done\n[^]*label-smoothing\.checkpoint, 1 of 2 epochs done\n/)
    const [whole, after] = [resultsOf('whole'), resultsOf('parts')]
    expect(figures(after)).toEqual(figures(whole))
    expect(whole.sections.map(({ epochs }) => epochs.length)).toEqual([2, 2])
    expect(text('parts', 'steps.jsonl')).toBe(text('whole', 'steps.jsonl'))
    expect(picturesOf('parts')).toEqual(picturesOf('whole'))
    expect(picturesOf('whole').length).toBeGreaterThan(2 * (4 + 8))
    for (const part of ['A batch in numbers', 'notebook, in batches of 4']) expect(text('parts', 'report.html')).toContain(part)
    // What was before counts too.
    expect([after.command, after.started]).toEqual([before.command, before.started])
    for (const [i, { seconds, gpuMemoryBytes }] of after.sections.entries()) {
      expect(seconds).toBeGreaterThan(before.sections[i].seconds)
      expect(gpuMemoryBytes).toBeGreaterThanOrEqual(before.sections[i].gpuMemoryBytes)
    }
    expect(existsSync(join(folder, 'parts', 'normalize.checkpoint'))).toBe(false)
  })

  test('a damaged results.json is told in one message', async () => {
    writeFileSync(join(folder, 'damaged', 'results.json'), text('damaged', 'results.json').slice(0, 99))
    const { code, stderr } = await lesson('--resume', 'damaged')
    expect(code).toBe(1)
    expect(stderr).toContain(`DataError: ${join('damaged', 'results.json')}: a damaged file: not JSON, or no { … }\n  Fix: remove it`)
    expect(stderr).not.toContain('    at ')
  })

  test('leaves a model that the command predict knows', async () => {
    const { stdout } = await lesson(...SMALL, '--then-size', '40', '--epochs', '1', '--only', 'larger-images', '--out', 'model')
    const [, path = ''] = /npm run predict -- (\S+) image\.jpg/.exec(stdout) ?? []
    const image = join('set', 'val', KINDS.across, '24.jpg')
    const { stdout: said } = await run('predict', [path, image, '--top', '1'])
    expect(said).toMatch(new RegExp(`^${image}  (tench|church|parachute) \\d+\\.\\d%\n$`))
  })
})
