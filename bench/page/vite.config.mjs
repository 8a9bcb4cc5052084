// Vite's settings for the page. It is built from dist/, as any page is that uses the package; `npm run build` comes first.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const here = fileURLToPath(new URL('.', import.meta.url))
const root = join(here, '..', '..')
const dist = join(root, 'dist')
const peers = join(root, 'bench', 'peers')

/** Packages of the peers, which are no dependencies of this one: a page is also built where they are not installed. */
const PACKAGES = { tfjs: '@tensorflow/tfjs', jaxjs: '@jax-js/jax' }

const installed = (name) =>
  process.env.WGRAD_PAGE_PEERS !== '0' && existsSync(join(peers, 'node_modules', ...name.split('/')))

/** Modules of the benchmarks and of the peers, as the page uses them. */
const benchmarks = {
  name: 'benchmarks',
  enforce: 'pre',
  resolveId(source, importer = '') {
    // The page names a benchmark by its source, and gets it as it is built.
    const kernels = /^\.\.\/kernels\/(.*)\.ts$/.exec(source)
    if (kernels) return join(dist, 'bench', 'kernels', `${kernels[1]}.js`)
    const peer = /^\.\.\/\.\.\/peers\/(\w+)\.mjs$/.exec(source)?.[1]
    if (peer in PACKAGES && !installed(PACKAGES[peer])) {
      return join(here, 'peers', 'missing.mjs')
    }
    if (dirname(importer) !== peers) return undefined
    if (source === './serve.mjs' || source === './dawn.mjs') return join(here, 'peers', source)
    if (source === 'node:fs') return join(here, 'peers', 'package-json.mjs')
    if (source === '../../dist/src/node.js') return join(dist, 'src', 'browser.js')
    return undefined
  },
}

/** Warnings that say nothing about this page: the benchmarks import at once what the package loads later. */
const checks = { pluginTimings: false, ineffectiveDynamicImport: false }

export default defineConfig({
  root: here,
  // Any folder of any server.
  base: './',
  publicDir: 'public',
  // A missing file is answered with 404: the page asks that way whether weights are shipped.
  appType: 'mpa',
  plugins: [benchmarks],
  resolve: {
    alias: [
      { find: /^wgrad(\/browser)?$/, replacement: join(dist, 'src', 'browser.js') },
      { find: /^wgrad\/(\w+)$/, replacement: join(dist, 'src', 'exports', '$1.js') },
      // Draws the charts of reports, which this page does not make.
      { find: /^echarts(\/.*)?$/, replacement: join(here, 'without.ts') },
    ],
  },
  worker: { format: 'es', plugins: () => [benchmarks], rolldownOptions: { checks } },
  build: {
    outDir: join(dist, 'page'),
    emptyOutDir: true,
    target: 'es2022',
    chunkSizeWarningLimit: 4000,
    assetsInlineLimit: 0,
    rolldownOptions: { checks },
  },
})
