import { existsSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { chromium } from '../../bench/set-up/chromium.mjs'
import { run } from '../../bench/set-up/run-step.mjs'

const MANIFEST = 'vk_swiftshader_icd.json'

/** Prints the adapter that Dawn chooses by itself. A process of its own: drivers stay loaded in the one that asks, or crash it. */
const ASK = `
  import { create } from 'webgpu'
  console.log('adapter', (await create([]).requestAdapter())?.info.description)
`

/**
 * Returns the environment in which Vulkan's loader finds SwiftShader, the software driver that comes with Chromium. It
 * compiles a kernel in a tenth of the time that Mesa's lavapipe takes, and computes more slowly, which suits tests of many
 * kernels over few numbers. Undefined where there is no Chromium on Linux, where lavapipe is not the adapter anyway, such as
 * on a machine with a GPU, and where the environment names a driver already.
 */
export function swiftShader(env = process.env): Record<string, string> | undefined {
  const browser = chromium(env)
  if (process.platform !== 'linux' || browser === undefined || env.VK_DRIVER_FILES || env.VK_ICD_FILENAMES) return
  // Debian's /usr/bin/chromium is a script that starts the one in the second folder.
  const manifest = [dirname(realpathSync(browser)), '/usr/lib/chromium']
    .map((folder) => join(folder, MANIFEST))
    .find((path) => existsSync(path))
  if (manifest === undefined) return
  const { output } = run(process.execPath, ['--input-type=module', '--eval', ASK], { timeoutMs: 60_000 })
  // The second is the name that loaders before 1.3.207 read.
  return /^adapter llvmpipe/m.test(output) ? { VK_DRIVER_FILES: manifest, VK_ICD_FILENAMES: manifest } : undefined
}
