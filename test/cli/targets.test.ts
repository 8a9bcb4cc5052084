import { execFile } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import jpeg from 'jpeg-js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pressing } from '../helpers/command.ts'
import { runOnnx } from '../helpers/onnx-runtime.ts'

const command = fileURLToPath(new URL('../../dist/src/cli/wgrad.js', import.meta.url))

/** The built command `wgrad` on images whose labels are in a table; `npm test` builds first. */
let folder = ''
const wgrad = (...args: string[]) => wgradIn(process.env, ...args)
const wgradIn = (env: NodeJS.ProcessEnv, ...args: string[]) =>
  promisify(execFile)(process.execPath, [command, ...args], { cwd: folder, env }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (failed: { code: number; stdout: string; stderr: string }) => failed,
  )
const text = (...parts: string[]) => readFileSync(join(folder, ...parts), 'utf8')
const json = (from: string) => JSON.parse(from) as Record<string, unknown>

const SIZE = 32
const IMAGES = 20

/** Draws a picture in a shade of grey whose upper half is red on the left, green on the right, both or neither. */
function draw(name: string, { red, green, grey }: { red: boolean; green: boolean; grey: number }): void {
  const data = Buffer.alloc(SIZE * SIZE * 4, grey)
  for (let i = 0; i < (SIZE * SIZE) / 2; i++) {
    if (red && i % SIZE < SIZE / 2) data.set([250, 10, 10], 4 * i)
    if (green && i % SIZE >= SIZE / 2) data.set([10, 250, 10], 4 * i)
  }
  writeFileSync(join(folder, 'pictures', name), jpeg.encode({ data, width: SIZE, height: SIZE }, 90).data)
}

beforeAll(() => {
  if (!existsSync(command)) throw new Error('dist/ is not there, or old: run `npm run build`, as `npm test` does')
  folder = mkdtempSync(join(tmpdir(), 'wgrad-targets-'))
  mkdirSync(join(folder, 'pictures'))
  const rows = Array.from({ length: IMAGES }, (_, i) => {
    const [red, green, grey] = [i % 2 === 0, i % 4 > 1, 40 + 9 * i]
    draw(`${i}.jpg`, { red, green, grey })
    return { file: `${i}.jpg`, red, green, grey }
  })
  const table = (name: string, lines: readonly (readonly unknown[])[]) =>
    writeFileSync(join(folder, name), lines.map((line) => `${line.join(',')}\n`).join(''))
  const tags = rows.map(({ file, red, green }) => [file, [red && 'red', green && 'green'].filter(Boolean).join(' ')])
  table('tags.csv', [['picture', 'tags'], ...tags])
  const hot = rows.map(({ file, red, green }) => [file, Number(red), Number(green)])
  table('hot.csv', [['file', 'red', 'green'], ...hot])
  table('shades.csv', [['file', 'grey', 'dark'], ...rows.map(({ file, grey }) => [file, grey, 255 - grey / 2])])
})

afterAll(() => {
  if (folder) rmSync(folder, { recursive: true })
})

const SMALL = ['--size', String(SIZE), '--epochs', '2', '--lr', '0.003', '--no-augment', '--widen', '0.25']
const TAGS = ['--csv', 'tags.csv', '--image-column', 'picture', '--label-column', 'tags', '--separator', ' ']
const picture = join('pictures', '2.jpg')

describe('a table of labels', () => {
  test('is checked: several labels in a cell, a column for each, numbers, or what is asked for', async () => {
    const check = async (...args: string[]) => {
      const { stdout, code } = await wgrad('check', 'pictures', ...args, '--json')
      expect(code).toBeLessThan(2)
      return json(stdout)
    }
    const several = await check(...TAGS)
    expect(several).toMatchObject({ images: IMAGES, targets: { kind: 'labels', columns: ['tags'], separator: ' ' } })
    const counts = several.classes as { name: string; train: number; valid: number }[]
    expect(counts.map(({ name, train, valid }) => [name, train + valid])).toEqual([
      ['green', 10],
      ['red', 10],
    ])
    const each = await check('--csv', 'hot.csv', '--label-column', 'red,green')
    expect(each).toMatchObject({ targets: { kind: 'labels', columns: ['red', 'green'] } })
    expect(each.classes).toEqual(several.classes)
    expect(await check('--csv', 'shades.csv')).toMatchObject({
      targets: { kind: 'numbers', columns: ['grey', 'dark'] },
      classes: [],
      numbers: [
        { name: 'grey', lowest: 40, highest: 211 },
        { name: 'dark', highest: 235 },
      ],
    })
    const { stdout } = await wgrad('check', 'pictures', '--csv', 'hot.csv', '--label-column', 'red')
    expect(stdout).toContain('targets  classes of the column red (--targets, if they are something else)')
    expect(stdout).toMatch(/^0 +10 +8 +2 +0$/m)
  })

  test.each([
    [['--csv', 'tags.csv'], 3, 'the table has no column of paths or none of labels'],
    [['--csv', 'tags.csv', '--image-column', 'picture', '--label-column', 'tag'], 3, "there is no column 'tag'"],
    [['--csv', 'hot.csv', '--label-column', 'red,green', '--targets', 'class'], 2, 'a class is one column'],
    [['--csv', 'shades.csv', '--separator', ' '], 2, 'a separator is for several labels in one column'],
    [['--csv', 'hot.csv', '--targets', 'number'], 2, 'Fix: write numbers'],
    [['--separator', ' '], 3, 'there is no table of labels in this folder'],
  ])('%j is refused with exit code %i', async (args, code, message) => {
    const ended = await wgrad('check', 'pictures', ...args)
    expect(ended.stderr).toContain(message)
    expect(ended).toMatchObject({ code, stdout: '' })
  })
})

describe('several labels per image', () => {
  let stdout = ''
  beforeAll(async () => {
    const ended = await wgrad('train', 'pictures', ...TAGS, ...SMALL, '--threshold', '0.4', '--out', 'tagged', '--json')
    if (ended.code !== 0) throw new Error(ended.stderr)
    stdout = ended.stdout
  })

  test('are trained with their loss and metrics, and reported', () => {
    const events = stdout.trimEnd().split('\n').map(json)
    const end = events.at(-1)
    expect(end).toMatchObject({ event: 'end', count: 4, settings: { targets: 'labels', threshold: 0.4 } })
    expect(end?.perLabel).toMatchObject([{ name: 'green' }, { name: 'red' }])
    expect(end).not.toHaveProperty('suggestedLabels')
    expect(readdirSync(join(folder, 'tagged'))).not.toContain('cleaning.json')
    expect(text('tagged', 'history.csv')).toMatch(/^layers,epoch,train_loss,valid_loss,accuracy_multi,f1_multi,/)
    expect(text('tagged', 'images.csv')).toMatch(/^2\.jpg,red\|green,/m)
    const report = text('tagged', 'report.html')
    for (const part of ['<h1>pictures: 2 labels', 'All labels right in', '>green<', 'Largest losses', 'f1_multi']) {
      expect(report).toContain(part)
    }
    expect(text('tagged', 'train.log')).toMatch(/F1 \d\.\d{3} \(mean of the labels\)/)
  })

  test('are predicted with the probability of each, as text, JSON and CSV', async () => {
    const document = json((await wgrad('predict', 'tagged', picture, '--json')).stdout)
    const [image] = document.images as { labels: string[]; top: { label: string; probability: number }[] }[]
    expect(document.labels).toEqual(['green', 'red'])
    const likely = image.top.filter(({ probability }) => probability > 0.4).map(({ label }) => label)
    expect(image.labels).toEqual(likely.sort())
    const all = (await wgrad('predict', 'tagged', picture, '--threshold', '0.0001')).stdout
    expect(all).toMatch(/2\.jpg  green \d+\.\d%, red \d+\.\d%\n$/)
    const none = (await wgrad('predict', 'tagged', picture, '--threshold', '1')).stdout
    expect(none).toContain('no label above 100% (')
    const lines = (await wgrad('predict', 'tagged', picture, 'nothing.jpg', '--csv')).stdout.trimEnd().split('\n')
    expect(lines).toHaveLength(2)
    expect(lines[0]).toBe('file,labels,green,red')
    const [file, labels, ...probabilities] = lines[1].split(',')
    expect([file, labels]).toEqual([picture, image.labels.join(';')])
    const of = (label: string) => image.top.find((one) => one.label === label)?.probability
    expect(probabilities.map(Number)).toEqual([of('green'), of('red')])
  })

  test('are measured, on a table or on what a run measured on', async () => {
    const run = json(
      (await wgrad('evaluate', 'tagged', 'pictures', '--csv', join('tagged', 'images.csv'), '--json')).stdout,
    )
    const trained = json(text('tagged', 'results.json'))
    expect(run).toMatchObject({ count: 4, f1: trained.f1, perLabel: trained.perLabel })
    const hot = await wgrad(
      'evaluate',
      'tagged',
      'pictures',
      '--csv',
      'hot.csv',
      '--label-column',
      'red,green',
      '--at-least',
      '1',
    )
    expect(hot.stdout).toContain(`${IMAGES} images: labels of hot.csv in pictures`)
    expect(hot.stdout).toMatch(/^red +\d\.\d\d +\d\.\d\d +\d\.\d\d +10$/m)
    expect(hot.code).toBe(hot.stdout.includes('F1 is below 1') ? 1 : 0)
    const shades = await wgrad('evaluate', 'tagged', 'pictures', '--csv', 'shades.csv')
    expect(shades.code).toBe(3)
    expect(shades.stderr).toContain('the cell is not a target')
  })
})

describe('numbers', () => {
  beforeAll(async () => {
    const ended = await wgrad('train', 'pictures', '--csv', 'shades.csv', ...SMALL, '--out', 'shaded')
    if (ended.code !== 0) throw new Error(ended.stderr)
  })

  test('are trained with their loss, metrics and range, and reported by name', () => {
    const results = json(text('shaded', 'results.json'))
    // Four images at least per step, where an eighth of the 16 is less.
    const settings = { targets: 'numbers', numbers: ['grey', 'dark'], batchSize: 4 }
    expect(results).toMatchObject({ count: 4, settings })
    expect(results.perNumber).toMatchObject([{ name: 'grey' }, { name: 'dark' }])
    expect(text('shaded', 'history.csv')).toMatch(/^layers,epoch,train_loss,valid_loss,mae,r2_score,/)
    expect(text('shaded', 'images.csv')).toMatch(/^path,grey,dark,side,reason\n0\.jpg,40,235,/)
    const report = text('shaded', 'report.html')
    for (const part of ['pictures: numbers', 'mean absolute error', '>dark<', 'grey ', 'r2_score']) {
      expect(report).toContain(part)
    }
  })

  test('are predicted by name, within the range of the table and a little more, and by ONNX Runtime alike', async () => {
    const document = json((await wgrad('predict', 'shaded', picture, '--json')).stdout)
    const [{ values }] = document.images as { values: Record<string, number> }[]
    expect(Object.keys(values)).toEqual(['grey', 'dark'])
    expect(values.grey).toBeGreaterThan(40 - 18)
    expect(values.grey).toBeLessThan(211 + 18)
    expect((await wgrad('predict', 'shaded', picture)).stdout).toMatch(/2\.jpg  grey [\d.]+, dark [\d.]+\n$/)
    expect((await wgrad('predict', 'shaded', picture, '--csv')).stdout).toBe(
      `file,grey,dark\n${picture},${values.grey},${values.dark}\n`,
    )
    const { data } = jpeg.decode(readFileSync(join(folder, picture)))
    const plane = SIZE * SIZE
    const pixels = Float32Array.from(
      { length: 3 * plane },
      (_, i) => data[4 * (i % plane) + Math.floor(i / plane)] / 255,
    )
    const outputs = await runOnnx(readFileSync(join(folder, 'shaded', 'model.onnx')), pixels, [1, 3, SIZE, SIZE])
    expect(Object.keys(outputs)).toEqual(['values'])
    // Trained in half precision, and decoded by another decoder.
    Object.values(values).forEach((value, i) => expect(Math.abs(outputs.values.data[i] - value)).toBeLessThan(2))
  })

  test('are measured', async () => {
    const { stdout } = await wgrad('evaluate', 'shaded', 'pictures', '--csv', join('shaded', 'images.csv'), '--json')
    const { count, mae, perNumber } = json(stdout)
    expect(count).toBe(4)
    expect(perNumber).toMatchObject([{ name: 'grey' }, { name: 'dark' }])
    expect(Math.abs((mae as number) - (json(text('shaded', 'results.json')).mae as number))).toBeLessThan(0.5)
  })

  test('are compared by the names of their columns, in whatever order a table has them and beside others', async () => {
    const parts = text('shaded', 'images.csv')
      .trim()
      .split('\n')
      .map((line) => line.split(',').slice(0, 4))
    const table = (name: string, columns: readonly string[]) => {
      const lines = parts.map(([path, grey, dark, side], i) => [
        path,
        dark,
        grey,
        ...(columns.length > 2 ? [i] : []),
        side,
      ])
      writeFileSync(
        join(folder, name),
        lines.map((cells, i) => (i === 0 ? ['path', ...columns, 'side'] : cells).join()).join('\n'),
      )
    }
    table('turned.csv', ['dark', 'grey'])
    table('more.csv', ['dark', 'grey', 'year'])
    table('others.csv', ['a', 'b'])
    const measured = async (csv: string) => {
      const { stdout, stderr } = await wgrad('evaluate', 'shaded', 'pictures', '--csv', csv, '--json')
      return [json(stdout).perNumber, stderr.includes('grey, dark are compared with a, b, in this order')] as const
    }
    const [known] = await measured(join('shaded', 'images.csv'))
    expect(await measured('turned.csv')).toEqual([known, false])
    expect(await measured('more.csv')).toEqual([known, false])
    const [other, isSaid] = await measured('others.csv')
    expect(other).not.toEqual(known)
    expect(isSaid).toBe(true)
  })

  test('may be called as a column of the table of a run', async () => {
    const columns = ['path', 'Side', 'reason']
    writeFileSync(
      join(folder, 'named.csv'),
      [['file', ...columns], ...Array.from({ length: IMAGES }, (_, i) => [`${i}.jpg`, i, 2 * i, -i])].join('\n'),
    )
    const named = ['--csv', 'named.csv', '--image-column', 'file', '--label-column', columns.join()]
    const { code, stderr } = await wgrad('train', 'pictures', ...named, ...SMALL, '--epochs', '1', '--out', 'named')
    expect(code, stderr).toBe(0)
    expect(text('named', 'images.csv')).toMatch(
      /^path,number path,number Side,number reason,side,reason\n0\.jpg,0,0,0,/,
    )
    expect(json(text('named', 'results.json')).perNumber).toMatchObject(columns.map((name) => ({ name })))
  })

  test('have no threshold', async () => {
    const { code, stderr } = await wgrad('train', 'pictures', '--csv', 'shades.csv', '--threshold', '0.5')
    expect(code).toBe(2)
    expect(stderr).toContain('the targets are numbers, which have no such threshold')
  })
})

describe('a run on a table that was interrupted', () => {
  const parts = { labels: 'tagged-parts', numbers: 'shaded-parts' }
  const begin = (out: string, ...args: string[]) =>
    wgradIn(pressing(/\n0 {9}/), 'train', 'pictures', ...args, ...SMALL, '--out', out)
  const resume = async (run: string) => {
    const { code, stdout, stderr } = await wgrad('train', '--resume', run)
    return { code, stdout, stderr: stderr.replaceAll(/^Warning: .*\n/gm, '') }
  }
  /** Changes a file, and returns how to undo that. */
  const change = (from: string | RegExp, to: string, ...parts: string[]) => {
    const before = text(...parts)
    expect(before).toMatch(from)
    writeFileSync(join(folder, ...parts), before.replace(from, to))
    return () => writeFileSync(join(folder, ...parts), before)
  }

  beforeAll(async () => {
    const begun = [
      await begin(parts.labels, ...TAGS, '--threshold', '0.4'),
      await begin(parts.numbers, '--csv', 'shades.csv'),
    ]
    for (const { code, stdout, stderr } of begun) {
      if (code !== 130 || !stdout.includes('1 of 2 epochs are done and kept')) throw new Error(stderr + stdout)
    }
  })

  test.each([
    ['a label', 'labels', /^2\.jpg,red\|green,/m, '2.jpg,green,'],
    ['a number', 'numbers', /^3\.jpg,67,/m, '3.jpg,76,'],
    ['the name of a column of labels', 'labels', 'path,label', 'path,tags'],
    ['the name of a column of numbers', 'numbers', 'path,grey', 'path,light'],
    ['a side', 'labels', ',train,', ',valid,'],
  ] as const)('is not continued where %s has changed in its table', async (_, kind, from, to) => {
    const run = `${parts[kind]}-changed`
    cpSync(join(folder, parts[kind]), join(folder, run), { recursive: true })
    change(from, to, run, 'images.csv')
    const { code, stderr } = await resume(run)
    const table = join(run, 'images.csv')
    expect(stderr).toBe(
      [
        `DataError: ${table}: the table has changed since the run was begun`,
        '  expected the images and labels that the interrupted run was trained on',
        `  Fix: restore it, or begin a run with it as it is: npx wgrad train FOLDER --csv ${table}`,
        '',
      ].join('\n'),
    )
    expect(code).toBe(3)
    rmSync(join(folder, run), { recursive: true })
  })

  test('of an older version, which kept no digest of its table, is continued as it was', async () => {
    const run = `${parts.numbers}-older`
    cpSync(join(folder, parts.numbers), join(folder, run), { recursive: true })
    const { images, table, ...begun } = json(text(run, 'options.json'))
    expect([images, table]).toEqual([
      expect.stringMatching(/^[0-9a-f]{64}$/),
      { file: join(folder, 'shades.csv'), sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
    ])
    writeFileSync(join(folder, run, 'options.json'), JSON.stringify(begun))
    change(/^3\.jpg,67,/m, '3.jpg,76,', run, 'images.csv')
    const { code, stderr } = await resume(run)
    // The checkpoint has a digest of the labels, by which the edited table is found out.
    expect(stderr).toContain('this is the checkpoint of another fit')
    expect(code).toBe(2)
    rmSync(join(folder, run), { recursive: true })
  })

  test('is not continued without one of its images', async () => {
    const [there, elsewhere] = [join(folder, 'pictures', '3.jpg'), join(folder, '3.jpg')]
    renameSync(there, elsewhere)
    const { code, stderr } = await resume(parts.labels)
    renameSync(elsewhere, there)
    expect(stderr).toContain('images that the run was begun with are not there any more')
    expect(stderr).toMatch(/^ +images +1\n +named +3\.jpg$/m)
    expect(code).toBe(3)
  })

  test.each(['labels', 'numbers'] as const)(
    'comes to the same by its %s, and says so if they have changed',
    async (kind) => {
      const [run, whole] = [parts[kind], kind === 'labels' ? 'tagged' : 'shaded']
      const undo = kind === 'labels' ? change(/^2\.jpg,red green$/m, '2.jpg,red', 'tags.csv') : () => {}
      if (kind === 'labels') draw('new.jpg', { red: true, green: true, grey: 10 })
      const { code, stdout, stderr } = await resume(run)
      rmSync(join(folder, 'pictures', 'new.jpg'), { force: true })
      undo()
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toContain('1 of 2 epochs done')
      const said = `${join(folder, 'tags.csv')} has changed since the run was begun, which goes on with the labels of then (images.csv)`
      const added = 'new since the run was begun, which goes on without them: 1 (new.jpg)\n'
      for (const one of [said, added]) expect(stdout.includes(one)).toBe(kind === 'labels')
      expect(stdout.includes('since the run was begun')).toBe(kind === 'labels')
      for (const name of ['model.safetensors', 'model.onnx', 'images.csv']) {
        expect(readFileSync(join(folder, run, name)).equals(readFileSync(join(folder, whole, name)))).toBe(true)
      }
      const figures = (of: string) => {
        const { epochs, ...results } = json(text(of, 'results.json'))
        const { started, seconds, ...measured } = results
        const rows = (epochs as { seconds: number; imagesPerSecond: number }[]).map((row) => {
          const { seconds: own, imagesPerSecond, ...figures } = row
          return figures
        })
        return { measured, rows }
      }
      expect(figures(run)).toEqual(figures(whole))
    },
  )
})
