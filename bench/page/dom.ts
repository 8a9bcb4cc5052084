/** The element of the page with an id. */
export function byId<E extends HTMLElement = HTMLElement>(id: string): E {
  const found = document.getElementById(id)
  if (!found) throw new Error(`the page has no #${id}`)
  return found as E
}

type Attributes = Readonly<Record<string, string | number | boolean | EventListener | undefined>>
type Child = Node | string

/** Makes an element: attributes by name, listeners by `onclick` and its like. */
export function element<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === 'function') made.addEventListener(key.slice(2), value)
    // A Content-Security-Policy may forbid the attribute.
    else if (key === 'style') made.style.cssText = String(value)
    else if (value === true) made.setAttribute(key, '')
    else if (value !== undefined && value !== false) made.setAttribute(key, String(value))
  }
  made.append(...children)
  return made
}

/** Says something to everyone: in words on the page, which screen readers speak as well. */
export function say(status: HTMLElement, text: string, bad = false): void {
  status.classList.toggle('bad', bad)
  if (status.textContent !== text) status.textContent = text
}

/** A name of the visitor's within a sentence: it is written in its own direction, and turns nothing around it. */
export function isolated(name: string): string {
  return `\u2068${name}\u2069`
}

/** A number of pictures, in words. */
export function pictures(count: number): string {
  return count === 1 ? '1 picture' : `${count} pictures`
}

/** End of a sentence about something that did not arrive. */
export const NO_ANSWER = 'cannot be loaded: this page’s server does not answer. Try again when there is a connection.'

/** Words of Chromium and Firefox, and of Safari, for a part of a program that did not arrive. */
const NOT_LOADED = /dynamically imported module|importing a module script failed/i

export function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return NOT_LOADED.test(message) ? `A part of the program ${NO_ANSWER}` : message
}

/** Saves bytes as a file of the visitor's. */
export function download(name: string, bytes: Uint8Array): void {
  const url = URL.createObjectURL(new Blob([bytes as Uint8Array<ArrayBuffer>]))
  element('a', { href: url, download: name }).click()
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}

const WORDS =
  /(\/\/.*|\/\*[\s\S]*?\*\/)|('[^'\n]*'|`[^`]*`)|\b(import|from|export|async|await|function|const|return|type|interface|extends|readonly|new|as)\b/g

/** Source code with its comments, texts and keywords told apart. */
export function highlighted(source: string): DocumentFragment {
  const made = document.createDocumentFragment()
  let at = 0
  for (const match of source.matchAll(WORDS)) {
    const [whole, comment, text] = match
    made.append(source.slice(at, match.index))
    made.append(element('span', { class: comment ? 'c' : text ? 's' : 'k' }, whole))
    at = match.index + whole.length
  }
  made.append(source.slice(at))
  return made
}
