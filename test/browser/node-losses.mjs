// Prints the losses of helpers/parity.ts in Node, for f32 and mixed precision, as JSON. A process of its own, as the one that
// drives the browser has no GPU.
import { fileURLToPath } from 'node:url'
import { createServer } from 'vite'

const root = fileURLToPath(new URL('../..', import.meta.url))
const server = await createServer({
  root,
  configFile: false,
  server: { middlewareMode: true, ws: false },
  appType: 'custom',
})
const load = (path) => server.ssrLoadModule(`${root}/${path}`)
const { nodePlatform } = await load('src/platform/node/index.ts')
const { openGpuOn } = await load('src/gpu/device.ts')
const { fitLosses, STEPS } = await load('test/browser/helpers/parity.ts')
const gpu = await openGpuOn(nodePlatform)
const losses = { f32: await fitLosses(nodePlatform, 'f32', 1), mixed: await fitLosses(nodePlatform, 'mixed', STEPS) }
gpu.close()
await server.close()
console.log(`losses ${JSON.stringify(losses)}`)
