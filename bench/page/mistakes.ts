import type { Classes } from './classes.ts'
import type { TrainerClient } from './client.ts'
import { byId, element, messageOf, say } from './dom.ts'
import type { Suspect } from './protocol.ts'
import { ready } from './try.ts'

/** Loss from which a right answer counts as hard: that of a probability of 70%. */
const HARD = -Math.log(0.7)
const MOST_SHOWN = 8
/** Beyond this many classes a matrix is no longer looked at. */
const MOST_CLASSES = 20

/** The part of the page that shows what a model takes for what, and the pictures that it finds hardest. */
export class Mistakes {
  private readonly trainer: TrainerClient
  private readonly classes: Classes
  private readonly status = byId('mistakes-status')
  /** Called when a picture was moved or removed: a training that goes on would not find it. */
  onClean: () => void = () => undefined

  constructor(trainer: TrainerClient, classes: Classes) {
    this.trainer = trainer
    this.classes = classes
    byId('train-again').addEventListener('click', () => byId<HTMLFormElement>('train-form').requestSubmit())
  }

  close(): void {
    ready('mistakes', false)
  }

  async show(): Promise<void> {
    const { vocab, confusion, hardest, accuracy } = await this.trainer.call.results()
    ready('mistakes')
    byId('train-again').hidden = true
    const count = confusion.flat().reduce((sum, value) => sum + value, 0)
    say(this.status, `${Math.round(100 * accuracy)}% of ${count} pictures that it was not trained on are right.`)
    const table = byId<HTMLTableElement>('confusion')
    for (const part of table.querySelectorAll('thead, tbody')) part.remove()
    if (vocab.length <= MOST_CLASSES) table.append(...matrix(vocab, confusion))
    const hard = hardest.filter(({ label, predicted, loss }) => label !== predicted || loss > HARD).slice(0, MOST_SHOWN)
    byId('none-hard').hidden = hard.length > 0
    byId('worst').replaceChildren(...hard.map((one) => this.row(one)))
  }

  /** A hard picture, with what can be done with it. */
  private row({ path, split, label, predicted, probability, loss, suggested }: Suspect): HTMLElement {
    const percent = Math.round(100 * probability)
    const row = element(
      'li',
      {},
      element('img', {
        src: this.classes.find(path)?.url ?? '',
        alt: `A picture of ${label}`,
        width: 56,
        height: 56,
      }),
      element(
        'p',
        {},
        label === predicted
          ? `${label}: right, but only ${percent}% sure`
          : `${label}, taken for ${predicted} (${percent}% sure)`,
        element('br'),
        element(
          'span',
          { class: 'hint' },
          `loss ${loss.toFixed(2)}${split === 'train' ? ', trained on' : ''}${suggested === undefined ? '' : '; the label looks wrong'}`,
        ),
      ),
    )
    const actions = element('div', { class: 'row' })
    const act = (text: string, name: string, to?: string) => {
      const done = async () => {
        try {
          await this.trainer.call.clean(path, to)
        } catch (error) {
          say(this.status, messageOf(error), true)
          return
        }
        this.classes.move(path, to)
        this.onClean()
        // The keyboard goes on with the next picture.
        const next = row.nextElementSibling ?? row.previousElementSibling
        row.remove()
        say(this.status, `${text} Train again to see the difference.`)
        const again = byId('train-again')
        again.hidden = false
        ;(next?.querySelector('button') ?? again).focus()
      }
      actions.append(element('button', { type: 'button', class: 'small', onclick: () => void done() }, name))
    }
    if (label !== predicted) act(`Moved to ${predicted}.`, `It is ${predicted}`, predicted)
    act('Picture removed.', 'Remove')
    row.append(actions)
    return row
  }
}

function matrix(vocab: readonly string[], confusion: readonly (readonly number[])[]): HTMLElement[] {
  const head = element(
    'thead',
    {},
    element('tr', {}, element('td'), ...vocab.map((name) => element('th', { scope: 'col' }, name))),
  )
  const rows = confusion.map((counts, actual) =>
    element(
      'tr',
      {},
      element('th', { scope: 'row' }, vocab[actual]),
      ...counts.map((count, predicted) =>
        element('td', { class: count === 0 ? '' : actual === predicted ? 'hit' : 'miss' }, String(count)),
      ),
    ),
  )
  return [head, element('tbody', {}, ...rows)]
}
