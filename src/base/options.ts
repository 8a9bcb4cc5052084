import { OptionError } from './errors.ts'

/** Kind of an argument or option, checked at run time for callers without a type checker. */
export interface Kind {
  /** Description of the accepted values, as the end of the sentence "expected …". */
  readonly expected: string
  /** Kind of the items, if the value is a list. */
  readonly items?: Kind
  /** Advice about a value of another kind, if the description of the expected one is not enough. */
  readonly fix?: string
  is(value: unknown): boolean
}

/** Kinds of all options, by name. A missing name or an extra one does not compile. */
export type Kinds<Options> = { readonly [Name in keyof Required<Options>]: Kind }

export const NUMBER: Kind = { expected: 'a number', is: (value) => typeof value === 'number' }
export const FLAG: Kind = { expected: 'true or false', is: (value) => typeof value === 'boolean' }
export const TEXT: Kind = { expected: 'a text', is: (value) => typeof value === 'string' }
export const PATH: Kind = {
  expected: 'a path that is not empty',
  is: (value) => typeof value === 'string' && value !== '',
}
export const FUNCTION: Kind = { expected: 'a function', is: (value) => typeof value === 'function' }
/** Kind of a value that is checked by the code that uses it. */
export const ANY: Kind = { expected: 'anything', is: () => true }

/** Returns the kind of an object that has these functions. */
export function objectWith(expected: string, ...functions: readonly string[]): Kind {
  return {
    expected,
    is: (value) =>
      isObject(value) &&
      functions.every((name) => typeof (value as Readonly<Record<string, unknown>>)[name] === 'function'),
  }
}

/** Returns the kind of a list whose items are of a kind. */
export function listOf(kind: Kind): Kind {
  return {
    expected: `a list, each ${kind.expected}`,
    items: kind,
    is: (value) => Array.isArray(value) && value.every((one) => kind.is(one)),
  }
}

/** Returns the kind of one of several texts, such as the names of modes. */
export function oneOfTexts(...texts: readonly string[]): Kind {
  const quoted = texts.map((text) => `'${text}'`)
  return {
    expected: [quoted.slice(0, -1).join(', '), ...quoted.slice(-1)].join(' or '),
    is: (value) => texts.includes(value as string),
  }
}

/** Returns the kind of a value that is of one of several kinds. */
export function oneOf(...kinds: readonly Kind[]): Kind {
  return {
    expected: kinds.map(({ expected }) => expected).join(', or '),
    is: (value) => kinds.some((kind) => kind.is(value)),
  }
}

/**
 * Requires options to have known names and values of their kinds.
 *
 * @param required  names of options that may not be left out. Default: none
 * @throws OptionError  that suggests the closest known name, or a fix
 */
export function checkOptions<Options extends object>(
  where: string,
  options: Options,
  kinds: Kinds<Options>,
  required: readonly (keyof Options & string)[] = [],
): void {
  const names = Object.keys(kinds) as (keyof Options & string)[]
  // An object of a class is refused for a field that is no option, as it is probably another argument, or the value of one.
  const isOther = () => className(options) !== '' && Object.keys(options).some((name) => !Object.hasOwn(kinds, name))
  if (!isObject(options) || Array.isArray(options) || isOther()) {
    const place = isObject(options) ? names.find((name) => kinds[name] !== ANY && kinds[name].is(options)) : undefined
    throw new OptionError(where, 'options must be given by name', {
      given: { options: described(options) },
      expected: `{ ${names.join(', ')} }, or none of them`,
      // A factory that was passed without being called receives the arguments of its product.
      fix: Array.isArray(options) ? `if ${where} itself was passed, pass ${where}()` : place && `write { ${place}: … }`,
    })
  }
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(kinds, name)) {
      const near = nearest(name, names) ?? names.find((known) => standsFor(name, known))
      throw new OptionError(where, `there is no option '${name}'`, {
        given: { [name]: described(value) },
        expected: names.join(', '),
        fix: near && `write ${near}`,
      })
    }
    if (value !== undefined) checkArgument(where, name, value, kinds[name as keyof Options])
  }
  for (const name of required) checkArgument(where, name, options[name], kinds[name])
}

/** Requires an argument to be of its kind. @throws OptionError  if it is not */
export function checkArgument(where: string, name: string, value: unknown, kind: Kind): void {
  if (kind.is(value)) return
  ignoreRejection(value)
  throw new OptionError(where, `${name} is not of the right kind`, {
    given: { [name]: described(value) },
    expected: kind.expected,
    fix: kind.fix ?? fixFor(value, kind.items),
  })
}

/**
 * Prevents that a rejection of a promise goes unhandled, for a caller that refuses promises: its own error reports the mistake.
 *
 * @returns  true if the value is a promise
 */
export function ignoreRejection(value: unknown): value is Promise<unknown> {
  if (!(value instanceof Promise)) return false
  value.catch(() => {})
  return true
}

/**
 * Returns a fix for a common mistake, such as a factory that was not called.
 *
 * @param items  kind of the items, if the value should be a list
 */
function fixFor(value: unknown, items?: Kind): string | undefined {
  if (value instanceof Promise) return 'await it'
  if (items && Array.isArray(value)) {
    const one: unknown = value.find((item) => !items.is(item))
    return Array.isArray(one) ? 'spread the inner list: [...list]' : fixFor(one)
  }
  if (items?.is(value)) return 'put it into a list'
  if (typeof value === 'function' && value.name !== '') return `call it: ${value.name}()`
  return undefined
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

/** Returns a short description of a value. */
function described(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`
  if (typeof value === 'function') return value.name === '' ? 'a function' : `the function ${value.name}`
  if (Array.isArray(value)) {
    return `a list: [${value.slice(0, 4).map(described).join(', ')}${value.length > 4 ? ', …' : ''}]`
  }
  if (value instanceof Promise) return 'a promise'
  if (!isObject(value)) return String(value)
  const name = className(value)
  return name === '' ? `{ ${Object.keys(value).slice(0, 4).join(', ')} }` : `of class ${name}`
}

/** Returns the name of the class of an object; '' for one without, as `{ … }` makes. */
function className(value: object): string {
  const prototype = Object.getPrototypeOf(value) as object | null
  return prototype === null || prototype === Object.prototype ? '' : prototype.constructor.name
}

/** Returns the closest of the names by edit distance, if at most a third of the characters differ. */
export function nearest(name: string, names: readonly string[]): string | undefined {
  const close = names
    .map((other) => ({ other, changes: changes(name.toLowerCase(), other.toLowerCase()) }))
    .sort((a, b) => a.changes - b.changes)[0]
  return close && close.changes <= Math.max(name.length, close.other.length) / 3 ? close.other : undefined
}

/**
 * Returns true if a name is probably another library's word for an option: its initials (`bs` of `batchSize`), its words cut
 * short (`valid_pct` of `validPercent`), or its words and others (`label_smoothing` of `smoothing`).
 */
function standsFor(name: string, option: string): boolean {
  const [given, known] = [name, option].map(wordsOf)
  if (known.length > 1 && given.join('') === known.map((word) => word[0]).join('')) return true
  const [few, many] = given.length < known.length ? [given, known] : [known, given]
  return [0, many.length - few.length].some((from) =>
    few.every((word, i) => shortens(word, many[from + i]) || shortens(many[from + i], word)),
  )
}

/** `validPercent` and `valid_percent` → valid, percent */
function wordsOf(name: string): string[] {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .split(/[_\s-]+/)
}

/** Returns true if a word is another with letters left out after the first. */
function shortens(short: string, word: string): boolean {
  if (short[0] !== word[0] || short === '') return false
  let at = 0
  for (const letter of word) if (letter === short[at]) at++
  return at === short.length
}

/**
 * Returns the edit distance of two texts: insertions, deletions, replacements and swaps of neighbours.
 *
 * Source: Levenshtein 1966; Damerau 1964 (swaps).
 */
function changes(a: string, b: string): number {
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1] + Number(a[i - 1] !== b[j - 1])
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? before[j - 2] + 1 : Infinity
      next.push(Math.min(next[j - 1] + 1, row[j] + 1, replaced, swapped))
    }
    before = row
    row = next
  }
  return row[b.length]
}
