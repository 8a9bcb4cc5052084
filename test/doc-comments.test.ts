import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const src = fileURLToPath(new URL('../src', import.meta.url))

/** Files from which all of a program's names come. */
const ENTRIES = ['node.ts', 'browser.ts', ...readdirSync(join(src, 'exports')).map((file) => `exports/${file}`)]

interface Declared {
  /** Doc comment, '' for none. */
  readonly comment: string
  readonly file: string
}

/** Names that a file exports, by its own declarations or those of the files that it names. */
function exported(file: string): Map<string, Declared> {
  const text = readFileSync(join(src, file), 'utf8')
  const found = new Map<string, Declared>()
  const declared =
    /(\/\*\*(?:(?!\*\/)[^])*\*\/\n)?^export (?:(?:declare|abstract|async) )*(?:function|class|interface|type|const) (\w+)/gm
  // The first of several overloads has the comment.
  for (const [, comment = '', name] of text.matchAll(declared)) {
    if (!found.has(name)) found.set(name, { comment, file })
  }
  for (const [, list, from] of text.matchAll(/^export (?:type )?(\*|\{[^}]*\}) from '(\.[^']+)'/gm)) {
    const others = exported(join(file, '..', from))
    const names =
      list === '*'
        ? [...others.keys()]
        : [...list.matchAll(/(?:type )?(\w+)(?: as \w+)?\s*[,}]/g)].map(([, name]) => name)
    for (const name of names) if (!found.has(name)) found.set(name, others.get(name) ?? { comment: '', file })
  }
  return found
}

const comments = ENTRIES.flatMap((entry) => [...exported(entry)].map(([name, one]) => ({ entry, name, ...one })))

test('every exported name has a doc comment, which an editor shows beside it', () => {
  expect(comments.length).toBeGreaterThan(600)
  expect(comments.filter(({ comment }) => comment === '').map(({ entry, name }) => `${entry}: ${name}`)).toEqual([])
})

test('none sends its reader to a source file instead', () => {
  const sent = comments.filter(({ comment }) => /\bSee `?[\w/-]+\.ts/.test(comment))
  expect(sent.map(({ entry, name }) => `${entry}: ${name}`)).toEqual([])
})

test('a part of a parameter belongs to one of that name, which the documentation shows', () => {
  const files = [...new Set(comments.map(({ file }) => file))]
  const strays = files.flatMap((file) =>
    [
      ...readFileSync(join(src, file), 'utf8').matchAll(/\/\*\*((?:(?!\*\/)[^])*)\*\/\n(?=((?:(?!\n\n)[^])*))/g),
    ].flatMap(([, comment, code]) =>
      [...comment.matchAll(/@param (\w+)\.\w/g)]
        .filter(([, name]) => !new RegExp(`\\b${name}\\??[:=]|\\b${name} = `).test(code))
        .map(([param]) => `${file}: ${param}`),
    ),
  )
  expect(strays).toEqual([])
})
