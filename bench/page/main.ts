/** The page: adapter, a training at once, then the visitor's pictures, then a look inside. */
import { showAdapter } from './adapter.ts'
import { TrainerClient } from './client.ts'
import { highlighted } from './dom.ts'
import { TrainingView } from './training-view.ts'

const SOURCES = import.meta.glob<string>('./recipes/*.ts', { query: '?raw', import: 'default', eager: true })

for (const [file, source] of Object.entries(SOURCES)) {
  const name = /(\w+)\.ts$/.exec(file)?.[1]
  document.querySelector(`[data-source=${name}]`)?.replaceChildren(highlighted(source.trimEnd()))
}
// Beside the curve where there is room, a tap away on a phone.
if (innerWidth < 820) for (const source of document.querySelectorAll('details')) source.open = false

const place = (part: string) => document.querySelector<HTMLElement>(`[data-training=${part}]`)!

async function start(): Promise<void> {
  const found = await showAdapter()
  if (found.kind === 'none') {
    document.body.dataset['gpu'] = 'none'
    return
  }
  const trainer = new TrainerClient()
  const first = new TrainingView(place('first'), 'first', trainer)
  first.restart()
  await first.run(async () => {
    await trainer.call.open(document.baseURI)
    await trainer.call.first()
  })
}

void start()
