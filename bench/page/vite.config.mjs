// Vite's settings for the page. It is built from dist/, as any page is that uses the package; `npm run build` comes first.
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const here = fileURLToPath(new URL('.', import.meta.url))
const dist = fileURLToPath(new URL('../../dist/', import.meta.url))

/** Modules of the benchmarks, which the page names by their source, as they are built. */
const built = {
  name: 'built',
  enforce: 'pre',
  resolveId: (source) => {
    const named = /^\.\.\/(kernels|peers)\/(.*)\.ts$/.exec(source)
    return named ? `${dist}bench/${named[1]}/${named[2]}.js` : undefined
  },
}

export default defineConfig({
  root: here,
  // Any folder of any server.
  base: './',
  publicDir: 'public',
  plugins: [built],
  resolve: {
    alias: [
      { find: /^wgrad$/, replacement: `${dist}src/browser.js` },
      { find: /^wgrad\/(\w+)$/, replacement: `${dist}src/exports/$1.js` },
      // Draws the charts of reports, which this page does not make.
      { find: /^echarts(\/.*)?$/, replacement: `${here}without.ts` },
    ],
  },
  worker: { format: 'es', plugins: () => [built] },
  build: {
    outDir: fileURLToPath(new URL('../../dist/page/', import.meta.url)),
    emptyOutDir: true,
    target: 'es2022',
    chunkSizeWarningLimit: 4000,
    assetsInlineLimit: 0,
  },
})
