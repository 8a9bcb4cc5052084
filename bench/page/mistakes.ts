import type { Classes } from './classes.ts'
import type { TrainerClient } from './client.ts'
import { byId, element, isolated, messageOf, pictures, say } from './dom.ts'
import type { Results, Suspect } from './protocol.ts'
import { ready } from './try.ts'

/** Loss from which a right answer counts as hard: that of a probability of 70%. */
const HARD = -Math.log(0.7)
const MOST_SHOWN = 8
/** Beyond this many classes the most frequent confusions are listed in place of a matrix. */
const MOST_CLASSES = 20
const MOST_PAIRS = 20

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

  show({ vocab, confusion, hardest, accuracy }: Results): void {
    ready('mistakes')
    byId('train-again').hidden = true
    const count = confusion.flat().reduce((sum, value) => sum + value, 0)
    say(
      this.status,
      `${Math.round(100 * accuracy)}% of ${pictures(count)} that it was not trained on ${count === 1 ? 'is' : 'are'} right.`,
    )
    const table = byId<HTMLTableElement>('confusion')
    table.replaceChildren(...(vocab.length <= MOST_CLASSES ? matrix(vocab, confusion) : pairs(vocab, confusion)))
    const hard = hardest
      // Some may have been removed while they were trained on.
      .filter(({ path }) => this.classes.find(path) !== undefined)
      .filter(({ label, predicted, loss }) => label !== predicted || loss > HARD)
      .slice(0, MOST_SHOWN)
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
          ? `${isolated(label)}: right, but only ${percent}% sure`
          : `${isolated(label)}, taken for ${isolated(predicted)} (${percent}% sure)`,
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

function matrix(vocab: readonly string[], confusion: Results['confusion']): HTMLElement[] {
  const rows = confusion.map((counts, actual) => [
    element('th', { scope: 'row', dir: 'auto' }, vocab[actual]),
    ...counts.map((count, predicted) =>
      element('td', { class: count === 0 ? '' : actual === predicted ? 'hit' : 'miss' }, String(count)),
    ),
  ])
  return parts('Rows are what a picture shows, columns what it was taken for', ['', ...vocab], rows)
}

function pairs(vocab: readonly string[], confusion: Results['confusion']): HTMLElement[] {
  const wrong = confusion
    .flatMap((counts, actual) => counts.map((count, predicted) => ({ actual, predicted, count })))
    .filter(({ actual, predicted, count }) => count > 0 && actual !== predicted)
    .sort((a, b) => b.count - a.count)
    .slice(0, MOST_PAIRS)
  const rows = wrong.map(({ actual, predicted, count }) =>
    [vocab[actual], vocab[predicted], String(count)].map((text) => element('td', { dir: 'auto' }, text)),
  )
  return parts('The most frequent mistakes', ['A picture of', 'was taken for', 'times'], rows)
}

/** Parts of a table. */
function parts(caption: string, head: readonly string[], rows: readonly (readonly HTMLElement[])[]): HTMLElement[] {
  return [
    element('caption', {}, caption),
    element(
      'thead',
      {},
      // A corner without a name heads nothing.
      element(
        'tr',
        {},
        ...head.map((name) => (name ? element('th', { scope: 'col', dir: 'auto' }, name) : element('td'))),
      ),
    ),
    element('tbody', {}, ...rows.map((cells) => element('tr', {}, ...cells))),
  ]
}
