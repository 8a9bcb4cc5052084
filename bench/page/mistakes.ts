import type { Classes } from './classes.ts'
import type { TrainerClient } from './client.ts'
import { byId, element, say } from './dom.ts'
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

  constructor(trainer: TrainerClient, classes: Classes) {
    this.trainer = trainer
    this.classes = classes
    byId('train-again').addEventListener('click', () => byId<HTMLFormElement>('train-form').requestSubmit())
  }

  close(): void {
    ready('mistakes', false)
  }

  async show(): Promise<void> {
    const { vocab, confusion, worst, accuracy } = await this.trainer.call.results()
    ready('mistakes')
    byId('train-again').hidden = true
    const count = confusion.flat().reduce((sum, value) => sum + value, 0)
    say(this.status, `${Math.round(100 * accuracy)}% of ${count} pictures that it was not trained on are right.`)
    const table = byId<HTMLTableElement>('confusion')
    for (const part of table.querySelectorAll('thead, tbody')) part.remove()
    if (vocab.length <= MOST_CLASSES) table.append(...matrix(vocab, confusion))
    const hard = worst.filter(({ actual, predicted, loss }) => actual !== predicted || loss > HARD).slice(0, MOST_SHOWN)
    byId('none-hard').hidden = hard.length > 0
    byId('worst').replaceChildren(
      ...hard.map(({ path, actual, predicted, probability, loss }) => {
        const right = actual === predicted
        const row = element(
          'li',
          {},
          element('img', {
            src: this.classes.find(path)?.url ?? '',
            alt: `A picture of ${actual}`,
            width: 56,
            height: 56,
          }),
          element(
            'p',
            {},
            right
              ? `${actual}: right, but only ${Math.round(100 * probability)}% sure`
              : `${actual}, taken for ${predicted} (${Math.round(100 * probability)}% sure)`,
            element('br'),
            element('span', { class: 'hint' }, `loss ${loss.toFixed(2)}`),
          ),
        )
        const act = (text: string, label: string, work: () => void) => {
          const done = () => {
            work()
            row.remove()
            say(this.status, `${text} Train again to see the difference.`)
            byId('train-again').hidden = false
          }
          row.append(element('button', { type: 'button', class: 'small', onclick: done }, label))
        }
        if (!right) act(`Moved to ${predicted}.`, `It is ${predicted}`, () => this.classes.move(path, predicted))
        act('Picture removed.', 'Remove', () => this.classes.move(path))
        return row
      }),
    )
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
