import { AccuracyChart, LossChart } from './chart.ts'
import { GpuLost, type TrainerClient } from './client.ts'
import { element, isolated, messageOf, say } from './dom.ts'
import type { Guess, Part, Phase, Saved, Shown, TrainingEvent } from './protocol.ts'

const percent = (share: number): string => `${Math.round(100 * share)}%`

/** Stands for a figure that is not known yet. */
const NOTHING = '–'

const rateText = (rate: number): string => (rate < 10 ? rate.toFixed(1) : String(Math.round(rate)))

/** Epochs of another round, after a training has come to its end. */
const MORE = 4
const MORE_TEXT = `Train ${MORE} more epochs`

/** Text of the Continue button where no training can be continued, and what it does. */
interface Anew {
  readonly text: string
  readonly begin: () => void
}

/** Call that trains: from the beginning, or going on with what was saved. */
type Work = (saved?: Saved) => Promise<unknown>

/** Pictures of the first training on the page: as many are there before they are known, so that nothing moves. */
const FIRST_SHOWN = 12

/** A training as the page shows it: its figures, curves, pictures with the guesses about them, and what stops it. */
export class TrainingView {
  private readonly part: Part
  private readonly trainer: TrainerClient
  private readonly root: HTMLElement
  private readonly loss: LossChart
  private readonly accuracy: AccuracyChart
  private readonly lossSvg: SVGSVGElement
  private readonly accuracySvg: SVGSVGElement
  private readonly figures: Readonly<Record<'accuracy' | 'speed' | 'loss' | 'epoch', HTMLElement>>
  private readonly tiles: HTMLUListElement
  private readonly tilesTitle: HTMLElement
  private readonly status: HTMLElement
  private readonly button: HTMLButtonElement
  /** Leads on where this training has shown what there is to see. */
  private readonly next = element('a', { href: '#own', class: 'next', hidden: true }, 'Now teach it yours')
  private shown: readonly Shown[] = []
  private epochsDone = 0
  private epochs = 0
  private phase: Phase = 'stopped'
  private work: Work | undefined
  /** Weights and optimizer of this training after its last whole epoch; undefined before the first has ended. */
  private saved: Saved | undefined
  private anew: Anew | undefined
  /** Called as training begins and ends. */
  onPhase: (phase: Phase) => void = () => undefined

  constructor(root: HTMLElement, part: Part, trainer: TrainerClient) {
    this.root = root
    this.part = part
    this.trainer = trainer
    const svg = (style: string, label: string) => {
      const made = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
      made.setAttribute('class', style)
      made.setAttribute('role', 'img')
      made.setAttribute('aria-label', label)
      return made
    }
    const figure = (name: string) => {
      const value = element('dd', { 'data-figure': name }, NOTHING)
      return { value, block: element('div', {}, element('dt', {}, name), value) }
    }
    const [accuracy, speed, loss, epoch] = ['accuracy', 'images per second', 'loss', 'epoch'].map(figure)
    this.figures = { accuracy: accuracy.value, speed: speed.value, loss: loss.value, epoch: epoch.value }
    this.lossSvg = svg('chart', 'Loss: no step yet')
    this.accuracySvg = svg('chart low', 'Accuracy: no epoch yet')
    this.tiles = element('ul', { class: 'tiles' })
    this.tilesTitle = element('p', { class: 'tiles-title' }, 'Pictures that it never trains on')
    this.status = element('p', { class: 'status', role: 'status' })
    this.button = element(
      'button',
      { type: 'button', class: 'primary', disabled: true, onclick: () => this.press() },
      'Stop',
    )
    root.classList.add('training')
    root.append(
      element(
        'div',
        {},
        element('dl', { class: 'figures' }, accuracy.block, speed.block, loss.block, epoch.block),
        element(
          'p',
          { class: 'key' },
          element('span', {}, element('i', { class: 'thin' }), 'loss of each step'),
          element('span', {}, element('i'), 'smoothed'),
          element('span', {}, element('i', { class: 'green' }), 'on pictures never trained on'),
        ),
        this.lossSvg,
        element(
          'p',
          { class: 'key' },
          element('span', {}, element('i', { class: 'green' }), 'accuracy after each epoch'),
        ),
        this.accuracySvg,
        element('div', { class: 'controls' }, this.button, this.status, ...(part === 'first' ? [this.next] : [])),
      ),
      element('div', {}, this.tilesTitle, this.tiles),
    )
    this.loss = new LossChart(this.lossSvg)
    this.accuracy = new AccuracyChart(this.accuracySvg)
    this.show([])
    trainer.on(part, (event) => this.receive(event))
  }

  /** Begins a training and shows it from its beginning. */
  async start(work: Work): Promise<void> {
    this.work = work
    this.saved = undefined
    this.root.hidden = false
    this.loss.clear()
    this.accuracy.clear()
    this.epochsDone = 0
    this.epochs = 0
    this.show([])
    for (const value of Object.values(this.figures)) value.textContent = NOTHING
    await this.run(work, this.anewOf(work))
  }

  /** Runs a call that trains, and shows its failure. @param again  what the button does after that */
  private async run(work: () => Promise<unknown>, again?: Anew): Promise<void> {
    this.anew = undefined
    this.enter('preparing', 'Getting ready')
    try {
      await work()
    } catch (error) {
      const lost = error instanceof GpuLost
      if (!lost) this.anew = again
      this.enter('stopped', '')
      say(this.status, `${messageOf(error)}${lost && error.reopened ? this.nextStep : ''}`, true)
    }
  }

  /** How a worker that has nothing of this training begins: with what was saved of it, or from its beginning. */
  private anewOf(work: Work): Anew {
    const { saved } = this
    if (saved === undefined) return { text: 'Start again', begin: () => void this.start(work) }
    const { bytes, epochsLeft } = saved
    const again: Anew = {
      text: epochsLeft > 0 ? 'Continue' : MORE_TEXT,
      begin: () => void this.run(() => work({ bytes, epochsLeft: epochsLeft || MORE }), again),
    }
    return again
  }

  /** A sentence about what to do after the GPU was lost. */
  private get nextStep(): string {
    const { textContent } = this.button
    return this.saved ? ` Press ${textContent}: it goes on after epoch ${this.epochsDone}.` : ` Press ${textContent}.`
  }

  /** Takes the place of going on: the pictures of this training have changed. */
  offer(text: string, begin: () => void): void {
    this.anew = { text, begin }
    this.nameButton()
  }

  /** Moves the keyboard to the button that stops this training. */
  focus(): void {
    this.button.focus({ preventScroll: true })
    this.root.scrollIntoView({ block: 'nearest' })
  }

  get training(): boolean {
    return ['preparing', 'compiling', 'training'].includes(this.phase)
  }

  private press(): void {
    if (this.training) {
      say(this.status, 'Stopping after this step')
      void this.trainer.call.stop(this.part)
    } else if (this.anew) {
      this.anew.begin()
    } else {
      void this.run(() => this.trainer.call.more(this.part, MORE))
    }
  }

  /** Names the button by what it does. It is not disabled again, as it would lose the keyboard. */
  private nameButton(): void {
    this.button.disabled = false
    this.button.textContent = this.training
      ? 'Stop'
      : (this.anew?.text ?? (this.phase === 'finished' ? MORE_TEXT : 'Continue'))
  }

  /** A sentence about the end of a training. */
  private get outcome(): string {
    const { textContent } = this.figures.accuracy
    return textContent === '–' ? 'Finished' : `Finished: ${textContent} right`
  }

  private enter(phase: Phase, text: string): void {
    this.phase = phase
    this.root.dataset['phase'] = phase
    this.nameButton()
    this.next.hidden = phase !== 'finished'
    say(this.status, this.training ? `${text} …` : text)
    this.onPhase(phase)
  }

  private receive(event: TrainingEvent): void {
    switch (event.kind) {
      case 'phase':
        this.enter(event.phase, event.phase === 'finished' ? this.outcome : event.text)
        break
      case 'planned':
        this.loss.plan(event.steps)
        this.accuracy.plan(event.epochs)
        this.epochs = this.epochsDone + event.epochs
        this.figures.epoch.textContent = `${this.epochsDone + 1} of ${this.epochs}`
        break
      case 'step':
        this.loss.add(event.loss)
        this.figures.loss.textContent = (this.loss.last ?? event.loss).toFixed(2)
        if (event.rate !== undefined) this.figures.speed.textContent = rateText(event.rate)
        break
      case 'epoch': {
        const done = ++this.epochsDone
        this.saved = event.saved
        this.loss.mark(event.validLoss)
        this.accuracy.add(event.accuracy)
        this.figures.accuracy.textContent = percent(event.accuracy)
        // The steps of a short epoch tell no speed, so the whole epoch does.
        if (this.figures.speed.textContent === NOTHING) this.figures.speed.textContent = rateText(event.rate)
        this.figures.epoch.textContent = `${Math.min(done + 1, this.epochs)} of ${this.epochs}`
        const what = `Epoch ${done} of ${this.epochs}: ${percent(event.accuracy)} right`
        this.lossSvg.setAttribute(
          'aria-label',
          `Loss ${event.trainLoss.toFixed(2)} in training, ${event.validLoss.toFixed(2)} on pictures never trained on, after epoch ${done}`,
        )
        this.accuracySvg.setAttribute('aria-label', `Accuracy ${percent(event.accuracy)} after epoch ${done}`)
        say(this.status, what)
        break
      }
      case 'shown':
        this.show(event.shown)
        break
      case 'guesses':
        this.guess(event.guesses)
        break
      case 'lost':
        // One whose pictures have changed begins with them as they are now.
        if (this.work === undefined || this.anew) break
        this.anew = this.anewOf(this.work)
        this.nameButton()
        if (!this.training && !this.saved) say(this.status, 'The GPU was lost, and this training with it.', true)
    }
  }

  private show(shown: readonly Shown[]): void {
    this.shown = shown
    for (const image of this.tiles.querySelectorAll('img')) URL.revokeObjectURL(image.src)
    const tile = (picture: HTMLElement, caption: string) =>
      element('li', {}, element('figure', {}, picture, element('figcaption', {}, caption)))
    const tiles = shown.map(({ label, picture }) =>
      tile(element('img', { src: URL.createObjectURL(picture), alt: label, width: 96, height: 96 }), '…'),
    )
    const blanks = this.part === 'first' && shown.length === 0 ? FIRST_SHOWN : 0
    for (let i = 0; i < blanks; i++) tiles.push(tile(element('div', { class: 'blank' }), ''))
    this.tiles.replaceChildren(...tiles)
  }

  private guess(guesses: readonly Guess[]): void {
    // Those of a training that another one has taken the place of.
    if (guesses.length !== this.shown.length) return
    let right = 0
    for (const [i, { label, probability }] of guesses.entries()) {
      const tile = this.tiles.children[i]
      const truth = this.shown[i].label
      const hit = label === truth
      if (hit) right++
      tile.className = hit ? 'right' : 'wrong'
      tile.querySelector('figcaption')!.textContent = hit
        ? `${isolated(label)} ${percent(probability)}`
        : `${isolated(label)}, but it is ${isolated(truth)}`
    }
    this.tilesTitle.textContent = `Pictures that it never trains on: ${right} of ${guesses.length} right`
  }
}
