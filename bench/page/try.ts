import { cameraOpen, closeCamera, drawMiddle, openCamera } from './camera.ts'
import type { TrainerClient } from './client.ts'
import { byId, element, isolated, messageOf, say } from './dom.ts'
import type { Answer } from './protocol.ts'
import { shrink, unread } from './shrinker.ts'

/** Least pause between two guesses about the webcam. */
const PAUSE_MS = 100

/** The part of the page that guesses about new pictures. */
export class Try {
  private readonly trainer: TrainerClient
  private readonly status = byId('try-status')
  private readonly bars = byId<HTMLOListElement>('bars')
  private readonly canvas = byId<HTMLCanvasElement>('try-canvas')
  private readonly webcam = byId('try-webcam')
  private readonly look = byId<HTMLInputElement>('try-look')
  private watching = false
  /** Picture that was looked at last, to be explained when the visitor asks. */
  private last: ImageBitmap | undefined
  /** Settles when the last picture so far was looked at: each waits for the one before, which it closes. */
  private turn: Promise<unknown> = Promise.resolve()

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
      if (this.watching) return
      this.inTurn(async () => this.last && this.show(this.last)).catch((error: unknown) => this.complain(error))
    })
  }

  private inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.turn.then(work)
    this.turn = done.catch(() => undefined)
    return done
  }

  private async watch(): Promise<void> {
    // Whatever opened it closes it.
    const own = !cameraOpen()
    try {
      const video = await openCamera()
      this.watching = true
      this.webcam.textContent = 'Stop watching'
      say(this.status, 'Watching the webcam')
      while (this.watching && cameraOpen()) {
        const frame = await createImageBitmap(video)
        await this.inTurn(() => this.guess(frame))
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
      }
    } catch (error) {
      this.stop()
      this.complain(error)
    }
    if (own) closeCamera()
    this.stop()
  }

  private complain(error: unknown): void {
    say(this.status, messageOf(error), true)
  }

  private stop(): void {
    if (!this.watching) return
    this.watching = false
    this.webcam.textContent = 'Watch the webcam'
    say(this.status, '')
  }

  private async file(file: File): Promise<void> {
    this.stop()
    try {
      // As small as the pictures that are trained on: a photograph would take its whole size twice.
      const copy = await shrink(file)
      if (copy === undefined) throw new Error(unread([file.name]))
      const bitmap = await createImageBitmap(copy)
      const { label, top } = await this.inTurn(() => this.guess(bitmap))
      const sure = top.length === 0 ? '' : `, ${Math.round(100 * top[0].probability)}% sure`
      say(this.status, `${isolated(file.name)}: ${isolated(label)}${sure}`)
    } catch (error) {
      this.complain(error)
    }
  }

  private async guess(bitmap: ImageBitmap): Promise<Answer> {
    this.last?.close()
    this.last = bitmap
    const answer = await this.trainer.call.predict(await createImageBitmap(bitmap))
    await this.show(bitmap)
    this.bars.replaceChildren(
      ...answer.top.map(({ label, probability }) => {
        const percent = Math.round(100 * probability)
        return element(
          'li',
          {},
          element('span', { dir: 'auto' }, label),
          element('b', {}, `${percent}%`),
          element('span', { class: 'bar', 'aria-hidden': 'true' }, element('span', { style: `width:${percent}%` })),
        )
      }),
    )
    this.canvas.setAttribute('aria-label', `The picture to classify, taken for ${answer.label}`)
    return answer
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
