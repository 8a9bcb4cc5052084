import { execFile, spawnSync } from 'node:child_process'
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join, relative } from 'node:path'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import jpeg from 'jpeg-js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { formatClock } from '../../src/base/format.ts'
import { readWeights } from '../../src/nn/weights.ts'
import { pressing } from '../helpers/command.ts'
import { runOnnx } from '../helpers/onnx-runtime.ts'
import { stripes } from '../helpers/tiny.ts'

const command = fileURLToPath(new URL('../../dist/src/cli/wgrad.js', import.meta.url))

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** The built command `wgrad`; `npm test` builds first. */
let folder = ''
const wgrad = (...args: string[]): Promise<Ended> => wgradIn(process.env, ...args)
const wgradIn = (env: NodeJS.ProcessEnv, ...args: string[]): Promise<Ended> =>
  promisify(execFile)(process.execPath, [command, ...args], { cwd: folder, env }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (failed: Ended) => failed,
  )
const text = (...parts: string[]) => readFileSync(join(folder, ...parts), 'utf8')

/** Writes a picture of stripes as a JPEG. */
function draw(path: string, kind: 'across' | 'slanted' | 'upright', i: number): void {
  const { data, width, height } = stripes(`${kind}/${i}.jpg`, 48)
  mkdirSync(dirname(join(folder, path)), { recursive: true })
  writeFileSync(join(folder, path), jpeg.encode({ data: Buffer.from(data), width, height }, 90).data)
}

/** Class folders with a space, another script and a folder below. */
const CLASSES = { 'up & right': 'upright', поперёк: 'across' } as const

beforeAll(() => {
  if (!existsSync(command)) throw new Error('dist/ is not there, or old: run `npm run build`, as `npm test` does')
  folder = mkdtempSync(join(tmpdir(), 'wgrad-cli-'))
  for (const [name, kind] of Object.entries(CLASSES)) {
    for (let i = 0; i < 20; i++) draw(join('set', name, i % 5 === 0 ? 'summer 2024' : '', `${i}.jpg`), kind, i)
  }
  writeFileSync(
    join(folder, 'set', 'up & right', 'broken.jpg'),
    readFileSync(join(folder, 'set', 'up & right', '1.jpg')).subarray(0, 300),
  )
})

afterAll(() => {
  if (folder) rmSync(folder, { recursive: true })
})

// Narrow, as the tests are of what is around the network.
const SMALL_BATCHES = ['--size', '32', '--batch-size', '8']
const SMALL = [...SMALL_BATCHES, '--widen', '0.25', '--epochs', '2']

describe('help and misuse', () => {
  test('each command explains itself; the version is that of the package', async () => {
    const { stdout, code } = await wgrad('--help')
    expect(code).toBe(0)
    for (const name of ['check', 'train', 'predict', 'evaluate', 'export', 'clean']) {
      expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'))
      const help = await wgrad(name, '--help')
      expect(help).toMatchObject({ code: 0, stderr: '' })
      expect(help.stdout).toContain(`wgrad ${name} `)
      expect(help.stdout).toContain('--json')
      expect(help.stdout).toMatch(/Exit code/)
      expect((await wgrad('help', name)).stdout).toBe(help.stdout)
      expect((await wgrad(name, '-h')).stdout).toBe(help.stdout)
    }
    expect(stdout).toContain('130  interrupted')
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string
    }
    expect((await wgrad('--version')).stdout).toBe(`${version}\n`)
  })

  test.each([
    [
      ['tran', 'set'],
      2,
      "OptionError: wgrad: there is no command 'tran'\n  expected check, train, predict, evaluate, export, clean\n  Fix: write train",
    ],
    [['train', 'set', '--epoch', '3'], 2, "OptionError: train: Unknown option '--epoch'.\n  Fix: write --epochs;"],
    [['train', 'set', '--model', 'xresnet19'], 2, 'Fix: write xresnet18'],
    [['train'], 2, 'OptionError: train: a folder of images is needed'],
    [['train', 'set', '--size', '8'], 2, "OptionError: --size: '8' is out of range"],
    [['train', 'set', '--widen', '0'], 2, "OptionError: --widen: '0' is out of range"],
    [['train', 'set', '--valid', '1.5'], 2, "OptionError: --valid: '1.5' is out of range"],
    [
      ['train', 'set', '--model', 'resnet18', '--widen', '0.5'],
      2,
      'OptionError: --widen: this network has one width only',
    ],
    [['train', 'set', '--freeze-epochs', '2'], 2, 'random weights have no head that is trained first'],
    [['train', 'set', '--out', ''], 2, 'OptionError: --out: the text is empty'],
    [
      ['train', 'set', '--label-column', 'x', '--label-column', ''],
      2,
      'OptionError: --label-column: the text is empty',
    ],
    [['check', ''], 2, 'OptionError: check: the text is empty'],
    [['train', '--resume', 'set', '--lr', '1'], 2, 'leave out --lr'],
    [['train', '--resume', 'set'], 3, 'DataError: set: there is no run to continue'],
    [['train', 'nowhere'], 3, 'DataError: nowhere: no such file or folder'],
    [['check', 'set', '--valid', 'val'], 2, 'set has no folder val'],
    [['check', 'nowhere', '--seed', 'x'], 2, "OptionError: --seed: 'x' is out of range"],
    [['export', 'model.safetensors', 'model.pb'], 2, 'the suffix of the file says nothing about its format'],
    [['export', 'model.safetensors', 'half.safetensors', '--logits'], 2, 'this is an option of ONNX files'],
    [['evaluate', 'model.safetensors'], 2, 'a model and one folder of images are needed'],
    [['clean', 'set'], 2, 'a folder of images and a cleaning list are needed'],
    [['clean', 'set', 'cleaning.json', '--aply'], 2, 'Fix: write --apply;'],
    [['clean', 'nowhere', 'cleaning.json'], 3, 'DataError: nowhere: no such file or folder'],
    [['clean', 'set', 'cleaning.json'], 3, 'DataError: cleaning.json: no such file or folder'],
    [
      ['clean', 'set', 'set'],
      3,
      'DataError: set: there is no cleaning.json in this folder\n  Fix: name the folder of a run',
    ],
    [['clean', 'set', join('set', 'поперёк', '1.jpg')], 3, `DataError: ${join('set', 'поперёк', '1.jpg')}: `],
  ] as const)('%j is refused with exit code %i', async (args, code, message) => {
    const ended = await wgrad(...args)
    expect(ended.stderr).toContain(message)
    expect(ended.stderr).not.toContain('    at ')
    expect(ended).toMatchObject({ code, stdout: '' })
  })

  test('with --json an error is the document', async () => {
    const { stdout, code } = await wgrad('check', 'nowhere', '--json')
    expect(code).toBe(3)
    expect(JSON.parse(stdout)).toEqual({
      error: { kind: 'DataError', message: 'nowhere: no such file or folder' },
    })
    expect(JSON.parse((await wgrad('train', 'set', '--sise', '3', '--json')).stdout)).toMatchObject({
      event: 'error',
      error: { kind: 'OptionError' },
    })
  })
})

describe('on a machine without a graphics adapter', () => {
  // Vulkan's loader then finds no driver.
  const env = { ...process.env, VK_DRIVER_FILES: '/none', VK_ICD_FILENAMES: '/none' }

  test('it says how to get one', async () => {
    const ended = await wgradIn(env, 'train', 'set')
    expect(ended).toMatchObject({ code: 4, stdout: '' })
    expect(ended.stderr).toContain('DeviceError: openGpu: no WebGPU adapter was found')
    expect(ended.stderr).toContain('  Fix: install ')
  })

  test('a folder for the results that cannot be written to is told before that, and before the images are decoded', async () => {
    const out = join('set', 'up & right', '1.jpg')
    const { code, stderr } = await wgradIn(env, 'train', 'set', '--out', out)
    expect(stderr).toBe(`DataError: ${join(out, 'options.json')}: a file is where a folder should be\n`)
    expect(code).toBe(3)
  })
})

describe('check', () => {
  test('says what is wrong, in words and as a document', async () => {
    const { stdout, code } = await wgrad('check', 'set')
    expect(code).toBe(1)
    expect(stdout).toContain('40 images of 2 classes: class folders in set')
    expect(stdout).toMatch(/^up & right +20 +16 +4 +1$/m)
    expect(stdout).toMatch(/^поперёк +20 +16 +4 +0$/m)
    expect(stdout).toContain('! 1 file cannot be read and is left out: ')
    expect(stdout).toContain('      up & right/broken.jpg')
    const document = JSON.parse((await wgrad('check', 'set', '--json')).stdout) as Record<string, unknown>
    expect(document).toMatchObject({
      folder: 'set',
      layout: 'classes',
      images: 40,
      classes: [
        { name: 'up & right', train: 16, valid: 4, leftOut: 1 },
        { name: 'поперёк', train: 16, valid: 4, leftOut: 0 },
      ],
      findings: [{ kind: 'unreadable', severity: 'warning', files: ['up & right/broken.jpg'] }],
    })
  })

  test('exit code 0 of a folder without faults, 3 of one that cannot be trained on', async () => {
    for (let i = 0; i < 24; i++) {
      const kind = i % 2 === 0 ? 'across' : 'upright'
      draw(`good/${kind}/${i}.jpg`, kind, i)
    }
    const good = await wgrad('check', 'good')
    expect(good.stdout).toContain('nothing to complain about')
    expect(good.code).toBe(0)
    const one = await wgrad('check', join('good', 'across'))
    expect(one.code).toBe(3)
    expect(one.stdout).toContain('at least two class folders are needed')
  })

  test('one image of each class leaves none to measure on', async () => {
    for (const kind of ['across', 'upright'] as const) draw(`single/${kind}/1.jpg`, kind, 1)
    const { code, stderr } = await wgrad('check', 'single')
    expect(stderr).toContain('DataError: single: there are too few images to train and to measure on')
    expect(code).toBe(3)
  })

  test('a batch of more images than there are to train on is refused before there is a run', async () => {
    const { code, stderr } = await wgrad('train', 'set', '--batch-size', '64', '--out', 'too-large')
    expect(stderr).toContain('OptionError: --batch-size: there are fewer images to train on, so that there is no batch')
    expect(code).toBe(2)
    expect(readdirSync(join(folder, 'too-large'))).toEqual([])
  })

  test('a share to measure on is refused where folders say that already', async () => {
    for (const side of ['train', 'val']) {
      for (const kind of ['across', 'upright'] as const) draw(`divided/${side}/${kind}/1.jpg`, kind, 1)
    }
    const { code, stdout, stderr } = await wgrad('check', 'divided', '--valid', '0.3')
    expect(stderr).toContain('OptionError: --valid: the folders or the table say already what is measured on')
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  })

  test('a side of which no image can be read is told, with advice that is not refused in turn', async () => {
    for (const kind of ['across', 'upright'] as const) draw(`half/train/${kind}/1.jpg`, kind, 1)
    mkdirSync(join(folder, 'half/val/across'), { recursive: true })
    writeFileSync(join(folder, 'half/val/across/2.jpg'), 'no image')
    const { code, stderr } = await wgrad('train', 'half')
    const text = 'there is no image to measure on: put images that can be read into its folder'
    expect(stderr).toContain(`DataError: half: ${text}`)
    expect(code).toBe(3)
    expect(await wgrad('check', 'half')).toMatchObject({ code: 3, stdout: expect.stringContaining(`✗ ${text}`) })
  })

  test.runIf(existsSync('/dev/full'))('output that cannot be written is told, and is no success', () => {
    const full = openSync('/dev/full', 'w')
    const { status, stderr } = spawnSync(process.execPath, [command, '--help'], { stdio: ['ignore', full, 'pipe'] })
    closeSync(full)
    expect(String(stderr)).toBe('stdout is cut short: stdout: no space left on the device\n')
    expect(status).toBe(1)
  })
})

interface Event {
  readonly event: string
  readonly [name: string]: unknown
}

describe('train', () => {
  let events: Event[] = []

  beforeAll(async () => {
    const { stdout, code, stderr } = await wgrad('train', 'set', ...SMALL, '--out', 'whole', '--json')
    if (code !== 0) throw new Error(stderr)
    events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Event)
  })

  test('prints lines of JSON, and leaves a report, a model, its ONNX file and tables', () => {
    expect(events.map(({ event }) => event)).toEqual(['look', 'start', 'search', 'epoch', 'epoch', 'end'])
    const end = events.at(-1)
    expect(end).toMatchObject({ folder: 'whole', count: 8, settings: { size: 32, batchSize: 8, model: 'xresnet18' } })
    expect(readdirSync(join(folder, 'whole')).sort()).toEqual([
      'cleaning.json',
      'history.csv',
      'images.csv',
      'learning-rate.json',
      'model.onnx',
      'model.safetensors',
      'options.json',
      'report.html',
      'results.json',
      'train.log',
    ])
    expect(JSON.parse(text('whole', 'results.json'))).toMatchObject({ accuracy: end?.accuracy, count: 8 })
    const history = text('whole', 'history.csv').trimEnd().split('\n')
    expect(history.map((line) => line.split(',').slice(0, 2).join())).toEqual(['layers,epoch', 'all,0', 'all,1'])
    const images = text('whole', 'images.csv')
    expect(images).toMatch(/^up & right\/broken\.jpg,up & right,left out,.*(cut short|damaged)/m)
    expect(images.match(/,train,$/gm)).toHaveLength(32)
    expect(images.match(/,valid,$/gm)).toHaveLength(8)
    const log = text('whole', 'train.log')
    expect(log).toContain('up & right/broken.jpg')
    expect(log).toMatch(/^epoch +train_loss/m)
    expect(log).toContain('accuracy ')
  })

  test('the report has everything and needs nothing else', () => {
    const report = text('whole', 'report.html')
    for (const part of [
      '95% interval',
      'Confusion matrix',
      'Search for the learning rate',
      'поперёк',
      'up &amp; right',
      'up &amp; right/broken.jpg',
      'Momentum',
      'data:image/png;base64,',
      'Settings',
      'xresnet18',
    ]) {
      expect(report).toContain(part)
    }
    expect(report).not.toMatch(/<script|<link|src="http|@import/)
  })

  test('the report shows where the network looks, and labels that may be wrong, as cleaning.json lists them', () => {
    const { items } = JSON.parse(text('whole', 'cleaning.json')) as { items: Item[] }
    expect(items).toHaveLength(40)
    expect(new Set(items.map(({ action }) => action))).toEqual(new Set(['keep']))
    const suggested = items.filter(({ suggested: other }) => other !== undefined)
    const { count, right, suggestedLabels } = JSON.parse(text('whole', 'results.json')) as Record<string, number>
    expect(suggestedLabels).toBe(suggested.length)
    const report = text('whole', 'report.html')
    expect(report.match(/<img class="map" src="data:image\/png;base64,/g) ?? []).toHaveLength(count - right)
    expect(report).toContain('Labels to look at')
    expect(report.match(/<span>→ /g) ?? []).toHaveLength(Math.min(12, suggested.length))
    const advised = report.includes(`npx wgrad clean ${join(folder, 'set')} ${join('whole', 'cleaning.json')} --accept`)
    expect(advised).toBe(suggested.length > 0)
  })

  test('interrupted and continued, it comes to the same', async () => {
    const { code: ended, stdout: said } = await wgradIn(
      pressing(/\n0 {9}/),
      ...['train', 'set', ...SMALL, '--out', 'parts'],
    )
    expect(ended).toBe(130)
    expect(said).toMatch(/\nto continue: npx wgrad train --resume parts\n$/)
    // Most of a long run's checkpoint is figures of its steps, so each of them should be stored once.
    const { metadata } = readWeights('checkpoint', readFileSync(join(folder, 'parts', 'training.checkpoint')))
    const { states } = JSON.parse(metadata.wgrad) as { readonly states: readonly { readonly rawLosses: number[] }[] }
    const lastLoss = String(states[0].rawLosses.at(-1))
    expect(metadata.wgrad.split(lastLoss)).toHaveLength(2)
    const again = await wgrad('train', 'set', ...SMALL, '--out', 'parts')
    expect(again).toMatchObject({ code: 2, stdout: '' })
    expect(again.stderr).toContain('there is a run in this folder already')

    // The next day
    const begun = JSON.parse(text('parts', 'options.json')) as { readonly started: string }
    const started = new Date(Date.parse(begun.started) - 86_400_000).toISOString()
    writeFileSync(join(folder, 'parts', 'options.json'), JSON.stringify({ ...begun, started }))
    const { code, stderr } = await wgrad('train', '--resume', 'parts')
    expect({ code, stderr: stderr.replaceAll(/^Warning: .*\n/gm, '') }).toEqual({ code: 0, stderr: '' })
    for (const name of ['model.safetensors', 'model.onnx', 'images.csv']) {
      expect(readFileSync(join(folder, 'parts', name)).equals(readFileSync(join(folder, 'whole', name)))).toBe(true)
    }
    const figures = (run: string) => {
      const { epochs, accuracy, lr } = JSON.parse(text(run, 'results.json')) as Record<string, unknown>
      return JSON.stringify([epochs, accuracy, lr], (name, value: unknown) =>
        /^(seconds|imagesPerSecond)$/.test(name) ? 0 : value,
      )
    }
    expect(figures('parts')).toBe(figures('whole'))
    // Neither the pause, nor the last part alone.
    const { seconds, epochs } = JSON.parse(text('parts', 'results.json')) as {
      readonly seconds: number
      readonly epochs: readonly { readonly seconds: number }[]
    }
    expect(seconds).toBeGreaterThan(epochs[0].seconds + epochs[1].seconds)
    expect(text('parts', 'report.html')).toContain(`, ${formatClock(seconds * 1000)} on `)
    expect(existsSync(join(folder, 'parts', 'training.checkpoint'))).toBe(false)
    const over = await wgrad('train', '--resume', 'parts')
    expect(over.stdout).toContain('parts is the folder of a run that is over')
    expect(over.code).toBe(0)
  })

  test('interrupted before the first epoch it says so too, and is continued', async () => {
    const events = (stdout: string) =>
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Event)
    const stopped = await wgradIn(pressing(/"look"/), ...['train', 'set', ...SMALL, '--out', 'early', '--json'])
    expect(stopped.code).toBe(130)
    expect(events(stopped.stdout).map(({ event, folder: of }) => [event, of])).toEqual([
      ['look', 'set'],
      ['interrupted', 'early'],
    ])
    expect(stopped.stderr).toContain('\nto continue: npx wgrad train --resume early\n')
    const { code, stdout } = await wgradIn(pressing(/"search"/), 'train', '--resume', 'early', '--json')
    expect(code).toBe(130)
    expect(events(stdout).map(({ event }) => event)).toEqual(['start', 'search', 'interrupted'])
  })

  test('from pretrained weights the head is trained first: those of the hub, or the same in a file, continued', async () => {
    const shared = ['train', 'set', ...SMALL_BATCHES, '--epochs', '1', '--lr', '0.002', '--threshold', 'suggest']
    // A model that was exported here says itself which network it is, and how wide.
    const options = [...shared, '--pretrained', join('whole', 'model.safetensors')]
    const requests: string[] = []
    const hub = createServer((request, response) => {
      requests.push(`${request.method} ${request.url}`)
      const isConfig = request.url?.endsWith('config.json')
      response.end(
        isConfig ? '{ "architecture": "resnet18d" }' : readFileSync(join(folder, 'whole', 'model.safetensors')),
      )
    })
    await new Promise<void>((ready) => hub.listen(0, '127.0.0.1', ready))
    const address = `http://127.0.0.1:${(hub.address() as AddressInfo).port}`
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      [command, ...shared, '--widen', '0.25', '--pretrained', 'resnet18d.of_mine', '--out', 'tuned', '--json'],
      { cwd: folder, env: { ...process.env, HF_ENDPOINT: address, FASTAI_HOME: join(folder, 'home') } },
    )
    hub.close()
    expect(requests.at(-1)).toBe('GET /timm/resnet18d.of_mine/resolve/main/model.safetensors')
    // One line says which weights were loaded.
    expect(stderr).toMatch(/model\.safetensors: \d+ of \d+ tensors loaded/)
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Event)
    expect(lines.filter(({ event }) => event === 'epoch').map(({ layers }) => layers)).toEqual(['head', 'all'])
    expect(text('tuned', 'train.log')).toMatch(
      /"none of these" below a probability of 0\.\d{3}; .* right and \d of \d wrong/,
    )
    // Both files of the model have it.
    for (const name of ['model.safetensors', 'model.onnx']) {
      expect(readFileSync(join(folder, 'tuned', name), 'latin1')).toMatch(/threshold.{1,4}0\.\d{3}/)
    }
    expect(text('tuned', 'history.csv')).toMatch(/\nhead,0,.*\nall,0,/)
    const stopped = await wgradIn(pressing(/\n0 {9}[^]*\nepoch/, 'SIGTERM'), ...options, '--out', 'tuned-parts')
    expect(stopped.code).toBe(130)
    // A folder where the report should be: the run ends with all else.
    mkdirSync(join(folder, 'tuned-parts', 'report.html'))
    const without = await wgrad('train', '--resume', 'tuned-parts')
    expect(without.code).toBe(1)
    expect(without.stdout).toContain('NOT written: report.html; to write them: npx wgrad train --resume tuned-parts\n')
    expect(without.stdout).toContain(
      `\nwritten: ${join('tuned-parts', 'model.safetensors')}, and beside it model.onnx, history.csv, images.csv, cleaning.json\n`,
    )
    rmSync(join(folder, 'tuned-parts', 'report.html'), { recursive: true })
    expect((await wgrad('train', '--resume', 'tuned-parts', '--json')).code).toBe(0)
    expect(text('tuned-parts', 'report.html')).toContain('Confusion matrix')
    const model = (run: string) => readFileSync(join(folder, run, 'model.safetensors'))
    expect(model('tuned-parts').equals(model('tuned'))).toBe(true)
  })

  test('a damaged options.json is told in one message', async () => {
    mkdirSync(join(folder, 'damaged'))
    const begun = JSON.parse(text('whole', 'options.json')) as { settings: Record<string, unknown> }
    begun.settings.size = 'large'
    writeFileSync(join(folder, 'damaged', 'options.json'), JSON.stringify(begun))
    const { stderr, code } = await wgrad('train', '--resume', 'damaged')
    expect(code).toBe(3)
    expect(stderr).toContain(`DataError: ${join('damaged', 'options.json')}: a damaged file: its size is invalid`)
  })
})

interface Item {
  path: string
  label: string
  suggested?: string
  action: string
  to?: string
}

describe('clean', () => {
  const images = () =>
    readdirSync(join(folder, 'dirty'), { recursive: true })
      .map(String)
      .filter((name) => name.endsWith('jpg'))

  test('prints what would be moved, then moves it: what is asked for, and the suggestions that are accepted', async () => {
    cpSync(join(folder, 'set'), join(folder, 'dirty'), { recursive: true })
    const list = JSON.parse(text('whole', 'cleaning.json')) as { items: Item[] }
    const away = join('up & right', '2.jpg')
    const items = list.items.map(({ suggested: _, ...item }): Item => {
      const path = relative(join(folder, 'set'), item.path)
      if (path === away) return { ...item, path, action: 'delete' }
      const wrong = [join('up & right', 'summer 2024', '0.jpg'), join('up & right', '3.jpg')].includes(path)
      return { ...item, path, ...(wrong ? { suggested: 'поперёк' } : {}) }
    })
    mkdirSync(join(folder, 'run'))
    writeFileSync(join(folder, 'run', 'cleaning.json'), JSON.stringify({ ...list, items }))
    const before = images().sort()

    const dry = await wgrad('clean', 'dirty', 'run', '--accept')
    expect(dry).toMatchObject({ code: 0, stderr: '' })
    const lines = dry.stdout.trimEnd().split('\n')
    expect(lines.slice(0, 3).sort()).toEqual([
      `delete   ${away} → ${join('.trash', away)}`,
      `relabel  ${join('up & right', '3.jpg')} → ${join('поперёк', '3 (2).jpg')}`,
      `relabel  ${join('up & right', 'summer 2024', '0.jpg')} → ${join('поперёк', 'summer 2024', '0 (2).jpg')}`,
    ])
    expect(lines.slice(3)).toEqual([
      'nothing was moved yet: 2 into the folder of another class, 1 into the trash; --apply does it',
    ])
    expect(images().sort()).toEqual(before)

    const asked = await wgrad('clean', 'dirty', join('run', 'cleaning.json'), '--apply', '--json')
    expect(JSON.parse(asked.stdout)).toEqual({
      folder: 'dirty',
      list: join('run', 'cleaning.json'),
      applied: true,
      suggested: 2,
      moves: [{ action: 'delete', from: join(folder, 'dirty', away), to: join(folder, 'dirty', '.trash', away) }],
    })
    expect(images()).toContain(join('.trash', away))
    expect(images()).not.toContain(away)
    const none = await wgrad('clean', 'dirty', 'run', '--apply')
    expect(none.stdout).toContain('nothing to move')
    expect(none.stdout).toContain('--accept takes the 2 suggested labels')
    const accepted = await wgrad('clean', 'dirty', 'run', '--accept', '--apply')
    expect(accepted.stdout).toContain('moved: 2 into the folder of another class, 0 into the trash')
    expect(images()).toContain(join('поперёк', 'summer 2024', '0 (2).jpg'))
    expect(images()).toHaveLength(before.length)
  })

  test('a list of another folder is refused', async () => {
    const { code, stderr } = await wgrad('clean', join('set', 'поперёк'), 'whole')
    expect(code).toBe(2)
    expect(stderr).toContain('OptionError: applyCleaning: an image of the list is not in the folder')
  })
})

describe('evaluate and export', () => {
  test('evaluate measures on all images, or those that a run measured on', async () => {
    const all = await wgrad('evaluate', 'whole', 'set', '--json')
    expect(all.code).toBe(0)
    const document = JSON.parse(all.stdout) as Record<string, unknown>
    expect(document).toMatchObject({ folder: 'set', count: 40, confusion: { classes: ['up & right', 'поперёк'] } })
    expect(document.errors).toHaveLength(1)
    const [low, high] = document.interval as number[]
    expect(low).toBeLessThanOrEqual(document.accuracy as number)
    expect(high).toBeGreaterThanOrEqual(document.accuracy as number)
    const held = await wgrad(
      'evaluate',
      'whole',
      'set',
      '--csv',
      join('whole', 'images.csv'),
      '--at-least',
      '1',
      '--json',
    )
    const { accuracy, count } = JSON.parse(held.stdout) as { accuracy: number; count: number }
    expect(count).toBe(8)
    expect(held.code).toBe(accuracy < 1 ? 1 : 0)
    const said = await wgrad('evaluate', join('whole', 'model.safetensors'), 'set')
    expect(said.stdout).toMatch(/accuracy \d+\.\d% \(\d+ of 40\), with 95% confidence between \d+\.\d% and \d+\.\d%/)
    expect(said.stdout).toMatch(/precision +recall +f1-score +support/)
    expect(said.stdout).toContain('actual \\ predicted')
    mkdirSync(join(folder, 'others', 'zebra'), { recursive: true })
    draw('others/zebra/1.jpg', 'across', 1)
    draw('others/gnu/1.jpg', 'across', 2)
    const none = await wgrad('evaluate', 'whole', 'others')
    expect(none).toMatchObject({ code: 3 })
    expect(none.stderr).toContain('the model knows none of the classes of these images')
    writeFileSync(join(folder, 'numbers.csv'), 'path,x,y\nпоперёк/1.jpg,1,2\nпоперёк/2.jpg,3,4\n')
    const numbers = await wgrad('evaluate', 'whole', 'set', '--csv', 'numbers.csv')
    expect(numbers).toMatchObject({ code: 3 })
    expect(numbers.stderr).toContain('its labels are not what the model predicts')
    expect(numbers.stderr).toMatch(/^ +labels +numbers of the columns x, y$/m)
  })

  test('export writes ONNX in f32 and f16, and safetensors in f16, which predict alike', async () => {
    for (const args of [['half.onnx', '--f16'], ['whole.onnx'], ['half.safetensors', '--f16']]) {
      const { stdout, code } = await wgrad('export', 'whole', ...args, '--json')
      expect(code).toBe(0)
      const { bytes, precision, labels } = JSON.parse(stdout) as { bytes: number; precision: string; labels: string[] }
      expect(bytes).toBe(readFileSync(join(folder, args[0])).length)
      expect(precision).toBe(args.includes('--f16') ? 'f16' : 'f32')
      expect(labels).toEqual(['up & right', 'поперёк'])
    }
    expect(readFileSync(join(folder, 'whole.onnx')).equals(readFileSync(join(folder, 'whole', 'model.onnx')))).toBe(
      true,
    )
    const file = join('set', 'поперёк', '3.jpg')
    const probability = async (model: string) => {
      const { images } = JSON.parse((await wgrad('predict', model, file, '--json')).stdout) as {
        images: { top: { label: string; probability: number }[] }[]
      }
      return images[0].top.find(({ label }) => label === 'поперёк')?.probability ?? NaN
    }
    const expected = await probability('whole')
    expect(Math.abs((await probability('half.safetensors')) - expected)).toBeLessThan(1e-2)

    const size = 32
    const image = Float32Array.from({ length: 3 * size * size }, (_, i) => (i % size) / size)
    const outputs = await Promise.all(
      ['half.onnx', 'whole.onnx'].map((name) => runOnnx(readFileSync(join(folder, name)), image, [1, 3, size, size])),
    )
    const [half, whole] = outputs.map((output) => Object.values(output)[0].data)
    expect(whole.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 4)
    half.forEach((value, i) => expect(Math.abs(value - whole[i])).toBeLessThan(1e-2))
  })
})
