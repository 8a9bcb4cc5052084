import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const src = fileURLToPath(new URL('../src', import.meta.url))

/** Files from which all of a program's names come. */
const ENTRIES = ['node.ts', 'browser.ts', ...readdirSync(join(src, 'exports')).map((file) => `exports/${file}`)]

/** Doc comments of the names that a file exports, by its own declarations or those of the files that it names; '' for none. */
function exported(file: string): Map<string, string> {
  const text = readFileSync(join(src, file), 'utf8')
  const found = new Map<string, string>()
  const declared =
    /(\/\*\*(?:(?!\*\/)[^])*\*\/\n)?^export (?:(?:declare|abstract|async) )*(?:function|class|interface|type|const) (\w+)/gm
  // The first of several overloads has the comment.
  for (const [, comment = '', name] of text.matchAll(declared)) if (!found.has(name)) found.set(name, comment)
  for (const [, list, from] of text.matchAll(/^export (?:type )?(\*|\{[^}]*\}) from '(\.[^']+)'/gm)) {
    const others = exported(join(file, '..', from))
    const names =
      list === '*'
        ? [...others.keys()]
        : [...list.matchAll(/(?:type )?(\w+)(?: as \w+)?\s*[,}]/g)].map(([, name]) => name)
    for (const name of names) if (!found.has(name)) found.set(name, others.get(name) ?? '')
  }
  return found
}

const comments = ENTRIES.flatMap((entry) => [...exported(entry)].map(([name, comment]) => ({ entry, name, comment })))

test('every exported name has a doc comment, which an editor shows beside it', () => {
  expect(comments.length).toBeGreaterThan(600)
  expect(comments.filter(({ comment }) => comment === '').map(({ entry, name }) => `${entry}: ${name}`)).toEqual([])
})

test('none sends its reader to a source file instead', () => {
  const sent = comments.filter(({ comment }) => /\bSee `?[\w/-]+\.ts/.test(comment))
  expect(sent.map(({ entry, name }) => `${entry}: ${name}`)).toEqual([])
})
