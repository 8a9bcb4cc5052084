// Packages that a page needs -> src/vendor/*.js, each one module of the standard: a page then needs no bundler, and a
// bundler no settings. Only what is used of them is in it. Called by `npm run build`, which copies them to dist/, by
// `npm run embed` and before tests.
import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '..', '..')

/** Modules by their names: the package that they come from, and the lines that export what is used of it. */
const MODULES = {
  'jpeg-decoder': ['jpeg-js', "import decode from 'jpeg-js/lib/decoder.js'; export { decode }"],
  'jpeg-encoder': ['jpeg-js', "import encode from 'jpeg-js/lib/encoder.js'; export { encode }"],
  'pbf-writer': ['pbf', "export { PbfWriter } from 'pbf'"],
}

/** Writes the modules into a folder; leaves alone those that do not change. */
export function bundle(to = here) {
  mkdirSync(to, { recursive: true })
  for (const [name, [from, contents]] of Object.entries(MODULES)) {
    const { version } = JSON.parse(readFileSync(join(root, 'node_modules', from, 'package.json'), 'utf8'))
    const license = readFileSync(join(root, 'node_modules', from, 'LICENSE'), 'utf8').replaceAll('*/', '* /')
    const { outputFiles } = buildSync({
      stdin: { contents, resolveDir: root },
      bundle: true,
      format: 'esm',
      target: 'es2022',
      write: false,
      banner: { js: `/*! ${from} ${version}, bundled by src/vendor/bundle.mjs\n\n${license.trim()}\n*/` },
    })
    const path = join(to, `${name}.js`)
    const { text } = outputFiles[0]
    if (!existsSync(path) || readFileSync(path, 'utf8') !== text) writeFileSync(path, text)
  }
}

// The argument is compared by its real path, since Node resolves links in `import.meta.url` only.
if (process.argv[1] && fileURLToPath(import.meta.url) === realpathSync(process.argv[1])) bundle(process.argv[2])
