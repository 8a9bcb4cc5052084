import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import jpeg from 'jpeg-js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { scaleOf } from '../../bench/lesson/notebook.ts'
import { readOptions } from '../../bench/lesson/options.ts'
import type { Results } from '../../bench/lesson/results.ts'
import { RunFolder } from '../../src/platform/node/run-folder.ts'
import { DataError } from '../../src/base/errors.ts'
import { markOf } from '../../src/platform/node/process-mark.ts'
import { pressing } from '../helpers/command.ts'
import { stripes } from '../helpers/tiny.ts'

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
    expect(sizes('--batch-size', '8', '--profile', 'full')).toEqual([8, 8])
    expect(sizes('--batch-size', '8')).toEqual([8, 4])
    expect(sizes('--batch-size', '8', '--first-batch-size', '4')).toEqual([8, 4])
    expect(() => sizes('--first-batch-size', '1')).toThrow("--first-batch-size: '1' is out of range")
    // Of a run that was begun before there was a choice.
    const { firstBatchSize, ...options } = readOptions(['--batch-size', '8'], {}, true)
    writeFileSync(join(folder, 'options.json'), JSON.stringify(options))
    expect(firstBatchSize).toBe(4)
    expect(readOptions(['--resume', folder], {}, true)).toEqual({
      ...options,
      firstBatchSize: 8,
      out: folder,
      resume: true,
    })
  })

  test('the quick profile measures on half of its images, and begins with smaller batches, as the notebook does', () => {
    const chosen = (...args: string[]) => {
      const { batchSize, firstBatchSize, limit, valid } = readOptions(args, {}, true)
      return { batchSize, firstBatchSize, limit, valid }
    }
    expect(chosen()).toEqual({ batchSize: 16, firstBatchSize: 8, limit: 800, valid: 0.5 })
    expect(chosen('--profile', 'full')).toEqual({ batchSize: 64, firstBatchSize: 64, limit: Infinity, valid: 0.2 })
    expect(chosen('--valid', '0.25')).toMatchObject({ valid: 0.25 })
    expect(() => readOptions(['--valid', '1'], {}, true)).toThrow("--valid: '1' is out of range")
    expect(() => readOptions(['--valid', 'half'], {}, true)).toThrow("--valid: 'half' is out of range")
    // Of a run that was begun before there was a choice.
    const { valid: _valid, ...options } = readOptions([], {}, true)
    writeFileSync(join(folder, 'options.json'), JSON.stringify(options))
    expect(readOptions(['--resume', folder], {}, true).valid).toBe(0.2)
  })

  test('a damaged file is named in one message', () => {
    const file = join(folder, 'options.json')
    for (const text of ['{ "size": 32, ', 'null']) {
      writeFileSync(file, text)
      const read = () => readOptions(['--resume', folder], {}, true)
      expect(read).toThrow(DataError)
      expect(read).toThrow(
        `${file}: a damaged file: not JSON, or not { … }\n  Fix: begin the run anew, without --resume`,
      )
    }
    const options = JSON.parse(JSON.stringify(readOptions(['--profile', 'full'], {}, true))) as Record<string, unknown>
    const restored = (changes: object) => {
      writeFileSync(file, JSON.stringify({ ...options, ...changes }))
      return readOptions(['--resume', folder], {}, true)
    }
    // All images: JSON has no infinity.
    expect(restored({})).toMatchObject({ ...options, limit: Infinity, resume: true, out: folder })
    for (const [name, value] of [
      ['size', '64'],
      ['size', 31],
      ['thenSize', undefined],
      ['epochs', 0],
      ['epochs', 1.5],
      ['batchSize', 1],
      ['firstBatchSize', 'x'],
      ['limit', 3],
      ['seed', -1],
      ['profile', 'fast'],
      ['variant', 320],
      ['split', undefined],
      ['sections', []],
      ['sections', ['baseline', 'other']],
      ['sections', 'tta'],
      ['fp32', 'no'],
      ['data', 5],
    ] as const) {
      expect(() => restored({ [name]: value })).toThrow(DataError)
      expect(() => restored({ [name]: value })).toThrow(`${file}: a damaged file: its ${name} is invalid\n  ${name}  `)
    }
  })

  test('paths are the same from every folder', () => {
    expect(readOptions(['--data', 'set'], {}, true).data).toBe(resolve('set'))
    expect(readOptions([], { IMAGENETTE_PATH: 'there' }, true).data).toBe(resolve('there'))
    expect(readOptions([], {}, true).data).toBeUndefined()
  })
})

describe('the folder of a run', () => {
  test('is a new one each time where none is named', async () => {
    const before = process.cwd()
    process.chdir(folder)
    try {
      const folders = await Promise.all([0, 1, 2].map(() => RunFolder.open(undefined, () => {})))
      expect(new Set(folders.map(({ path }) => path)).size).toBe(3)
      for (const each of folders) await each.close()
    } finally {
      process.chdir(before)
    }
  })

  test('is that of one run at a time, which may be gone', async () => {
    const path = join(folder, 'taken')
    const first = await RunFolder.open(path, () => {})
    await expect(RunFolder.open(path, () => {})).rejects.toThrow(
      `${path}: another run writes to this folder\n  run  this process\n  Fix: wait for its end (for a minute, if it was killed), or`,
    )
    await first.close()
    writeFileSync(join(path, `.run.${markOf(999_999_999)}.lock`), '')
    await (await RunFolder.open(path, () => {})).close()
    expect(readdirSync(path)).toEqual([])
    writeFileSync(join(folder, 'file'), '')
    await expect(RunFolder.open(join(folder, 'file'), () => {})).rejects.toThrow(DataError)
  })

  test('a file that cannot be written is said, and forgotten once it is there', async () => {
    const said: string[] = []
    const run = await RunFolder.open(join(folder, 'full'), (line) => said.push(line))
    const full = () => Promise.reject(new DataError('x', 'no space left on the device'))
    await run.attempt('a', full)
    await run.attempt('b', full)
    expect(said).toEqual(
      ['a', 'b'].map((name) => `${name} was not written, and the run goes on: x: no space left on the device`),
    )
    await run.attempt('a', () => run.write('a', 'text'))
    expect([run.unwritten, readFileSync(run.file('a'), 'utf8')]).toEqual([['b'], 'text'])
    await expect(run.attempt('a', () => Promise.reject(new TypeError('a bug')))).rejects.toThrow(TypeError)
    await run.remove(['a', 'nothing'])
    await run.close()
    expect(readdirSync(run.path)).toEqual([])
  })
})

/** `npm run imagenette`, built: `npm test` builds first. */
describe('the command imagenette', () => {
  const built = (name: string) => {
    const folder = name === 'wgrad' ? 'src/cli' : 'bench'
    return fileURLToPath(new URL(`../../dist/${folder}/${name}.js`, import.meta.url))
  }
  const text = (...parts: string[]) => readFileSync(join(folder, ...parts), 'utf8')
  const KINDS = { across: 'n01440764', slanted: 'n03028079', upright: 'n03888257' }
  // A fifth to measure on, so that there is something to learn from.
  const SMALL = [
    '--data',
    'set',
    '--size',
    '32',
    '--batch-size',
    '8',
    '--first-batch-size',
    '8',
    '--valid',
    '0.2',
    '--widen',
    '0.25',
  ]

  beforeAll(() => {
    if (!existsSync(built('imagenette'))) {
      throw new Error('dist/ is not there, or old: run `npm run build`, as `npm test` does')
    }
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
  function run(name: string, args: readonly string[], pressAt?: RegExp, cwd = folder): Promise<Ended> {
    const env = pressAt ? pressing(pressAt) : process.env
    const child = spawn(process.execPath, [built(name), ...args], { cwd, env })
    const printed = { stdout: '', stderr: '' }
    child.stdout.on('data', (data: Buffer) => {
      printed.stdout += data.toString()
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
  const figures = ({ sections }: Results) =>
    sections.map(({ seconds, gpuMemoryBytes, epochs, ...section }) => ({
      ...section,
      epochs: epochs.map(({ epoch, trainLoss, validLoss, accuracy }) => ({ epoch, trainLoss, validLoss, accuracy })),
    }))
  const picturesOf = (out: string) => text(out, 'report.html').match(/data:image\/png;base64,[\w+/=]+/g) ?? []

  test('interrupted and continued, a run has the figures and the pictures of one that was not', async () => {
    const small = SMALL.map((word, i) => (SMALL[i - 1] === '--first-batch-size' ? '4' : word))
    const options = [...small, '--epochs', '2', '--only', 'normalize,label-smoothing']
    await lesson(...options, '--out', 'whole')
    const interrupted = await run('imagenette', [...options, '--out', 'parts'], /\nlabel-smoothing\n[^]*\n0 /)
    expect(interrupted.code).toBe(130)
    expect(interrupted.stdout).toContain('to continue: npm run imagenette -- --resume parts\n')
    const again = await lesson(...options, '--out', 'parts')
    expect(again.stderr).toContain('OptionError: --out: there is a run in this folder already')
    expect(again.stderr).toContain('continue that run: npm run imagenette -- --resume parts\n')
    const before = resultsOf('parts')
    expect(before.interrupted).toBe(true)
    expect(before.sections.map(({ name, batchSize }) => [name, batchSize])).toEqual([
      ['normalize', 4],
      ['label-smoothing', 8],
    ])
    for (const name of ['options.json', 'results.json']) {
      cpSync(join(folder, 'parts', name), join(folder, 'damaged', name))
    }

    // From another folder, too.
    const resumed = await run('imagenette', ['--resume', join(folder, 'parts')], undefined, join(folder, 'set'))
    expect(resumed.stdout).toMatch(
      /normalize\.checkpoint, 2 of 2 epochs done\n[^]*label-smoothing\.checkpoint, 1 of 2 epochs done\n/,
    )
    const [whole, after] = [resultsOf('whole'), resultsOf('parts')]
    expect(figures(after)).toEqual(figures(whole))
    expect(whole.sections.map(({ epochs }) => epochs.length)).toEqual([2, 2])
    expect(text('parts', 'steps.jsonl')).toBe(text('whole', 'steps.jsonl'))
    expect(picturesOf('parts')).toEqual(picturesOf('whole'))
    expect(picturesOf('whole').length).toBeGreaterThan(2 * (4 + 8))
    for (const part of ['A batch in numbers', 'notebook, in batches of 4']) {
      expect(text('parts', 'report.html')).toContain(part)
    }
    // What was before counts too.
    expect([after.command, after.started]).toEqual([before.command, before.started])
    for (const [i, { seconds, gpuMemoryBytes }] of after.sections.entries()) {
      expect(seconds).toBeGreaterThan(before.sections[i].seconds)
      expect(gpuMemoryBytes).toBeGreaterThanOrEqual(before.sections[i].gpuMemoryBytes)
    }
    expect(existsSync(join(folder, 'parts', 'normalize.checkpoint'))).toBe(false)

    // Over: nothing is trained again.
    writeFileSync(join(folder, 'parts', 'normalize.checkpoint'), 'left by a kill')
    const over = await lesson('--resume', 'parts')
    expect([over.code, over.stdout]).toEqual([
      0,
      `parts is the folder of a run that is over: there is nothing to continue. Its report is ${join('parts', 'report.html')}\n`,
    ])
    expect(readdirSync(join(folder, 'parts')).sort()).toEqual([
      'history.csv',
      'options.json',
      'report.html',
      'results.json',
      'steps.jsonl',
    ])
    expect(resultsOf('parts')).toEqual(after)
  })

  /** In package.json: what is in this project’s, and what a shell makes of more than one command. */
  const SCRIPTS = {
    alone: `node ${built('imagenette')}`,
    'with-shell': `true && node ${built('imagenette')} --size 32 --batch-size 8 && true`,
  }

  test.each([
    ['alone', 'SIGTERM'],
    ['alone', 'SIGHUP'],
    ['with-shell', 'SIGTERM'],
  ] as const)('npm run, %s: %s ends the run as Ctrl-C does', async (script, signal) => {
    const out = `${script}-${signal}`
    mkdirSync(join(folder, out))
    const shell =
      script === 'with-shell'
        ? SCRIPTS[script].replace(
            ' && true',
            ` --data '${join(folder, 'set')}' --epochs 50 --only normalize --out '${join(folder, out, 'run')}' && true`,
          )
        : SCRIPTS[script]
    writeFileSync(
      join(folder, out, 'package.json'),
      JSON.stringify({ name: 'lesson', version: '1.0.0', scripts: { [script]: shell } }),
    )
    const args =
      script === 'with-shell'
        ? []
        : [
            '--',
            '--data',
            join(folder, 'set'),
            ...SMALL.slice(2),
            '--epochs',
            '50',
            '--only',
            'normalize',
            '--out',
            join(folder, out, 'run'),
          ]
    const npm = spawn('npm', ['run', '--silent', script, ...args], { cwd: join(folder, out) })
    let said = ''
    let sent = false
    for (const stream of [npm.stdout, npm.stderr]) {
      stream.on('data', (data: Buffer) => {
        said += data.toString()
        if (sent || !/\n0 /.test(said)) return
        sent = true
        npm.kill(signal)
      })
    }
    // Its output ends when every process that writes to it has ended: not before the run has.
    await new Promise((ended) => npm.on('close', ended))
    expect(said).toContain(`to continue: npm run imagenette -- --resume ${join(folder, out, 'run')}`)
    const { interrupted, sections } = resultsOf(join(out, 'run'))
    expect([interrupted, sections.length]).toEqual([true, 1])
    expect(readdirSync(join(folder, out, 'run')).filter((name) => name.endsWith('.lock'))).toEqual([])
  })

  test('a damaged results.json is told in one message', async () => {
    writeFileSync(join(folder, 'damaged', 'results.json'), text('damaged', 'results.json').slice(0, 99))
    const { code, stderr } = await lesson('--resume', 'damaged')
    expect(code).toBe(1)
    expect(stderr).toContain(
      `DataError: ${join('damaged', 'results.json')}: a damaged file: not JSON, or not { … }\n  Fix: remove it`,
    )
    expect(stderr).not.toContain('    at ')
  })

  test('leaves a model that the command predict knows', async () => {
    // A file of the report cannot be written, which the rest does not mind.
    mkdirSync(join(folder, 'model', 'history.csv'), { recursive: true })
    const { code, stdout } = await lesson(
      ...SMALL,
      '--then-size',
      '40',
      // As wide as it is: it learns in one epoch that there are three classes, of 1,000 outputs.
      '--widen',
      '1',
      '--epochs',
      '1',
      '--only',
      'larger-images',
      '--out',
      'model',
    )
    expect(code).toBe(1)
    expect(stdout).toContain('history.csv was not written, and the run goes on: ')
    expect(stdout).toMatch(
      /\nNOT written in model: history\.csv\n[^]*\nto continue: npm run imagenette -- --resume model\n$/,
    )
    expect(existsSync(join(folder, 'model', 'larger-images.checkpoint'))).toBe(true)
    const [, path = ''] = /npm run predict -- (\S+) image\.jpg/.exec(stdout) ?? []
    const image = join('set', 'val', KINDS.across, '24.jpg')
    const { stdout: said } = await run('wgrad', ['predict', path, image, '--top', '1'])
    expect(said).toMatch(new RegExp(`^${image}  (tench|church|parachute) \\d+\\.\\d%\n$`))
  })
})

describe('how much a run was trained', () => {
  const section = (train: number, epochs: number) => ({
    images: { train, valid: 400 },
    size: 64,
    epochs: Array.from({ length: epochs }),
  })

  test('stands beside the notebook, and a small run says that it is one', () => {
    expect(scaleOf([section(400, 0), section(400, 3)])).toEqual({
      text:
        'This run: 400 images to train on and 400 to measure on, 3 epochs, 64 px. ' +
        'The notebook: 10,716 images to train on and 2,678 to measure on, 5 epochs, 128 px.',
      isSmaller: true,
    })
    expect(scaleOf([section(10_716, 5)]).isSmaller).toBe(false)
    expect(scaleOf([section(400, 0)])).toEqual({ text: '', isSmaller: false })
  })
})
