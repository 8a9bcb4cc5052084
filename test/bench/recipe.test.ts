import { execFile, spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import jpeg from 'jpeg-js'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { stripes } from '../helpers/tiny.ts'

const run = promisify(execFile)
const command = fileURLToPath(new URL('../../dist/bench/recipe.js', import.meta.url))

/** `npm run recipe`, built: `npm test` builds first. */
let folder = ''
const recipe = (...args: string[]) =>
  run(process.execPath, [command, ...args], { cwd: folder }).catch(
    (failed: { stdout: string; stderr: string }) => failed,
  )

beforeAll(() => {
  if (!existsSync(command)) throw new Error('dist/ is not there, or old: run `npm run build`, as `npm test` does')
  folder = mkdtempSync(join(tmpdir(), 'wgrad-recipe-'))
  for (let i = 0; i < 36; i++) {
    const path = join(folder, 'set', i < 24 ? 'train' : 'val', ['across', 'slanted', 'upright'][i % 3], `${i}.jpg`)
    const { data, width, height } = stripes(path, 48)
    mkdirSync(join(path, '..'), { recursive: true })
    writeFileSync(path, jpeg.encode({ data: Buffer.from(data), width, height }, 90).data)
  }
})

afterAll(() => {
  if (folder) rmSync(folder, { recursive: true })
})

interface Result {
  runs: {
    seed: number
    rows: { metrics: Record<string, number> }[]
    tta: number
    then: { rows: unknown[]; tta: number }
  }[]
}

const SMALL = [
  '--data',
  'set',
  '--size',
  '32',
  '--epochs',
  '1',
  '--batch-size',
  '8',
  '--outputs',
  '4',
  '--widen',
  '0.25',
]

test('one recipe for each seed: what was measured is printed and written', async () => {
  const { stdout, stderr } = await recipe(
    ...SMALL,
    '--seeds',
    '0,3',
    '--mixup',
    '0.4',
    '--tta',
    '--then-size',
    '40',
    '--json',
    'out.json',
  )
  expect(stderr.replaceAll(/^Warning: .*\n/gm, '')).toBe('')
  expect(stdout).toMatch(
    /accuracy       \d\.\d{4}   \d\.\d{4} \d\.\d{4}\nwith TTA .*\nlarger images .*\nwith TTA .*\n$/,
  )
  const { runs } = JSON.parse(readFileSync(join(folder, 'out.json'), 'utf8')) as Result
  expect(runs.map(({ seed }) => seed)).toEqual([0, 3])
  for (const { rows, tta, then } of runs) {
    expect([rows.length, then.rows.length]).toEqual([1, 1])
    // 7 pictures of 36 are measured on.
    for (const accuracy of [rows[0].metrics.accuracy, tta, then.tta]) {
      expect(accuracy * 7).toBeCloseTo(Math.round(accuracy * 7), 6)
    }
  }
})

test('ended by a signal and continued, it comes to the same, and leaves its models', async () => {
  const options = [...SMALL, '--epochs', '2', '--seeds', '0,3', '--then-size', '40']
  await recipe(...options, '--out', 'whole')
  const child = spawn(process.execPath, [command, ...options, '--out', 'parts'], { cwd: folder })
  let said = ''
  child.stdout.on('data', (data: Buffer) => {
    const before = said.length
    said += data.toString()
    // In the first epoch of the second seed's second fit.
    const at = /\nseed 3\n[^]*\n1 [^]*\nepoch/.test(said)
    if (at && !/\nseed 3\n[^]*\n1 [^]*\nepoch/.test(said.slice(0, before))) child.kill('SIGTERM')
  })
  expect(await new Promise((ended) => child.on('close', ended))).toBe(130)
  expect(said).toMatch(/to continue: npm run recipe -- --resume parts\n$/)
  expect(existsSync(join(folder, 'parts', 'seed-3.checkpoint'))).toBe(true)
  const again = await recipe(...options, '--out', 'parts')
  expect(again.stderr).toContain('OptionError: --out: there is a run in this folder already')
  expect(again.stderr).toContain('continue that run: npm run recipe -- --resume parts\n')

  const { stdout } = await recipe('--resume', 'parts')
  expect(stdout).not.toContain('seed 0\n')
  const resultOf = (out: string) => (JSON.parse(readFileSync(join(folder, out, 'results.json'), 'utf8')) as Result).runs
  const timeless = (runs: Result['runs']) =>
    JSON.stringify(runs, (name, value: unknown) => (/^(timeMs|imagesPerSecond)$/.test(name) ? 0 : value))
  expect(timeless(resultOf('parts'))).toBe(timeless(resultOf('whole')))
  expect(readdirSync(join(folder, 'parts')).sort()).toEqual([
    'options.json',
    'results.json',
    'seed-0.safetensors',
    'seed-3.safetensors',
  ])
  for (const name of ['seed-0.safetensors', 'seed-3.safetensors']) {
    expect(readFileSync(join(folder, 'parts', name)).equals(readFileSync(join(folder, 'whole', name)))).toBe(true)
  }
  expect((await recipe('--resume', 'parts')).stdout).toContain(
    'parts is the folder of a recipe that is over: there is nothing to continue',
  )
  expect((await recipe('--resume', 'parts', '--tta')).stderr).toContain('leave out --tta')
  writeFileSync(join(folder, 'parts', 'options.json'), JSON.stringify({ epochs: 3 }))
  expect((await recipe('--resume', 'parts')).stderr).toContain(
    `DataError: ${join('parts', 'options.json')}: a damaged file: --epochs: this is no option of a recipe`,
  )
}, 600_000)

test('what cannot be written is noticed before anything is trained', async () => {
  const { stdout, stderr } = await recipe(...SMALL, '--json', 'set')
  expect(stderr).toContain(`DataError: ${join(folder, 'set')}: cannot be written`)
  expect(stdout).not.toContain('seed 0')
})

test('the leaderboard’s recipe measures on the folder val', async () => {
  const { stdout } = await recipe(...SMALL, '--leaderboard', '--model', 'xresnet18', '--json', 'board.json')
  expect(stdout).toContain('top_5_accuracy')
  const [
    {
      rows: [row],
    },
  ] = (JSON.parse(readFileSync(join(folder, 'board.json'), 'utf8')) as Result).runs
  expect(row.metrics.accuracy * 12).toBeCloseTo(Math.round(row.metrics.accuracy * 12), 6)
})

test('a few images may leave a class without any to train on', async () => {
  cpSync(join(folder, 'set'), join(folder, 'gaps'), { recursive: true })
  rmSync(join(folder, 'gaps', 'train', 'upright'), { recursive: true })
  const gaps = [...SMALL, '--data', 'gaps', '--leaderboard', '--model', 'xresnet18', '--json', 'gaps.json']
  const { stderr, stdout } = await recipe(...gaps, '--limit', '100')
  expect(stderr).not.toContain('Error')
  expect(stdout).toContain('upright 0 + 4')
  expect((await recipe(...gaps)).stderr).toContain("the label 'upright' is not in the vocabulary")
})

/** Imagenette's table of wrong labels, for the pictures: `wrong` says which label a picture has in the column of 50 percent. */
function writeTable(name: string, wrong: (image: number, right: string) => string): void {
  const kinds = ['across', 'slanted', 'upright']
  const rows = Array.from({ length: 36 }, (_, i) => {
    const [right, valid] = [kinds[i % 3], i >= 24]
    return `${valid ? 'val' : 'train'}/${right}/${i}.jpg,${right},${right},${wrong(i, right)},${valid ? 'True' : 'False'}`
  })
  writeFileSync(
    join(folder, name, 'noisy_imagenette.csv'),
    ['path,noisy_labels_0,noisy_labels_1,noisy_labels_50,is_valid', ...rows, ''].join('\n'),
  )
}

test('--noise trains on the wrong labels of the table and measures on the right ones of its split', async () => {
  // Those of validation are not looked at: nothing to train on has such a label.
  writeTable('set', (i, right) => (i >= 24 ? 'nobody' : i % 2 === 0 ? right : 'slanted'))
  // Every third one of the twelve is slanted anyway.
  const { stdout, stderr } = await recipe(...SMALL, '--noise', '50', '--json', 'noise.json')
  expect(stderr.replaceAll(/^Warning: .*\n/gm, '')).toBe('')
  expect(stdout).toContain('labels to train on: 8 of 24 are wrong; 12 images to measure on')
  const [
    {
      rows: [row],
    },
  ] = (JSON.parse(readFileSync(join(folder, 'noise.json'), 'utf8')) as Result).runs
  expect(row.metrics.accuracy * 12).toBeCloseTo(Math.round(row.metrics.accuracy * 12), 6)

  // They are what the network learns: one more class than it has outputs for.
  writeTable('set', (i, right) => (i === 5 ? 'zigzag' : right))
  expect((await recipe(...SMALL, '--noise', '50', '--outputs', '3')).stderr).toMatch(
    /fewer outputs than the data have labels\n.*\n.* 4, across slanted upright zigzag/,
  )
  rmSync(join(folder, 'set', 'noisy_imagenette.csv'))
  expect((await recipe(...SMALL, '--noise', '5')).stderr).toContain(
    'DataError: set: there is no table of wrong labels, noisy_imagenette.csv\n  Fix: ',
  )
})

test('says what is wrong in one message', async () => {
  for (const [args, message] of [
    [['--mixup', '0'], "OptionError: --mixup: '0' is out of range"],
    [['--model', 'resnet18'], "OptionError: --model: 'resnet18' is not one of its values"],
    [['--noise', '10'], "OptionError: --noise: '10' is not one of its values"],
    [['--sise', '3'], 'OptionError: recipe: Unknown option'],
    [['--data', 'nowhere'], 'DataError: nowhere: there is no such folder'],
  ] as const) {
    expect((await recipe(...args)).stderr).toContain(message)
  }
})
