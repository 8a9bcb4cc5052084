/** The page: adapter, a training at once, then the visitor's pictures, then a look inside. */
import { findAdapter, showAdapter } from './adapter.ts'
import { TrainerClient } from './client.ts'
import { byId, highlighted, messageOf } from './dom.ts'
import { lookInside } from './inside.ts'
import { ownPictures } from './own.ts'
import { TrainingView } from './training-view.ts'

const SOURCES = import.meta.glob<string>('./recipes/*.ts', { query: '?raw', import: 'default', eager: true })

for (const [file, source] of Object.entries(SOURCES)) {
  const name = /(\w+)\.ts$/.exec(file)?.[1]
  document.querySelector(`[data-source=${name}]`)?.replaceChildren(highlighted(source.trimEnd()))
}
// Beside the curve where there is room, a tap away on a phone (style.css hides it there until this is done).
if (innerWidth <= 820) for (const source of document.querySelectorAll('details')) source.open = false
document.body.dataset['ready'] = ''

const place = (part: string) => document.querySelector<HTMLElement>(`[data-training=${part}]`)!

async function start(): Promise<void> {
  const trainer = new TrainerClient()
  const first = new TrainingView(place('first'), 'first', trainer)
  const found = await findAdapter()
  showAdapter(found)
  if (found.kind === 'none') return
  const own = new TrainingView(place('own'), 'own', trainer)
  const opened = trainer.call.open(document.baseURI)
  void first.start((saved) => trainer.call.first(saved))
  // Pictures can be given while it opens.
  ownPictures(trainer, own, opened)
  const facts = await opened.catch((error: unknown) => {
    showAdapter({ kind: 'none', text: `The graphics adapter does not open. ${messageOf(error)}` })
  })
  if (!facts) return
  lookInside(trainer, facts)
}

/** Says where the first pictures come from. */
async function tellOrigin(): Promise<void> {
  const response = await fetch(new URL('pictures.json', document.baseURI)).catch(() => undefined)
  if (!response?.ok) return
  const { origin } = (await response.json()) as { readonly origin: string }
  byId('origin').textContent = origin
}

void start()
void tellOrigin()
