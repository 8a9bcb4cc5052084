import { expect, describe, test } from 'vitest'
import { NOTEBOOK } from '../../bench/lesson/notebook.ts'
import { readOptions, SECTIONS } from '../../bench/lesson/options.ts'
import { html } from '../../src/train/report/html.ts'
import { renderReport, type ReportedRun } from '../../bench/lesson/report/report.ts'
import {
  guessing,
  hasLearnt,
  historyCsv,
  stepLines,
  type FitResult,
  type ReportedSection,
} from '../../bench/lesson/results.ts'
import type { EpochResult, Tile } from '../../src/train/report/figures.ts'

const uri = (name: string) => `data:image/png;base64,${Buffer.from(name).toString('base64')}`
const tile = (label: string, more: Partial<Tile> = {}): Tile => ({ uri: uri(label), label, ...more })

function fitOf(section: string, fit: number, epochs: number): FitResult {
  const stepsPerEpoch = 4
  return {
    stepsPerEpoch,
    epochs: Array.from({ length: epochs }, (_, epoch): EpochResult => ({
      epoch,
      trainLoss: 2 - epoch / 4,
      validLoss: 2.5 - epoch / 4,
      accuracy: 0.3 + epoch / 10,
      seconds: 61,
      imagesPerSecond: 50 + epoch,
    })),
    steps: Array.from({ length: epochs * stepsPerEpoch }, (_, iteration) => ({
      section,
      fit,
      iteration,
      loss: 7 / (iteration + 1),
      smoothLoss: 6 / (iteration + 1),
      lr: 3e-3,
      momentum: 0.95,
    })),
  }
}

function sectionOf(name: string, more: Partial<ReportedSection> = {}): ReportedSection {
  const fits = more.fits ?? [fitOf(name, 0, 5)]
  return {
    name,
    model: 'xresnet18',
    parameters: 11_708_744,
    precision: 'mixed',
    loss: 'crossEntropy',
    size: 64,
    batchSize: 16,
    images: { train: 160, valid: 40 },
    classes: 10,
    epochs: fits.at(-1)?.epochs ?? [],
    seconds: 125,
    gpuMemoryBytes: 3 * 2 ** 20,
    notebook: {},
    fits,
    imageGroups: [{ title: 'The first batch', tiles: [tile(`${name} 1`), tile(`${name} 2`)] }],
    mostWrong: [],
    ...more,
  }
}

function runOf(sections: readonly ReportedSection[], more: Partial<ReportedRun> = {}): ReportedRun {
  return {
    adapter: 'GeForce',
    software: false,
    precision: 'mixed',
    seed: 7,
    data: 'imagenette2-160.tgz',
    isSample: false,
    profile: 'full',
    command: "npm run imagenette -- --data 'my <images>'",
    versions: { wgrad: '0.1.0', node: '20.0.0' },
    started: '2026-11-23T10:11:12.000Z',
    interrupted: false,
    sections,
    ...more,
  }
}

/** A whole page in the message of a failure is no message. */
function expectIn(page: string, text: string | RegExp): void {
  expect(typeof text === 'string' ? page.includes(text) : text.test(page), `the page has ${String(text)}`).toBe(true)
}

test('what is put into HTML is escaped, lists are joined, HTML and nothing are left as they are', () => {
  const item = (text: string) => html`<li title="${text}">${text}</li>`
  expect(html`<ul>${[item('a<b'), item('"&')]}${undefined}</ul> ${3}`.text).toBe(
    '<ul><li title="a&lt;b">a&lt;b</li><li title="&quot;&amp;">&quot;&amp;</li></ul> 3',
  )
})

/** One epoch in mixed precision. */
const scaledFits = [fitOf('larger-images', 0, 1)].map((fit) => ({
  ...fit,
  epochs: fit.epochs.map((row) => ({ ...row, skippedSteps: 2, lossScale: 16384 })),
}))

describe('the report', () => {
  test('has the steps that were skipped and the loss scale, where there are any', async () => {
    expectIn(
      await renderReport(runOf([sectionOf('larger-images', { fits: scaledFits })])),
      /<th>skipped<\/th><th>scale<\/th>[^]*<td>2<\/td><td>16384<\/td>/,
    )
    expect(await renderReport(runOf([sectionOf('larger-images')]))).not.toContain('<th>skipped</th>')
  })

  test('needs nothing but itself: no address, no script', async () => {
    const page = await renderReport(runOf(SECTIONS.map((name) => sectionOf(name))))
    // Names of XML are no addresses to fetch.
    const fetched = page.replaceAll(/xmlns(:xlink)?="[^"]*"/g, '')
    expect(/https?:|\/\/[a-z]|<script|<link|@import|url\((?!#)/i.exec(fetched)?.[0]).toBeUndefined()
    const sources = [...page.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, source]) => source)
    expect(sources.length).toBeGreaterThan(14)
    for (const source of sources) expect(source).toMatch(/^(#[a-z0-9-]+|data:image\/png;base64,[\w+/=]+)$/)
  })

  test('has every section with its figures beside those of the notebook', async () => {
    const page = await renderReport(runOf(SECTIONS.map((name) => sectionOf(name))))
    for (const name of SECTIONS) {
      expectIn(page, `<section class="card" id="${name}">`)
      const { accuracy, fits, batchSize } = NOTEBOOK[name]
      if (fits.length > 0) {
        expectIn(page, new RegExp(`id="${name}"(?:(?!</section>).)*>notebook, in batches of ${batchSize}<`, 's'))
      }
      if (accuracy !== undefined) expectIn(page, `notebook ${(100 * accuracy).toFixed(1)}%`)
      for (const row of fits.flat()) expectIn(page, `>${row.validLoss.toFixed(6)}<`)
    }
    for (const text of [
      '1.750000',
      '2.250000',
      '0.700000',
      '01:01',
      '52.0',
      '3.00 MiB',
      '11,708,744',
      'wgrad 0.1.0, node 20.0.0',
      '23 November 2026',
    ]) {
      expectIn(page, text)
    }
    expectIn(page, 'my &lt;images&gt;')
    // Wilson's interval for 28 of 40, in the table and in each section.
    expectIn(page, '<td>54.6 – 81.9%</td>')
    expectIn(page, '54.6% to 81.9% with 95% confidence; notebook')
    // Four charts a section.
    expect(page.match(/<div class="chart"><svg/g)?.length).toBe(4 * SECTIONS.length)
  })

  test('says what it was not trained on or not computed by, and what was not learnt', async () => {
    const whole = { images: { train: 10_716, valid: 2678 } }
    const plain = await renderReport(runOf([sectionOf('normalize', whole)]))
    expect(plain.includes('class="note"')).toBe(false)
    const small = await renderReport(runOf([sectionOf('normalize')]))
    expectIn(small, 'A small run.')
    expectIn(small, 'This run: 160 images to train on and 40 to measure on')
    const page = await renderReport(
      runOf([sectionOf('normalize', { ttaAccuracy: 0.12 }), sectionOf('mixup', { fits: [], epochs: [] })], {
        software: true,
        adapter: 'llvmpipe',
        isSample: true,
        interrupted: true,
      }),
    )
    for (const text of [
      'Software adapter.',
      'Not Imagenette.',
      'Interrupted.',
      'did not learn',
      'No epoch was finished',
    ]) {
      expectIn(page, text)
    }
    expectIn(page, 'llvmpipe <b>(software)</b>')
  })

  test('compares curves only where the notebook has as many epochs', async () => {
    const dashed = /stroke-dasharray/
    expectIn(await renderReport(runOf([sectionOf('normalize')])), dashed)
    expect(dashed.test(await renderReport(runOf([sectionOf('normalize', { fits: [fitOf('normalize', 0, 4)] })])))).toBe(
      false,
    )
    expectIn(
      await renderReport(
        runOf([sectionOf('larger-images', { fits: [fitOf('larger-images', 0, 1), fitOf('larger-images', 1, 5)] })]),
      ),
      dashed,
    )
  })

  test('shows pictures with their labels, mixed ones with both, and the same ones only once', async () => {
    const mixed = tile('church', { mixedWith: 'tench', share: 0.7 })
    const page = await renderReport(
      runOf([
        sectionOf('normalize', { imageGroups: [{ title: 'A batch', tiles: [tile('church'), tile('tench')] }] }),
        sectionOf('small-images', { imageGroups: [{ title: 'A batch', tiles: [tile('church'), tile('tench')] }] }),
        sectionOf('mixup', {
          imageGroups: [
            { title: 'Mixed', tiles: [mixed, mixed] },
            { title: 'Varied', tiles: [tile('golf ball'), tile('golf ball')] },
          ],
        }),
      ]),
    )
    expect(page.split(uri('tench')).length).toBe(2)
    expectIn(page, 'The same images as in <a href="#normalize">normalize</a>')
    expectIn(page, '70% church</span><span class="muted">30% tench')
    // One label for pictures that show the same.
    expectIn(page, '<h3>Varied: golf ball</h3>')
  })

  test('shows what is confused with what, and the most wrong pictures', async () => {
    const page = await renderReport(
      runOf([
        sectionOf('normalize', {
          confusion: {
            classes: ['church', 'tench'],
            counts: [
              [3, 1],
              [0, 0],
            ],
            pairs: [{ actual: 'church', predicted: 'tench', count: 1 }],
          },
          mostWrong: [{ uri: uri('w'), predicted: 'tench', actual: 'church', loss: 4.567, probability: 0.987 }],
        }),
      ]),
    )
    expectIn(page, 'title="church taken for tench: 1"')
    expectIn(page, /class="right"[^>]*--share:0\.750[^>]*>3</)
    expectIn(page, '<td class="sum">75%</td>')
    // No picture of a class, so nothing right and nothing wrong.
    expectIn(page, '<td class="sum">–</td>')
    expectIn(page, 'tench 99%')
    expectIn(page, 'loss 4.57')
    expectIn(page, /<b>1<\/b> church\s+<span class="muted">taken for<\/span> tench</)
  })

  test('shows the numbers of a batch, before normalisation and after, beside those of the notebook', async () => {
    const batchStats = {
      before: { mean: [0.41, 0.42, 0.43], std: [0.21, 0.22, 0.23] },
      after: { mean: [0.01, 0.02, 0.03], std: [1.01, 1.02, 1.03] },
    } as const
    const page = await renderReport(
      runOf([sectionOf('normalize', { batchStats }), sectionOf('small-images', { batchStats })]),
    )
    const rows = [...page.matchAll(/<tr><td>(x\.\w+ \w+)<\/td>(.*?)<\/tr>/gs)].map(([, name, cells]) => [
      name,
      ...[...cells.matchAll(/>([^<]+)</g)].map(([, value]) => value),
    ])
    expect(rows).toEqual([
      ['x.mean before', '0.4100', '0.4200', '0.4300', '0.4792', '0.4991', '0.4694'],
      ['x.std before', '0.2100', '0.2200', '0.2300', '0.2466', '0.2396', '0.2567'],
      ['x.mean after', '0.0100', '0.0200', '0.0300', '0.0151', '-0.0655', '0.0232'],
      ['x.std after', '1.0100', '1.0200', '1.0300', '1.2722', '1.2716', '1.3045'],
    ])
  })

  test('shows what label smoothing asks for, in the notebook’s example and with the outputs that the network has', async () => {
    const rows = async (more: Partial<ReportedSection>) => {
      const page = await renderReport(runOf([sectionOf('label-smoothing', more)]))
      return [...page.matchAll(/<tr><td>((?:cross|label)[^<]*)<\/td><td>([^<]*)<\/td><td>([^<]*)<\/td><\/tr>/g)].map(
        ([, ...cells]) => cells,
      )
    }
    const ten = [
      ['cross-entropy', '1', '0'],
      ['label smoothing, 10 classes', '0.91', '0.01'],
    ]
    expect(await rows({ loss: 'crossEntropy', outputs: 1000 })).toEqual([])
    expect(await rows({ loss: 'labelSmoothing' })).toEqual(ten)
    expect(await rows({ loss: 'labelSmoothing', outputs: 1000 })).toEqual([
      ...ten,
      ['label smoothing, 1,000 outputs, as this network has', '0.9001', '0.0001'],
    ])
  })
})

describe('what a run writes down', () => {
  test('epochs of all fits with all digits, steps a line each', () => {
    const sections = [
      sectionOf('larger-images', { fits: [fitOf('larger-images', 0, 1), fitOf('larger-images', 1, 2)] }),
    ]
    expect(historyCsv(sections)).toBe(
      [
        'section,fit,epoch,train_loss,valid_loss,accuracy,seconds,images_per_second,skipped_steps,loss_scale',
        'larger-images,0,0,2,2.5,0.3,61,50,,',
        'larger-images,1,0,2,2.5,0.3,61,50,,',
        'larger-images,1,1,1.75,2.25,0.4,61,51,,',
        '',
      ].join('\n'),
    )
    const [fit] = scaledFits
    expect(historyCsv([sectionOf('larger-images', { fits: [fit] })]).split('\n')[1]).toBe(
      'larger-images,0,0,2,2.5,0.3,61,50,2,16384',
    )
    const lines = stepLines(sections)
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(lines.length).toBe(12)
    expect(lines[5]).toEqual({
      section: 'larger-images',
      fit: 1,
      iteration: 1,
      loss: 3.5,
      smoothLoss: 3,
      lr: 3e-3,
      momentum: 0.95,
    })
  })

  test('learning is more than guessing with luck', () => {
    const with40 = sectionOf('normalize', { ttaAccuracy: 0.24 })
    // Three standard deviations of 40 guesses, one of ten right: 0.1 + 3·√(0.09/40).
    expect(guessing(with40).withLuck).toBeCloseTo(0.2423, 4)
    expect(hasLearnt(with40)).toBe(false)
    expect(hasLearnt({ ...with40, ttaAccuracy: 0.25 })).toBe(true)
    expect(hasLearnt({ ...with40, images: { train: 160, valid: 4000 } })).toBe(true)
    const [last] = with40.epochs.slice(-1)
    expect(hasLearnt({ ...with40, ttaAccuracy: 0.9, epochs: [{ ...last, validLoss: NaN }] })).toBe(false)
    expect(hasLearnt({ ...with40, epochs: [] })).toBe(false)
  })
})

test('the notebook’s accuracies are counts of its 2,678 validation images', () => {
  for (const { accuracy, fits } of Object.values(NOTEBOOK)) {
    // Six digits are half a millionth off at most.
    for (const share of [...fits.flat().map((row) => row.accuracy), ...(accuracy === undefined ? [] : [accuracy])]) {
      expect(Math.abs(2678 * share - Math.round(2678 * share))).toBeLessThan(2678 * 0.51e-6)
    }
    if (accuracy !== undefined && fits.length > 0) expect(fits.at(-1)?.at(-1)?.accuracy).toBe(accuracy)
  }
})

test('all sections run by default, in the order of the notebook; a choice is kept as given', () => {
  expect(readOptions([], {}, true).sections).toEqual([
    'baseline',
    'normalize',
    'small-images',
    'larger-images',
    'tta',
    'mixup',
    'label-smoothing',
  ])
  expect(readOptions(['--only', 'tta, mixup'], {}, true).sections).toEqual(['tta', 'mixup'])
  expect(() => readOptions(['--only', 'cutmix'], {}, true)).toThrow("'cutmix' is not one of its values")
})
