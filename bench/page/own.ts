import { cameraOpen, closeCamera, openCamera } from './camera.ts'
import { Classes } from './classes.ts'
import type { TrainerClient } from './client.ts'
import { imagesOf, type Given } from './collect.ts'
import { byId, messageOf, say } from './dom.ts'
import { fetched } from './fetched.ts'
import { Keep } from './keep.ts'
import { Mistakes } from './mistakes.ts'
import type { AdapterFacts, OwnRequest } from './protocol.ts'
import type { TrainingView } from './training-view.ts'
import { ready, Try } from './try.ts'

/** Side of the images that the visitor's pictures are trained at. */
const SIDES = { gpu: 96, software: 48 }
/** Classes, and pictures of each, that are borrowed from the first training. */
const BORROWED = { classes: 3, pictures: 20 }

/** The part of the page that trains on the visitor's pictures. */
export function ownPictures(trainer: TrainerClient, view: TrainingView, facts: Promise<AdapterFacts>): void {
  const classes = new Classes()
  const mistakes = new Mistakes(trainer, classes)
  const keep = new Keep(trainer)
  new Try(trainer)
  const status = byId('pictures-status')
  const train = byId<HTMLButtonElement>('train')
  const form = byId<HTMLFormElement>('train-form')
  // A worker that does not start has none either.
  const shipped = trainer.call.pretrained().catch(() => false)
  let pretrained = false

  const refresh = () => {
    const { missing } = classes
    train.disabled = missing !== undefined || view.training
    say(byId('train-hint'), missing ?? hintOf(pretrained))
  }
  trainer.onModel = ({ unsaved }) => {
    ready('try')
    keep.open(unsaved)
  }
  classes.onChange = refresh
  mistakes.onClean = () => view.offer('Train again', () => form.requestSubmit())
  const showMistakes = async () => {
    const results = await trainer.call.results()
    if (!view.training) mistakes.show(results)
  }
  view.onPhase = () => {
    refresh()
    if (view.training) mistakes.close()
    // Where nothing was trained, or the GPU was lost, there is nothing to show.
    else void showMistakes().catch(() => mistakes.close())
  }
  addEventListener('beforeunload', (event) => {
    if (view.training || keep.unsaved || classes.recorded) event.preventDefault()
  })

  void shipped.then((known) => {
    pretrained = known
    if (!pretrained) {
      const [known, nothing] = form.querySelectorAll<HTMLInputElement>('input[name=start]')
      known.disabled = true
      nothing.checked = true
    }
    refresh()
  })

  const drop = byId('drop')
  for (const kind of ['dragenter', 'dragover'] as const) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault()
      drop.classList.add('over')
    })
  }
  drop.addEventListener('dragleave', () => drop.classList.remove('over'))
  drop.addEventListener('drop', (event) => {
    event.preventDefault()
    drop.classList.remove('over')
    const { dataTransfer } = event
    if (dataTransfer) void classes.add(() => imagesOf(dataTransfer))
  })
  // A drop beside its place would leave the page.
  for (const kind of ['dragover', 'drop'] as const) addEventListener(kind, (event) => event.preventDefault())

  for (const [button, input] of [
    ['pick-files', 'files'],
    ['pick-folder', 'folder'],
  ]) {
    const picker = byId<HTMLInputElement>(input)
    byId(button).addEventListener('click', () => picker.click())
    picker.addEventListener('change', () => {
      const files = Array.from(picker.files ?? [])
      picker.value = ''
      void classes.add(() => imagesOf(files))
    })
  }

  byId('webcam').addEventListener('click', () => {
    if (cameraOpen()) return closeCamera()
    openCamera().then(
      () => {
        if (classes.pictures.length === 0) for (let i = 0; i < 2; i++) classes.addClass()
        say(status, 'The webcam is open. Name two classes, and hold Record beside each.')
      },
      (error: unknown) => say(status, messageOf(error), true),
    )
  })
  byId('add-class').addEventListener('click', () => classes.addClass())
  byId('borrow').addEventListener('click', () => void classes.add(borrowed))

  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const { epochs, start } = Object.fromEntries(new FormData(form)) as Record<string, string>
    let begun: OwnRequest | undefined
    void view.start(async (saved) => {
      if (!saved && classes.missing !== undefined) throw new Error(classes.missing)
      // A saved training continues on the pictures that it began with, also where the visitor has changed them since.
      const request = (saved && begun) ?? {
        pictures: classes.pictures,
        epochs: Number(epochs),
        size: (await facts).software ? SIDES.software : SIDES.gpu,
        pretrained: start === 'pretrained' && (await shipped),
      }
      begun = request
      await trainer.call.own(request, saved)
    })
    // The button that was pressed is disabled or hidden now, and would lose the keyboard.
    view.focus()
  })
  refresh()
}

function hintOf(pretrained: boolean): string {
  return pretrained
    ? 'The weights were trained with wgrad on Imagenette, ten kinds of photographs. At first only the new last layers learn, then all.'
    : 'This copy of the page ships no pretrained weights, so training begins with random numbers and needs more pictures.'
}

async function borrowed(): Promise<Given[]> {
  const all = await imagesOf([new File([await fetched('pictures.zip', document.baseURI)], 'pictures.zip')])
  const labels = [...new Set(all.map(({ label }) => label))].slice(0, BORROWED.classes)
  return labels.flatMap((label) => all.filter((one) => one.label === label).slice(0, BORROWED.pictures))
}
