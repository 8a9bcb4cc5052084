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
  private facts: ModelFacts | undefined
  private watching = false

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
  }

  open(facts: ModelFacts): void {
    this.facts = facts
    ready('try')
  }

  private async watch(): Promise<void> {
    try {
      const video = await openCamera()
      this.watching = true
      this.webcam.textContent = 'Stop watching'
      say(this.status, 'Watching the webcam')
      while (this.watching && cameraOpen()) {
        await this.guess(video, video.videoWidth, video.videoHeight)
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
      }
    } catch (error) {
      say(this.status, messageOf(error), true)
    }
    this.stop()
  }

  private stop(): void {
    this.watching = false
    this.webcam.textContent = 'Watch the webcam'
  }

  private async file(file: File): Promise<void> {
    this.stop()
    try {
      const bitmap = await createImageBitmap(file)
      const { label, probability } = await this.guess(bitmap, bitmap.width, bitmap.height)
      bitmap.close()
      say(this.status, `${file.name}: ${label}, ${Math.round(100 * probability)}% sure`)
    } catch (error) {
      const unread = error instanceof Error && error.name === 'InvalidStateError'
      say(this.status, unread ? `This browser cannot read ${file.name}.` : messageOf(error), true)
    }
  }

  private async guess(source: CanvasImageSource, width: number, height: number) {
    if (!this.facts) throw new Error('There is no model yet.')
    const { size, vocab } = this.facts
    drawMiddle(this.canvas, source, width, height)
    const small = new OffscreenCanvas(size, size)
    const drawing = drawMiddle(small, source, width, height)
    const { data } = drawing.getImageData(0, 0, size, size)
    const { label, probabilities } = await this.trainer.call.predict({
      width: size,
      height: size,
      data: new Uint8Array(data),
    })
    const ranked = probabilities
      .map((probability, i) => ({ label: vocab[i] ?? `output ${i}`, probability }))
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
}

/** Opens a part of the page that waited for something. */
export function ready(id: string, open = true): void {
  const place = byId(id)
  place.querySelector<HTMLElement>('.waiting')!.hidden = open
  place.querySelector<HTMLElement>('.ready')!.hidden = !open
}
