/** Parts of the page of `npm run page`, without its training: a GPU is not needed for what they say and do. */
import { zipSync } from 'fflate'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { page } from 'vitest/browser'
import { AccuracyChart, LossChart } from '../../bench/page/chart.ts'
import { Classes } from '../../bench/page/classes.ts'
import type { TrainerClient } from '../../bench/page/client.ts'
import { GpuLost } from '../../bench/page/client.ts'
import { imagesOf } from '../../bench/page/collect.ts'
import { comparison, comparisonText } from '../../bench/page/compare.ts'
import { messageOf } from '../../bench/page/dom.ts'
import { lookInside } from '../../bench/page/inside.ts'
import { Keep } from '../../bench/page/keep.ts'
import { Mistakes } from '../../bench/page/mistakes.ts'
import { requireModel } from '../../bench/page/model-facts.ts'
import { ownPictures } from '../../bench/page/own.ts'
import type { Guess, LayerFacts, Part, Saved, Suspect, Trainer, TrainingEvent } from '../../bench/page/protocol.ts'
import { TrainingView } from '../../bench/page/training-view.ts'
import { ready, Try } from '../../bench/page/try.ts'

const address = '/bench/page/index.html?raw'
const { default: html } = (await import(/* @vite-ignore */ address)) as { readonly default: string }

const SVG = 'http://www.w3.org/2000/svg'

const $ = <E extends HTMLElement = HTMLElement>(selector: string): E => {
  const found = document.querySelector<E>(selector)
  if (!found) throw new Error(`there is no ${selector}`)
  return found
}
const texts = (selector: string) => [...document.querySelectorAll(selector)].map(({ textContent }) => textContent)
const textOf = (selector: string) => $(selector).textContent
/** A name within a sentence, as the page writes it. */
const quoted = (name: string) => `\u2068${name}\u2069`

/** Calls that the training worker would answer. */
function trainerOf(call: Partial<Trainer> = {}) {
  const listeners: ((event: TrainingEvent) => void)[] = []
  const asked = { kept: () => Promise.resolve([]), stop: () => Promise.resolve(), ...call }
  const client = { call: asked, on: (_: Part, listener: (typeof listeners)[0]) => listeners.push(listener) }
  const tell = (event: TrainingEvent) => listeners.forEach((listener) => listener(event))
  return { trainer: client as unknown as TrainerClient, tell }
}

async function picture(colour: string, type = 'image/png', size = 40): Promise<Blob> {
  const canvas = new OffscreenCanvas(size, size)
  const drawing = canvas.getContext('2d')!
  drawing.fillStyle = colour
  drawing.fillRect(0, 0, size / 2, size)
  return canvas.convertToBlob({ type })
}

const given = (label: string | undefined, file: Blob, name = 'a.png') => ({ name, label, file })

/** Classes with some pictures of each name. */
async function classesOf(names: readonly string[], count = 2): Promise<Classes> {
  const classes = new Classes()
  const file = await picture('black')
  await classes.add(async () => names.flatMap((name) => Array.from({ length: count }, () => given(name, file))))
  return classes
}

const facts = { name: 'none', software: true, timestamps: false, features: [] }

/** Loads the style of the page, until the end of the test. */
async function useStyle(): Promise<void> {
  const style = document.createElement('link')
  Object.assign(style, { rel: 'stylesheet', href: '/bench/page/style.css' })
  const loaded = new Promise((resolve) => (style.onload = resolve))
  document.head.append(style)
  onTestFinished(() => style.remove())
  await loaded
}

beforeEach(() => {
  document.body.replaceChildren(...new DOMParser().parseFromString(html, 'text/html').body.children)
})

describe('classes', () => {
  test('have white where a picture has nothing, so that a black drawing can be seen', async () => {
    const classes = await classesOf(['ink'])
    const bitmap = await createImageBitmap(classes.pictures[0].picture)
    const drawing = new OffscreenCanvas(40, 40).getContext('2d')!
    drawing.drawImage(bitmap, 0, 0)
    const [drawn] = drawing.getImageData(10, 20, 1, 1).data
    const [nothing] = drawing.getImageData(30, 20, 1, 1).data
    expect(drawn).toBeLessThan(10)
    expect(nothing).toBeGreaterThan(245)
  })

  test('say what was not read, and what to do', async () => {
    const classes = new Classes()
    await classes.add(async () => [given('a', await picture('red')), given('a', new Blob(['?']), 'b.heic')])
    expect(textOf('#pictures-status')).toBe(
      `1 picture added. This browser cannot read ${quoted('b.heic')}: open it in a program for pictures, and save it as JPEG or PNG.`,
    )
    await classes.add(async () => ['b.heic', 'c.heic'].map((name) => given('a', new Blob(['?']), name)))
    expect(textOf('#pictures-status')).toBe(
      `This browser cannot read ${quoted('b.heic')}, ${quoted('c.heic')}: open them in a program for pictures, and save them as JPEG or PNG.`,
    )
    await classes.add(() => imagesOf([new File(['AppleDouble'], '._all.zip')]))
    expect(textOf('#pictures-status')).toMatch(/^There are no pictures in that\./)
    await classes.add(() => imagesOf([new File(['PK no zip'], 'all.zip')]))
    expect(textOf('#pictures-status')).toBe(
      `${quoted('all.zip')} is damaged, or no zip. Unpack it, and drop its folder.`,
    )
    // Beside others it takes nothing away from them.
    await classes.add(async () =>
      imagesOf([new File(['PK no zip'], 'all.zip'), new File([await picture('red')], 'c.png')]),
    )
    expect(textOf('#pictures-status')).toBe(
      `1 picture added. ${quoted('all.zip')} is damaged, or no zip. Unpack it, and drop its folder.`,
    )
    await classes.add(() => imagesOf([]))
    expect(textOf('#pictures-status')).toMatch(/^There are no pictures in that\./)
    await classes.add(() => Promise.reject(new Error('the folder is gone')))
    expect(textOf('#pictures-status')).toBe('That cannot be read: the folder is gone')
  })

  test('keep a picture in the class that the network names, whatever is in the name', async () => {
    const classes = await classesOf(['and/or', '.hidden'])
    const [{ path }] = classes.pictures
    const vocab = [...new Set(classes.pictures.map((one) => one.path.split('/').slice(0, -1).join('/')))]
    expect(vocab).toHaveLength(2)
    classes.move(path, vocab[1])
    expect(texts('#classes .count')).toEqual(['1 picture', '3 pictures'])
  })

  test('forget pictures, and leave the keyboard where it can go on', async () => {
    const forgotten = vi.spyOn(URL, 'revokeObjectURL')
    const classes = await classesOf(['a', 'b', 'c'])
    classes.move(classes.pictures[0].path)
    expect(forgotten).toHaveBeenCalledTimes(1)
    $('#classes li [aria-label="Remove b"]').click()
    expect(forgotten).toHaveBeenCalledTimes(3)
    expect((document.activeElement as HTMLInputElement).value).toBe('c')
    for (const button of document.querySelectorAll<HTMLElement>('#classes [aria-label^=Remove]')) button.click()
    expect(document.activeElement?.id).toBe('add-class')
    forgotten.mockRestore()
  })

  test('are the folders around pictures, also in a zip, and nothing that a system writes beside them', async () => {
    const file = new Uint8Array([1])
    const names = ['all/cat/1.jpg', 'all/cat/._1.jpg', '__MACOSX/cat/2.jpg', 'all/.git/3.jpg', 'notes.txt', '4.PNG']
    const zip = zipSync(Object.fromEntries(names.map((name) => [name, file])))
    const found = await imagesOf([new File([zip], 'mine.ZIP')])
    expect(found.map(({ name, label }) => [name, label])).toEqual([
      ['4.PNG', undefined],
      ['1.jpg', 'cat'],
    ])
  })

  test('keep the name that is typed while their pictures are read, and stay away once they are removed', async () => {
    const classes = new Classes()
    const file = await picture('red')
    // As soon as there are both: the visitor does not wait for all pictures.
    const act = new MutationObserver(() => {
      const [name, remove] = ['Remove class 1', 'Remove unwanted'].map((label) =>
        document.querySelector<HTMLElement>(`#classes [aria-label="${label}"]`),
      )
      if (!name || !remove) return
      act.disconnect()
      const field = name.closest('li')!.querySelector('input')!
      field.value = 'mug'
      field.dispatchEvent(new Event('input'))
      remove.click()
    })
    act.observe($('#classes'), { childList: true })
    await classes.add(async () => Array.from({ length: 20 }, (_, i) => given(i % 2 ? 'unwanted' : undefined, file)))
    expect(classes.pictures.map(({ path }) => path.split('/')[0])).toEqual(Array.from({ length: 10 }, () => 'mug'))
    expect(texts('#classes .count')).toEqual(['10 pictures'])
    expect(parseInt(textOf('#pictures-status'), 10)).toBeLessThan(20)
  })

  test('are in the order of their names, whatever the order on the disk', async () => {
    const file = (path: string) => {
      const [folder, name] = path.split('/')
      return [`all/${folder}/${name}`, new Blob(['x'])] as const
    }
    const found = await imagesOf(new Map(['class 10/1.jpg', 'class 9/10.jpg', 'class 9/9.jpg'].map(file)))
    expect(found.map(({ label, name }) => `${label}/${name}`)).toEqual([
      'class 9/9.jpg',
      'class 9/10.jpg',
      'class 10/1.jpg',
    ])
  })

  test('say which name two of them have', async () => {
    const classes = await classesOf(['cat', 'dog'])
    expect(classes.missing).toBeUndefined()
    const field = $<HTMLInputElement>('#classes li:last-child input')
    field.value = ' cat '
    field.dispatchEvent(new Event('input'))
    expect(classes.missing).toBe('Two classes have the name “cat”: give one of them another.')
  })
})

describe('what a training gets wrong', () => {
  const suspect: Suspect = { path: '', split: 'valid', label: 'a', predicted: 'b', probability: 0.9, loss: 3 }
  const show = async (vocab: readonly string[], confusion: number[][], path = '') => {
    const mistakes = new Mistakes(trainerOf().trainer, await classesOf(['a', 'b']))
    mistakes.show({ vocab, confusion, accuracy: 0.5, hardest: path ? [{ ...suspect, path }] : [] })
  }

  test('is a matrix, or of many classes a list of the most frequent mistakes', async () => {
    await show(
      ['a', 'b'],
      [
        [3, 1],
        [0, 4],
      ],
    )
    expect(texts('#confusion caption')).toEqual(['Rows are what a picture shows, columns what it was taken for'])
    expect(texts('#confusion td')).toEqual(['', '3', '1', '0', '4'])
    const vocab = Array.from({ length: 30 }, (_, i) => `class ${i}`)
    await show(
      vocab,
      vocab.map((_, i) => vocab.map((__, j) => (i === j ? 5 : i === 7 && j < 2 ? 1 + j : 0))),
    )
    expect(texts('#confusion caption')).toEqual(['The most frequent mistakes'])
    expect(texts('#confusion th')).toEqual(['A picture of', 'was taken for', 'times'])
    expect(texts('#confusion td')).toEqual(['class 7', 'class 1', '2', 'class 7', 'class 0', '1'])
  })

  test('is no wider than a phone, however long the names are', async () => {
    await useStyle()
    const width = 360
    await page.viewport(width, 740)
    const long = 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft'
    const classes = await classesOf([long, 'b'])
    const [{ path }] = classes.pictures
    const mistakes = new Mistakes(trainerOf().trainer, classes)
    const hardest = ['b', long].map((label) => ({ ...suspect, path, label, predicted: long }))
    mistakes.show({
      vocab: [long, 'b'],
      confusion: [
        [1, 1],
        [0, 1],
      ],
      accuracy: 0.5,
      hardest,
    })
    new Keep(trainerOf({ kept: async () => [long] }).trainer)
    await expect.poll(() => texts('#kept li')).toHaveLength(1)
    expect(document.documentElement.scrollWidth).toBeLessThanOrEqual(width)
    expect($('.confusion').offsetWidth).toBeLessThan(2 * width)
  })

  test('is read by whole words, and scrolls where they take more than a phone has', async () => {
    await useStyle()
    await page.viewport(360, 740)
    const vocab = ['cassette player', 'English springer', 'French horn', 'garbage truck', 'parachute', 'chain saw']
    await show(
      vocab,
      vocab.map((_, i) => vocab.map((__, j) => (i === j ? 5 : 0))),
    )
    for (const name of document.querySelectorAll<HTMLElement>('#confusion th')) {
      const words = document.createRange()
      words.selectNodeContents(name)
      // A line for each word at most.
      expect(words.getClientRects().length, name.textContent).toBeLessThanOrEqual(name.textContent.split(' ').length)
    }
    expect(document.documentElement.scrollWidth).toBeLessThanOrEqual(360)
    expect($('#mistakes .scroll').scrollWidth).toBeGreaterThan($('#mistakes .scroll').clientWidth)
  })

  test('is marked apart from what is right, and beside a picture stands what can be done with it', async () => {
    const clean = vi.fn<Trainer['clean']>((path) => Promise.resolve(path))
    const classes = await classesOf(['a', 'b'])
    const [{ path }, { path: sure }] = classes.pictures
    const hard = { ...suspect, path, predicted: 'a', probability: 0.5, loss: 0.7 }
    new Mistakes(trainerOf({ clean }).trainer, classes).show({
      vocab: ['a', 'b'],
      confusion: [
        [3, 1],
        [0, 4],
      ],
      accuracy: 7 / 8,
      // The last one is right with a probability of 90%.
      hardest: [{ ...suspect, path }, hard, { ...hard, path: sure, probability: 0.9, loss: 0.1 }],
    })
    expect(textOf('#mistakes-status')).toBe('88% of 8 pictures that it was not trained on are right.')
    expect([...document.querySelectorAll('#confusion tbody td')].map(({ className }) => className)).toEqual([
      ...['hit', 'miss', '', 'hit'],
    ])
    expect(texts('#worst p')).toEqual([
      `${quoted('a')}, taken for ${quoted('b')} (90% sure)loss 3.00`,
      `${quoted('a')}: right, but only 50% sureloss 0.70`,
    ])
    expect(texts('#worst button')).toEqual(['It is b', 'Remove', 'Remove'])
    $('#worst button').click()
    await expect.poll(() => texts('#classes .count')).toEqual(['1 picture', '3 pictures'])
    expect(clean).toHaveBeenCalledWith(path, 'b')
  })

  test('shows no picture that was removed meanwhile', async () => {
    await show(['a', 'b'], [[1, 1]], 'a/999.jpg')
    expect($('#none-hard').hidden).toBe(false)
    expect(texts('#worst li')).toEqual([])
  })
})

describe('trying a model', () => {
  const choose = async (files: readonly File[]) => {
    const input = $<HTMLInputElement>('#try-input')
    for (const file of files) {
      const list = new DataTransfer()
      list.items.add(file)
      input.files = list.files
      input.dispatchEvent(new Event('change'))
    }
  }

  test('looks at one picture after the other, and names what it says by its own labels', async () => {
    const top: Guess[] = [{ label: 'own label', probability: 0.75 }]
    let busy = 0
    let most = 0
    const predict = async (image: ImageBitmap) => {
      most = Math.max(most, ++busy)
      await new Promise((resolve) => setTimeout(resolve, image.width > 100 ? 100 : 0))
      busy--
      image.close()
      return { label: top[0].label, top }
    }
    new Try(trainerOf({ predict }).trainer)
    await choose([
      new File([await picture('red', 'image/png', 200)], 'slow.png'),
      new File([await picture('red')], 'fast.png'),
    ])
    await expect.poll(() => textOf('#try-status')).toBe(`${quoted('fast.png')}: ${quoted('own label')}, 75% sure`)
    expect(most).toBe(1)
    expect(texts('#bars li')).toEqual(['own label75%'])
    expect($('#bars .bar span').style.width).toBe('75%')
  })

  test('shows the picture in its shape, however many answers are beside it', async () => {
    await useStyle()
    await page.viewport(1000, 740)
    const top = Array.from({ length: 8 }, (_, i) => ({ label: `class ${i}`, probability: 1 / 8 }))
    new Try(trainerOf({ predict: async () => ({ label: 'class 0', top }) }).trainer)
    ready('try')
    await choose([new File([await picture('red')], 'a.png')])
    await expect.poll(() => texts('#bars li')).toHaveLength(8)
    const { width, height } = $('#try-canvas').getBoundingClientRect()
    expect($('#bars').offsetHeight).toBeGreaterThan(width)
    expect(height).toBeCloseTo(width)
  })

  test('says what cannot be read, and what to do', async () => {
    new Try(trainerOf().trainer)
    await choose([new File(['?'], 'a.heic')])
    await expect.poll(() => textOf('#try-status')).toMatch(/^This browser cannot read .a\.heic.: .* save it as JPEG/)
  })
})

describe('keeping a model', () => {
  test('overwrites none, and says the name that it has', async () => {
    const keep = vi.fn<Trainer['keep']>((name) => Promise.resolve(name === 'my model' ? 'my model (2)' : name))
    const keeping = new Keep(trainerOf({ keep }).trainer)
    keeping.open(true)
    const [form, field] = [$<HTMLFormElement>('#keep-form'), $<HTMLInputElement>('#keep-form input')]
    field.value = '   '
    form.requestSubmit()
    await expect
      .poll(() => textOf('#keep-status'))
      .toBe(
        `“${quoted('my model (2)')}” is kept in this browser, for this page only, as there is a model “${quoted('my model')}” already.`,
      )
    expect(keeping.unsaved).toBe(false)
  })

  test('asks before another one takes the place of what was trained and is nowhere else', async () => {
    const openKept = vi.fn<Trainer['openKept']>(() => Promise.resolve())
    const keeping = new Keep(trainerOf({ openKept, kept: async () => ['a'] }).trainer)
    await expect.poll(() => texts('#kept button')).toHaveLength(2)
    const answers = [false, true]
    const ask = vi.spyOn(globalThis, 'confirm').mockImplementation(() => answers.shift()!)
    onTestFinished(() => ask.mockRestore())
    keeping.open(true)
    for (const opened of [0, 1]) {
      $('#kept button').click()
      await expect.poll(() => ask).toHaveBeenCalledTimes(opened + 1)
      expect(openKept).toHaveBeenCalledTimes(opened)
    }
    await expect.poll(() => textOf('#keep-status')).toMatch(/is open: try it above\.$/)
    // A model that is kept, or came from a file, can be opened again: nothing is asked.
    keeping.open(false)
    $('#kept button').click()
    await expect.poll(() => openKept).toHaveBeenCalledTimes(2)
    expect(ask).toHaveBeenCalledTimes(2)
  })

  test('leaves the keyboard in the list when one is forgotten, also one that another tab forgot', async () => {
    let names = ['a', 'b']
    const forget = async (name: string) => {
      names = names.filter((one) => one !== name)
    }
    new Keep(trainerOf({ forget, kept: async () => names }).trainer)
    await expect.poll(() => texts('#kept button')).toEqual(['Open a', 'Forget a', 'Open b', 'Forget b'])
    const button = $('#kept li:last-child button:last-child')
    button.focus()
    button.click()
    await expect.poll(() => texts('#kept button')).toEqual(['Open a', 'Forget a'])
    expect(document.activeElement?.textContent).toBe('Open a')
  })
})

/** The event at the end of one of eight epochs. */
const epochOf = (part: Part, epoch = 0) => ({
  kind: 'epoch' as const,
  part,
  epoch,
  epochs: 8,
  trainLoss: 1,
  validLoss: 1,
  accuracy: 0.5,
  rate: 100,
  saved: { bytes: new Uint8Array([epoch]), epochsLeft: 7 - epoch },
})

describe('a training', () => {
  const control = () => $('[data-training=first] .controls button')
  const figure = (name: string) => textOf(`[data-training=first] [data-figure="${name}"]`)
  const open = (call: Partial<Trainer> = {}) => {
    const { trainer, tell } = trainerOf(call)
    const view = new TrainingView($('[data-training=first]'), 'first', trainer)
    const epoch = (number: number) => tell(epochOf('first', number))
    return { view, tell, epoch }
  }

  test('that was stopped counts the epochs that it has left', async () => {
    const { view, tell, epoch } = open({ more: () => Promise.resolve() })
    await view.start(() => Promise.resolve())
    tell({ kind: 'planned', part: 'first', steps: 80, epochs: 8 })
    epoch(0)
    epoch(1)
    expect(figure('epoch')).toBe('3 of 8')
    tell({ kind: 'phase', part: 'first', phase: 'stopped', text: 'Stopped' })
    control().click()
    tell({ kind: 'planned', part: 'first', steps: 60, epochs: 6 })
    expect(figure('epoch')).toBe('3 of 8')
  })

  test('that fails before it begins can be started again, with the keyboard where it was', async () => {
    const { view } = open()
    let tries = 0
    const work = () => (tries++ === 0 ? Promise.reject(new Error('no connection')) : new Promise(() => undefined))
    const starting = view.start(work)
    control().focus()
    await starting
    expect(textOf('[data-training=first] .status[role=status]')).toBe('no connection')
    expect(control().textContent).toBe('Start again')
    control().click()
    expect([tries, control().textContent]).toEqual([2, 'Stop'])
    expect(document.activeElement).toBe(control())
  })

  test('goes on with what it had learnt after the GPU was lost, or starts again where that is nothing', async () => {
    const { view, tell, epoch } = open()
    const lose = () => tell({ kind: 'lost', part: 'first' })
    const said = () => textOf('[data-training=first] .status[role=status]')
    const lost = new GpuLost('The GPU was lost (why).', true)
    const work = vi.fn<(saved?: Saved) => Promise<void>>(async () => {
      lose()
      throw lost
    })
    await view.start(work)
    expect([control().textContent, said()]).toEqual(['Start again', 'The GPU was lost (why). Press Start again.'])
    work.mockImplementation(async () => {
      tell({ kind: 'planned', part: 'first', steps: 80, epochs: 8 })
      epoch(0)
      epoch(1)
      lose()
      throw lost
    })
    control().click()
    await expect.poll(said).toBe('The GPU was lost (why). Press Continue: it goes on after epoch 2.')
    expect([control().textContent, figure('epoch')]).toEqual(['Continue', '3 of 8'])

    // The server of the page does not answer: what was saved is there still.
    work.mockRejectedValueOnce(new Error('no connection'))
    control().click()
    await expect.poll(said).toBe('no connection')
    work.mockImplementation(async () => {
      tell({ kind: 'planned', part: 'first', steps: 60, epochs: 6 })
      for (let number = 2; number < 8; number++) epoch(number)
    })
    control().click()
    await expect.poll(() => figure('epoch')).toBe('8 of 8')
    expect(work.mock.calls.slice(-2)).toEqual(Array(2).fill([{ bytes: new Uint8Array([1]), epochsLeft: 6 }]))
    tell({ kind: 'phase', part: 'first', phase: 'finished', text: 'Finished' })

    // One that had ended loses nothing.
    lose()
    expect([control().textContent, said()]).toEqual(['Train 4 more epochs', 'Finished: 50% right'])
    control().click()
    await expect.poll(() => work.mock.lastCall).toEqual([{ bytes: new Uint8Array([7]), epochsLeft: 4 }])
  })

  test('says beside each picture whether it is right, and forgets the pictures of before', async () => {
    const forgotten = vi.spyOn(URL, 'revokeObjectURL')
    const { view, tell } = open()
    await view.start(() => Promise.resolve())
    const file = await picture('red')
    const shown = ['a', 'b'].map((label) => ({ path: '', label, picture: file }))
    tell({ kind: 'shown', part: 'first', vocab: ['a', 'b'], shown })
    const guesses = [0.9, 0.8].map((probability) => ({ label: 'a', probability }))
    tell({ kind: 'guesses', part: 'first', guesses })
    const tiles = [...document.querySelectorAll('[data-training=first] .tiles li')]
    expect(tiles.map(({ className, textContent }) => [className, textContent])).toEqual([
      ['right', `${quoted('a')} 90%`],
      ['wrong', `${quoted('a')}, but it is ${quoted('b')}`],
    ])
    expect(textOf('[data-training=first] .tiles-title')).toBe('Pictures that it never trains on: 1 of 2 right')
    expect(forgotten).not.toHaveBeenCalled()
    tell({ kind: 'shown', part: 'first', vocab: ['a', 'b'], shown })
    expect(forgotten).toHaveBeenCalledTimes(2)
    forgotten.mockRestore()
  })

  test('takes no guesses of the one before it', async () => {
    const { view, tell } = open()
    await view.start(() => Promise.resolve())
    const guesses = [{ label: 'a', probability: 1 }]
    tell({ kind: 'guesses', part: 'first', guesses })
    tell({
      kind: 'shown',
      part: 'first',
      vocab: ['a'],
      shown: [{ path: '', label: 'a', picture: await picture('red') }],
    })
    tell({ kind: 'guesses', part: 'first', guesses })
    expect(texts('[data-training=first] figcaption')).toEqual([`${quoted('a')} 100%`])
  })
})

describe('curves', () => {
  /** A chart of 348 × 168 pixels within its margins, and what is drawn of it with the next frame. */
  const opened = <Chart>(Kind: new (svg: SVGSVGElement) => Chart) => {
    const svg = document.createElementNS(SVG, 'svg')
    svg.style.cssText = 'display: block; width: 400px; height: 200px'
    document.body.append(svg)
    const drawn = async () => {
      await new Promise((resolve) => requestAnimationFrame(resolve))
      const places = (style: string) =>
        svg
          .querySelector(`.${style}`)
          ?.getAttribute('d')
          ?.match(/[\d.]+ /g)
          ?.map(Number)
      const marks = [...svg.querySelectorAll('circle')].map((mark) =>
        ['cx', 'cy'].map((at) => Number(mark.getAttribute(at))),
      )
      return { places, marks }
    }
    return { chart: new Kind(svg), drawn }
  }

  test('of losses have every step in its place, and validation where its epoch has ended', async () => {
    const { chart, drawn } = opened(LossChart)
    chart.plan(4)
    for (const loss of [2, 1]) chart.add(loss)
    // (0.9 · 0.1 · 2 + 0.1 · 1) / (1 − 0.9²)
    expect(chart.last).toBeCloseTo(0.28 / 0.19, 12)
    chart.mark(1.5)
    for (const loss of [1, 2]) chart.add(loss)
    chart.mark(0)
    const { places, marks } = await drawn()
    expect(places('raw')).toEqual([127, 214, 301, 388])
    expect(places('smooth')).toEqual([127, 214, 301, 388])
    expect(marks.map(([x]) => x)).toEqual([214, 388])
    expect(marks[1][1]).toBe(176)
    // Another training begins with nothing of this one.
    chart.clear()
    chart.add(4)
    expect(chart.last).toBeCloseTo(4, 12)
    expect((await drawn()).marks).toEqual([])
  })

  test('of accuracy have every epoch in its place, from none to all', async () => {
    const { chart, drawn } = opened(AccuracyChart)
    chart.plan(3)
    for (const accuracy of [0, 0.5, 1]) chart.add(accuracy)
    expect((await drawn()).marks).toEqual([
      [156, 190],
      [272, 99],
      [388, 8],
    ])
  })
})

test('a comparison says how many times as long as wgrad the others take, and why one has no time', () => {
  const turns = [
    { name: 'wgrad', stepMs: 20 },
    { name: 'other', stepMs: 50 },
    { name: 'broken', failure: 'no WebGPU' },
  ]
  expect(comparisonText('a GPU', turns).split('\n')).toEqual([
    'a GPU',
    'wgrad: 20.0 ms 1.0×',
    'other: 50.0 ms 2.5×',
    'broken: no WebGPU',
  ])
  document.body.append(comparison(false, turns))
  expect(texts('body > .scroll tbody tr').map((text) => text?.trim())).toEqual([
    'wgrad20.0 ms800.01.0×',
    'other50.0 ms320.02.5×',
    'brokenno WebGPU',
  ])
})

describe("a training on the visitor's pictures", () => {
  const open = (call: Partial<Trainer>, shipped: Promise<boolean> = Promise.resolve(true)) => {
    const { trainer, tell } = trainerOf({ pretrained: () => shipped, ...call })
    ownPictures(trainer, new TrainingView($('[data-training=own]'), 'own', trainer), Promise.resolve(facts))
    return { trainer, tell }
  }
  const add = async (paths: readonly string[]) => {
    const drop = new DataTransfer()
    for (const path of paths) drop.items.add(new File([await picture('red')], path))
    $('#drop').dispatchEvent(new DragEvent('drop', { dataTransfer: drop, bubbles: true, cancelable: true }))
    await expect.poll(() => textOf('#pictures-status')).toMatch(/added\./)
  }
  const leaves = () => dispatchEvent(new Event('beforeunload', { cancelable: true }))

  test('is not left by accident, until its model is saved', async () => {
    const { trainer, tell } = open({ own: () => Promise.resolve(), keep: (name) => Promise.resolve(name) })
    expect(leaves()).toBe(true)
    tell({ kind: 'phase', part: 'own', phase: 'training', text: 'Training' })
    expect(leaves()).toBe(false)
    trainer.onModel({ kind: 'model', bytes: new Uint8Array(1), unsaved: true })
    tell({ kind: 'phase', part: 'own', phase: 'finished', text: 'Finished' })
    expect(leaves()).toBe(false)
    expect($('#try .ready').hidden).toBe(false)
    $<HTMLFormElement>('#keep-form').requestSubmit()
    await expect.poll(() => textOf('#keep-status')).toContain('is kept')
    expect(leaves()).toBe(true)
  })

  test('is not begun without pictures of two classes, and says why', async () => {
    const own = vi.fn<Trainer['own']>()
    open({ own })
    await add(['a.png', 'b.png'])
    $<HTMLFormElement>('#train-form').requestSubmit()
    await expect
      .poll(() => textOf('[data-training=own] .status[role=status]'))
      .toBe('Training needs pictures of at least two classes.')
    expect(own).not.toHaveBeenCalled()
    expect($<HTMLInputElement>('input[name=epochs]').required).toBe(true)
  })

  test('waits for word of the weights that it is to begin with', async () => {
    const own = vi.fn<Trainer['own']>(() => new Promise<void>(() => undefined))
    let answer: (shipped: boolean) => void = () => undefined
    open({ own }, new Promise((resolve) => (answer = resolve)))
    await add(['a.png', 'b.png'])
    await add(['c.png', 'd.png'])
    $<HTMLFormElement>('#train-form').requestSubmit()
    answer(true)
    await expect.poll(() => own.mock.calls).toHaveLength(1)
    expect(own).toHaveBeenCalledWith(expect.objectContaining({ pretrained: true }), undefined)
  })

  test('goes on after a lost GPU with the pictures that it was begun with', async () => {
    const saved = { bytes: new Uint8Array(1), epochsLeft: 3 }
    const own = vi.fn<Trainer['own']>(async () => {
      if (own.mock.calls.length > 1) return
      tell({ ...epochOf('own'), saved })
      tell({ kind: 'lost', part: 'own' })
      throw new GpuLost('The GPU was lost (why).', true)
    })
    const { tell } = open({ own })
    await add(['a.png', 'b.png'])
    await add(['c.png', 'd.png'])
    $<HTMLFormElement>('#train-form').requestSubmit()
    const button = $('[data-training=own] .controls button')
    await expect.poll(() => button.textContent).toBe('Continue')
    await add(['e.png', 'f.png'])
    button.click()
    await expect.poll(() => own.mock.calls).toHaveLength(2)
    const [[begun], [request, given]] = own.mock.calls
    expect(begun.pictures).toHaveLength(4)
    expect(request).toBe(begun)
    expect(given).toEqual(saved)
  })
})

test.each([
  ['another file', 'RIFF'],
  ['weights without labels', '\x02\0\0\0\0\0\0\0{}'],
])('%s that is opened as a model is said to be none', (_, content) => {
  expect(() => requireModel(new TextEncoder().encode(content))).toThrow(/^This file is not a model that this page,/)
})

test('a part of the program that did not arrive is said to be one', () => {
  const said = messageOf(new TypeError('Failed to fetch dynamically imported module: http://localhost/a.js'))
  expect(said).toMatch(/^A part of the program cannot be loaded: .* Try again when there is a connection\.$/)
  expect(messageOf(new Error('anything else'))).toBe('anything else')
})

test('what is measured can be seen on a phone, below what was pressed', async () => {
  await page.viewport(360, 740)
  for (const card of document.querySelectorAll<HTMLElement>('.card')) card.style.height = '400px'
  lookInside(trainerOf({ layers: async () => [] }).trainer, facts)
  $('#show-layers').scrollIntoView({ block: 'center' })
  $('#show-layers').click()
  await expect.poll(() => texts('#inside-result table')).toHaveLength(1)
  await expect.poll(() => $('#inside-status').getBoundingClientRect().bottom).toBeLessThan(innerHeight)
})

test('a roofline is drawn in its colours below a policy that forbids styles in the page', async () => {
  const svg = `<svg xmlns="${SVG}"><style>.s1 { fill: rgb(1, 2, 3) }</style><circle class="s1" r="1"/></svg>`
  class Measured {
    onmessage: ((event: unknown) => void) | undefined
    terminate = () => undefined
    constructor() {
      setTimeout(() => this.onmessage?.({ data: { svg, peaks: '', table: '', failures: [] } }))
    }
  }
  vi.stubGlobal('Worker', Measured)
  lookInside(trainerOf().trainer, { ...facts, timestamps: true })
  $('#measure-roofline').click()
  await expect.poll(() => document.querySelectorAll('#inside-result svg')).toHaveLength(1)
  vi.unstubAllGlobals()
  expect(document.querySelector('#inside-result style')).toBe(null)
  expect(getComputedStyle($('#inside-result circle')).fill).toBe('rgb(1, 2, 3)')
})

test('a look inside leaves the keyboard where the visitor has gone meanwhile', async () => {
  let answer: (layers: readonly LayerFacts[]) => void = () => undefined
  lookInside(trainerOf({ layers: () => new Promise((resolve) => (answer = resolve)) }).trainer, facts)
  const show = async () => {
    $('#show-layers').focus()
    $('#show-layers').click()
    await new Promise((resolve) => requestAnimationFrame(resolve))
  }
  await show()
  const field = $('input[name=epochs]')
  field.focus()
  answer([])
  await expect.poll(() => texts('#inside-result table')).toHaveLength(1)
  expect(document.activeElement).toBe(field)
  $('#inside-result').replaceChildren()
  await show()
  answer([])
  await expect.poll(() => document.activeElement?.id).toBe('inside-result')
})
