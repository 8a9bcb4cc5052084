import { cameraOpen, drawMiddle, openCamera } from './camera.ts'
import type { TrainerClient } from './client.ts'
import { byId, element, messageOf, say } from './dom.ts'
import type { ModelFacts } from './protocol.ts'

/** Classes with the largest probabilities that are shown. */
const MOST_BARS = 8
/** Least pause between two guesses about the webcam. */
const PAUSE_MS = 100

/** The part of the page that guesses about new pictures. */
export class Try {
  private readonly trainer: TrainerClient
  private readonly status = byId('try-status')
  private readonly bars = byId<HTMLOListElement>('bars')
  private readonly canvas = byId<HTMLCanvasElement>('try-canvas')
  private readonly webcam = byId('try-webcam')
  private vocab: readonly string[] = []
  private readonly look = byId<HTMLInputElement>('try-look')
  private opened = false
  private watching = false
  /** Picture that was looked at last, to be explained when the visitor asks. */
  private last: ImageBitmap | undefined

  constructor(trainer: TrainerClient) {
    this.trainer = trainer
    const place = byId('try')
    const input = byId<HTMLInputElement>('try-input')
    byId('try-file').addEventListener('click', () => input.click())
    input.addEventListener('change', () => {
      const [file] = input.files ?? []
      input.value = ''
      if (file) void this.file(file)
    })
    place.addEventListener('dragover', () => place.classList.add('over'))
    place.addEventListener('dragleave', () => place.classList.remove('over'))
    place.addEventListener('drop', (event) => {
      event.preventDefault()
      place.classList.remove('over')
      const file = event.dataTransfer?.files[0]
      if (file) void this.file(file)
    })
    this.webcam.addEventListener('click', () => void (this.watching ? this.stop() : this.watch()))
    this.look.addEventListener('change', () => {
      if (!this.watching && this.last) void this.show(this.last).catch((error: unknown) => this.complain(error))
    })
  }

  open({ vocab }: ModelFacts): void {
    this.vocab = vocab
    this.opened = true
    ready('try')
  }

  private async watch(): Promise<void> {
    try {
      const video = await openCamera()
      this.watching = true
      this.webcam.textContent = 'Stop watching'
      say(this.status, 'Watching the webcam')
      while (this.watching && cameraOpen()) {
        await this.guess(await createImageBitmap(video))
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
      }
    } catch (error) {
      this.complain(error)
    }
    this.stop()
  }

  private complain(error: unknown): void {
    say(this.status, messageOf(error), true)
  }

  private stop(): void {
    this.watching = false
    this.webcam.textContent = 'Watch the webcam'
  }

  private async file(file: File): Promise<void> {
    this.stop()
    try {
      const { label, probability } = await this.guess(await createImageBitmap(file))
      say(this.status, `${file.name}: ${label}, ${Math.round(100 * probability)}% sure`)
    } catch (error) {
      const unread = error instanceof Error && error.name === 'InvalidStateError'
      say(this.status, unread ? `This browser cannot read ${file.name}.` : messageOf(error), true)
    }
  }

  private async guess(bitmap: ImageBitmap): Promise<{ readonly label: string; readonly probability: number }> {
    if (!this.opened) throw new Error('There is no model yet.')
    this.last?.close()
    this.last = bitmap
    const { label, probabilities } = await this.trainer.call.predict(await createImageBitmap(bitmap))
    await this.show(bitmap)
    const ranked = probabilities
      .map((probability, i) => ({ label: this.vocab[i] ?? `output ${i}`, probability }))
      .sort((a, b) => b.probability - a.probability)
      .slice(0, MOST_BARS)
    this.bars.replaceChildren(
      ...ranked.map((one) => {
        const percent = Math.round(100 * one.probability)
        return element(
          'li',
          {},
          element('span', {}, one.label),
          element('b', {}, `${percent}%`),
          element('span', { class: 'bar', 'aria-hidden': 'true' }, element('span', { style: `width:${percent}%` })),
        )
      }),
    )
    this.canvas.setAttribute('aria-label', `The picture to classify, taken for ${label}`)
    return { label, probability: ranked[0]?.probability ?? 0 }
  }

  /** Draws a picture, or where the model looks in it. */
  private async show(bitmap: ImageBitmap): Promise<void> {
    if (!this.look.checked) {
      drawMiddle(this.canvas, bitmap, bitmap.width, bitmap.height)
      return
    }
    const { overlay } = await this.trainer.call.explain(await createImageBitmap(bitmap))
    const { width, height, data } = overlay
    const drawn = new OffscreenCanvas(width, height)
    drawn.getContext('2d')?.putImageData(new ImageData(new Uint8ClampedArray(data), width, height), 0, 0)
    drawMiddle(this.canvas, drawn, width, height)
  }
}

/** Opens a part of the page that waited for something. */
export function ready(id: string, open = true): void {
  const place = byId(id)
  place.querySelector<HTMLElement>('.waiting')!.hidden = open
  place.querySelector<HTMLElement>('.ready')!.hidden = !open
}
