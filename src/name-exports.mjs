// `export * from './index.js'` → `export { … } from './index.js'`, with the names of that module, in the entries of dist/.
// Vite writes a Worker as one script, in which rolldown (1.2.19) leaves out the beginning of a module that is reached only
// through `export *` when a part of the program that is loaded later imports it as well. With names it does not.
// Called by `npm run build` with the folders of the entries.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const STAR = /^export \* from '(.*)';$/gm
const LISTED = /^export \{([^}]*)\} from /gm
const DECLARED = /^export (?:async )?(?:function|const|let|class) (\w+)/gm

/** Names that a module's text exports, without those of `export *`. */
function own(text) {
  const listed = [...text.matchAll(LISTED)].flatMap(([, list]) => list.split(','))
  const names = listed.map((one) => one.trim().split(' as ').at(-1)).filter((name) => name !== '')
  return new Set([...names, ...[...text.matchAll(DECLARED)].map(([, name]) => name)])
}

/** All names that a module exports. */
function namesOf(path) {
  const text = readFileSync(path, 'utf8')
  const passed = [...text.matchAll(STAR)].flatMap(([, from]) => [...namesOf(join(path, '..', from))])
  return new Set([...own(text), ...passed])
}

/** Names every `export *` of a module: without the names that the module has itself, which come first. */
function nameExports(path) {
  const text = readFileSync(path, 'utf8')
  const taken = own(text)
  const named = text.replace(STAR, (_, from) => {
    const names = [...namesOf(join(path, '..', from))].filter((name) => !taken.has(name))
    return `export { ${names.join(', ')} } from '${from}';`
  })
  if (named !== text) writeFileSync(path, named)
}

for (const folder of process.argv.slice(2)) {
  for (const file of readdirSync(folder)) if (file.endsWith('.js')) nameExports(join(folder, file))
}
