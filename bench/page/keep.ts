import type { TrainerClient } from './client.ts'
import { byId, download, element, messageOf, say } from './dom.ts'
import type { ModelFacts } from './protocol.ts'

/** The part of the page that saves a model: as a file, or in the browser; and opens it again. */
export class Keep {
  private readonly trainer: TrainerClient
  private readonly onOpen: (facts: ModelFacts) => void
  private readonly status = byId('keep-status')
  private readonly buttons = ['save-safetensors', 'save-onnx', 'keep'].map((id) => byId<HTMLButtonElement>(id))

  constructor(trainer: TrainerClient, onOpen: (facts: ModelFacts) => void) {
    this.trainer = trainer
    this.onOpen = onOpen
    for (const format of ['safetensors', 'onnx'] as const) {
      byId(`save-${format}`).addEventListener('click', () =>
        this.attempt('Writing the file …', async () => {
          const bytes = await trainer.call.exported(format)
          download(`model.${format}`, bytes)
          return `model.${format}, ${(bytes.length / 1e6).toFixed(1)} MB, is among your downloads.`
        }),
      )
    }
    const form = byId<HTMLFormElement>('keep-form')
    form.addEventListener('submit', (event) => {
      event.preventDefault()
      const name = form.querySelector('input')!.value.trim().replaceAll('/', '∕')
      void this.attempt('Keeping it …', async () => {
        await trainer.call.keep(name)
        await this.list()
        return `“${name}” is kept in this browser, for this page only.`
      })
    })
    const input = byId<HTMLInputElement>('open-input')
    byId('open-file').addEventListener('click', () => input.click())
    input.addEventListener('change', () => {
      const [file] = input.files ?? []
      input.value = ''
      if (!file) return
      void this.attempt('Opening the file …', async () => {
        this.onOpen(await trainer.call.openModel(new Uint8Array(await file.arrayBuffer())))
        return `${file.name} is open: try it above.`
      })
    })
    void this.list()
  }

  /** There is a model to save. */
  open(): void {
    for (const button of this.buttons) button.disabled = false
  }

  private async attempt(before: string, work: () => Promise<string>): Promise<void> {
    say(this.status, before)
    try {
      say(this.status, await work())
    } catch (error) {
      say(this.status, messageOf(error), true)
    }
  }

  private async list(): Promise<void> {
    // Browsers keep no files for pages in private windows.
    const names = await this.trainer.call.kept().catch(() => [])
    byId('kept').replaceChildren(
      ...names.map((name) =>
        element(
          'li',
          {},
          element('span', {}, name),
          element('button', { type: 'button', class: 'small', onclick: () => this.openKept(name) }, `Open ${name}`),
          element(
            'button',
            { type: 'button', class: 'small quiet', onclick: () => this.forget(name) },
            `Forget ${name}`,
          ),
        ),
      ),
    )
  }

  private openKept(name: string): void {
    void this.attempt('Opening it …', async () => {
      this.onOpen(await this.trainer.call.openKept(name))
      return `“${name}” is open: try it above.`
    })
  }

  private forget(name: string): void {
    void this.attempt('Forgetting it …', async () => {
      await this.trainer.call.forget(name)
      await this.list()
      return `“${name}” is forgotten.`
    })
  }
}
