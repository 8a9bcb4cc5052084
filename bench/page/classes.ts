import { cameraOpen, drawMiddle, openCamera } from './camera.ts'
import { className } from './class-name.ts'
import type { Given } from './collect.ts'
import { byId, element, messageOf, pictures, say } from './dom.ts'
import { shrink, unread } from './shrinker.ts'

interface Picture {
  readonly id: number
  readonly blob: Blob
  readonly url: string
}

interface Class {
  name: string
  readonly pictures: Picture[]
  readonly row: HTMLLIElement
  readonly strip: HTMLElement
}

/** Pictures of one class that its row shows. */
const STRIP = 8
/** Pause between two pictures of the webcam. */
const RECORD_MS = 120
const RECORD_SIDE = 160
const ENOUGH = 2
/** Pictures that are read at once: a photograph of 12 megapixels takes 48 MB meanwhile. */
const READ_AT_ONCE = 4

/** The visitor's classes and their pictures: what is trained on. */
export class Classes {
  private readonly list = byId<HTMLUListElement>('classes')
  private readonly status = byId('pictures-status')
  private readonly all: Class[] = []
  private count = 0
  /** True once there are pictures of the webcam, which are nowhere else. */
  recorded = false
  /** Called after every change. */
  onChange: () => void = () => undefined

  get pictures(): readonly { readonly path: string; readonly picture: Blob }[] {
    return this.all.flatMap(({ name, pictures }) =>
      pictures.map(({ id, blob }) => ({ path: `${name}/${id}.jpg`, picture: blob })),
    )
  }

  /** Reason why there is nothing to train on yet; nothing when there is. */
  get missing(): string | undefined {
    const filled = this.all.filter(({ pictures }) => pictures.length > 0)
    if (filled.length < ENOUGH) return 'Training needs pictures of at least two classes.'
    const names = filled.map(({ name }) => name)
    const twice = names.find((name, place) => names.indexOf(name) < place)
    if (twice !== undefined) return `Two classes have the name “${twice}”: give one of them another.`
    const poor = filled.find(({ pictures }) => pictures.length < ENOUGH)
    if (poor) return `“${poor.name}” needs at least two pictures: one to learn from, one to measure on.`
    return undefined
  }

  /** Adds what a visitor gives, to a class or to those of its folders; files without a folder belong to a new class. */
  async add(collect: () => Promise<readonly Given[]>, into?: Class): Promise<void> {
    say(this.status, 'Looking through the files …')
    try {
      await this.addAll(await collect(), into)
    } catch (error) {
      say(this.status, `That cannot be read: ${messageOf(error)}`, true)
    }
    this.onChange()
  }

  private async addAll(given: readonly Given[], into?: Class): Promise<void> {
    if (given.length === 0) {
      say(this.status, 'There are no pictures in that. JPEG, PNG, WebP, GIF and AVIF are read.', true)
      return
    }
    const loose = this.freeName()
    /** Classes by their folders: a visitor may give one another name, or remove it, before all of it is read. */
    const classes = new Map<string, Class>()
    const problems: string[] = []
    const failed: string[] = []
    let done = 0
    let added = 0
    const left = given.values()
    const reading = async () => {
      for (const { name, label = loose, file } of left) {
        const copy = file instanceof Error ? file : await shrink(file)
        if (copy instanceof Error) problems.push(copy.message)
        else if (copy) {
          const one = into ?? classes.get(label) ?? this.named(label)
          classes.set(label, one)
          if (this.put(one, copy)) added++
        } else failed.push(name)
        say(this.status, `Reading pictures: ${++done} of ${given.length}`)
      }
    }
    await Promise.all(Array.from({ length: READ_AT_ONCE }, reading))
    if (failed.length > 0) problems.push(unread(failed))
    const sentences = added > 0 ? [`${pictures(added)} added.`, ...problems] : problems
    say(this.status, sentences.join(' '), problems.length > 0)
  }

  /** Adds an empty class, whose name waits to be typed. */
  addClass(): void {
    const made = this.named(this.freeName())
    made.row.querySelector('input')?.select()
    this.onChange()
  }

  find(path: string): { readonly url: string } | undefined {
    const id = Number(/(\d+)\.jpg$/.exec(path)?.[1])
    return this.all.flatMap(({ pictures }) => pictures).find((picture) => picture.id === id)
  }

  /** Takes a picture away, or moves it to another class. */
  move(path: string, to?: string): void {
    const id = Number(/(\d+)\.jpg$/.exec(path)?.[1])
    for (const one of this.all) {
      const place = one.pictures.findIndex((picture) => picture.id === id)
      if (place < 0) continue
      const [picture] = one.pictures.splice(place, 1)
      this.show(one)
      if (to === undefined) URL.revokeObjectURL(picture.url)
      else {
        const target = this.named(to)
        target.pictures.push(picture)
        this.show(target)
      }
      break
    }
    this.onChange()
  }

  private freeName(): string {
    let number = this.all.length + 1
    while (this.all.some(({ name }) => name === `class ${number}`)) number++
    return `class ${number}`
  }

  /** @returns false for a class that was removed meanwhile */
  private put(one: Class, blob: Blob): boolean {
    if (!this.all.includes(one)) return false
    one.pictures.push({ id: this.count++, blob, url: URL.createObjectURL(blob) })
    this.show(one)
    return true
  }

  private named(given: string): Class {
    const name = className(given) || this.freeName()
    return this.all.find((one) => one.name === name) ?? this.make(name)
  }

  private make(name: string): Class {
    const strip = element('div', { class: 'strip' })
    const input = element('input', {
      value: name,
      'aria-label': 'Name of the class',
      maxlength: 60,
      autocomplete: 'off',
      dir: 'auto',
    })
    const files = element('input', { type: 'file', multiple: true, accept: 'image/*', hidden: true })
    const record = element('button', { type: 'button', class: 'small record' }, 'Record')
    const add = element('button', { type: 'button', class: 'small', onclick: () => files.click() }, 'Add pictures')
    const remove = element('button', { type: 'button', class: 'small quiet' }, 'Remove')
    const row = element('li', {}, input, strip, element('div', { class: 'row' }, record, add, remove, files))
    const made: Class = { name, pictures: [], row, strip }
    const describe = () => {
      record.setAttribute('aria-label', `Hold to record pictures of ${made.name}`)
      add.setAttribute('aria-label', `Add pictures of ${made.name}`)
      remove.setAttribute('aria-label', `Remove ${made.name}`)
    }
    describe()
    input.addEventListener('input', () => {
      made.name = className(input.value) || name
      describe()
      this.onChange()
    })
    files.addEventListener('change', () => {
      const given = Array.from(files.files ?? [], (file) => ({ name: file.name, label: undefined, file }))
      void this.add(() => Promise.resolve(given), made)
      files.value = ''
    })
    remove.addEventListener('click', () => {
      this.all.splice(this.all.indexOf(made), 1)
      for (const { url } of made.pictures) URL.revokeObjectURL(url)
      // The keyboard goes on with the next class.
      const next = (row.nextElementSibling ?? row.previousElementSibling)?.querySelector('input')
      row.remove()
      ;(next ?? byId('add-class')).focus()
      say(this.status, `${made.name} removed.`)
      this.onChange()
    })
    this.holdToRecord(record, made)
    this.all.push(made)
    this.list.append(row)
    this.show(made)
    return made
  }

  private holdToRecord(button: HTMLButtonElement, one: Class): void {
    let held = false
    const record = async () => {
      if (held) return
      held = true
      try {
        const video = await openCamera()
        button.classList.add('held')
        const canvas = element('canvas', { width: RECORD_SIDE, height: RECORD_SIDE })
        while (held && cameraOpen()) {
          drawMiddle(canvas, video, video.videoWidth, video.videoHeight)
          const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.92))
          if (blob) this.put(one, blob)
          this.recorded = true
          await new Promise((resolve) => setTimeout(resolve, RECORD_MS))
        }
      } catch (error) {
        say(this.status, messageOf(error), true)
      }
      button.classList.remove('held')
      this.onChange()
    }
    const stop = () => {
      if (held) say(this.status, `${one.name}: ${pictures(one.pictures.length)}.`)
      held = false
    }
    button.addEventListener('pointerdown', (event) => {
      button.setPointerCapture(event.pointerId)
      void record()
    })
    for (const end of ['pointerup', 'pointercancel', 'blur']) button.addEventListener(end, stop)
    button.addEventListener('keydown', (event) => {
      if (event.key !== ' ' && event.key !== 'Enter') return
      event.preventDefault()
      void record()
    })
    button.addEventListener('keyup', stop)
    button.addEventListener('contextmenu', (event) => event.preventDefault())
  }

  private show({ pictures: own, strip }: Class): void {
    strip.replaceChildren(
      element('span', { class: 'count' }, pictures(own.length)),
      ...own.slice(-STRIP).map(({ url }) => element('img', { src: url, alt: '', width: 40, height: 40 })),
    )
  }
}
