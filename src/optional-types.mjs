// `x?: T` → `x?: T | undefined` in the declarations of dist/: no function here tells an option that is undefined from one that
// is not given, while TypeScript does with `exactOptionalPropertyTypes`, which `tsc --init` sets, so that a program could not
// pass its own options on: `predict(image, { threshold: options.threshold })`. The sources keep the stricter types.
// Called by `npm run build` with the folder of the declarations.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const OPTIONAL = /^(\s+(?:readonly )?\w+\?: )(.*[^{\s]);$/gm

const [, , folder] = process.argv
for (const file of readdirSync(folder, { recursive: true })) {
  if (!file.endsWith('.d.ts')) continue
  const path = join(folder, file)
  const text = readFileSync(path, 'utf8')
  const wider = text.replace(OPTIONAL, (line, name, type) =>
    type.endsWith('undefined') ? line : `${name}${type.includes('=>') ? `(${type})` : type} | undefined;`,
  )
  if (wider !== text) writeFileSync(path, wider)
}
