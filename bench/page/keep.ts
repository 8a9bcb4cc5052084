import type { TrainerClient } from './client.ts'
import { byId, download, element, isolated, messageOf, say } from './dom.ts'

/** The part of the page that saves a model: as a file, or in the browser; and opens it again. */
export class Keep {
  private readonly trainer: TrainerClient
  private readonly status = byId('keep-status')
  private readonly buttons = ['save-safetensors', 'save-onnx', 'keep'].map((id) => byId<HTMLButtonElement>(id))
  /** True if the model was trained here and is nowhere else. */
  unsaved = false

  constructor(trainer: TrainerClient) {
    this.trainer = trainer
    for (const format of ['safetensors', 'onnx'] as const) {
      byId(`save-${format}`).addEventListener('click', () =>
        this.attempt('Writing the file …', async () => {
          const bytes = await trainer.call.exported(format)
          download(`model.${format}`, bytes)
          this.unsaved = false
          return `model.${format}, ${(bytes.length / 1e6).toFixed(1)} MB, is among your downloads.`
        }),
      )
    }
    const form = byId<HTMLFormElement>('keep-form')
    const field = form.querySelector('input')!
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      const name = field.value.trim().replaceAll('/', '∕') || field.defaultValue
      void this.attempt('Keeping it …', async () => {
        const kept = await trainer.call.keep(name)
        this.unsaved = false
        // Where the disk is full, a browser asks the visitor, or clears what it did not promise to keep.
        void navigator.storage.persist()
        const why = kept === name ? '' : `, as there is a model “${isolated(name)}” already`
        return `“${isolated(kept)}” is kept in this browser, for this page only${why}.`
      })
    })
    const input = byId<HTMLInputElement>('open-input')
    byId('open-file').addEventListener('click', () => input.click())
    input.addEventListener('change', () => {
      const [file] = input.files ?? []
      input.value = ''
      if (!file) return
      this.replace('Opening the file …', async () => {
        await trainer.call.openModel(new Uint8Array(await file.arrayBuffer()))
        return `${isolated(file.name)} is open: try it above.`
      })
    })
    void this.list()
  }

  /** There is another model to save. */
  open(unsaved: boolean): void {
    this.unsaved = unsaved
    for (const button of this.buttons) button.disabled = false
  }

  private async attempt(before: string, work: () => Promise<string>): Promise<void> {
    say(this.status, before)
    try {
      say(this.status, await work())
    } catch (error) {
      say(this.status, messageOf(error), true)
    }
    await this.list()
  }

  private async list(): Promise<void> {
    // Browsers keep no files for pages in private windows.
    const names = await this.trainer.call.kept().catch(() => [])
    const list = byId('kept')
    const pressed = list.contains(document.activeElement) ? document.activeElement?.textContent : undefined
    const button = (what: string, name: string, style: string, act: (name: string) => void) =>
      element(
        'button',
        { type: 'button', class: style, onclick: () => act(name) },
        `${what} `,
        element('bdi', {}, name),
      )
    list.replaceChildren(
      ...names.map((name) =>
        element(
          'li',
          {},
          element('bdi', {}, name),
          button('Open', name, 'small', (kept) => this.openKept(kept)),
          button('Forget', name, 'small quiet', (kept) => this.forget(kept)),
        ),
      ),
    )
    if (pressed === undefined) return
    // The keyboard stays where it was, or goes on among what is left.
    const buttons = [...list.querySelectorAll('button')]
    ;(buttons.find(({ textContent }) => textContent === pressed) ?? buttons[0] ?? byId('open-file')).focus()
  }

  /** Opens another model, unless the visitor wants to save first the one that would be gone. */
  private replace(before: string, work: () => Promise<string>): void {
    const question = 'The model that was trained here is not saved. Open another one in its place?'
    if (!this.unsaved || confirm(question)) void this.attempt(before, work)
  }

  private openKept(name: string): void {
    this.replace('Opening it …', async () => {
      await this.trainer.call.openKept(name)
      return `“${isolated(name)}” is open: try it above.`
    })
  }

  private forget(name: string): void {
    void this.attempt('Forgetting it …', async () => {
      await this.trainer.call.forget(name)
      return `“${isolated(name)}” is forgotten.`
    })
  }
}
