import { fileURLToPath } from 'node:url'
import { playwright } from '@vitest/browser-playwright'
import type { TestProjectInlineConfiguration } from 'vitest/config'
import { chromium } from '../../bench/set-up/chromium.mjs'
import { commands } from './commands.ts'
import { firefox, firefoxProvider } from './firefox.ts'

/** Flags of Chromium: the root user may start it, WebGPU computes on the processor, and the camera shows a test image. */
const FLAGS = [
  '--no-sandbox',
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--disable-background-networking',
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
]

/** Test files that were written for Node and hold in a page as well. */
const SHARED = ['test/ops/*.test.ts', 'test/optim/*.test.ts', 'test/nan.test.ts', 'test/long-sums.test.ts']

/** Modules of Node, and ours of Node, and the modules that stand for them in a page; and the package by its name. */
const INSTEAD: Readonly<Record<string, string>> = {
  'wgrad/browser': '../../src/browser.ts',
  'node:fs': './node/fs.ts',
  '../../src/platform/node/index.ts': './node/platform.ts',
}

/** Test files of a page that need nothing of the process that drives Chromium. */
const UNDRIVEN = ['parity', 'training', 'inference', 'worker'].map((name) => `test/browser/${name}.test.ts`)

/** Only a hang takes this long: a slow machine with nothing cached compiles for minutes, and runs the lesson for two. */
export const PATIENCE = { testTimeout: 600_000, hookTimeout: 600_000, expect: { poll: { timeout: 240_000 } } }

type Options = NonNullable<TestProjectInlineConfiguration['test']>

/** Project of tests in a page of one browser. */
function pageProject(name: string, include: string[], browser: Options['browser']): TestProjectInlineConfiguration {
  return {
    plugins: [
      {
        name: 'page-instead-of-node',
        enforce: 'pre',
        resolveId: (source) => {
          const other = INSTEAD[source]
          return other && fileURLToPath(new URL(other, import.meta.url))
        },
      },
    ],
    define: { 'process.env.TEST_FAMILIES': '"own"' },
    // What Vite would find only on the way, and load the page once more for: packages that tests use.
    optimizeDeps: { include: ['fflate', 'jpeg-js'] },
    test: {
      name,
      include: [...SHARED, ...include],
      globalSetup: ['test/global-setup.ts'],
      ...PATIENCE,
      browser: {
        enabled: true,
        headless: true,
        // One after the other: pages share the browser's GPU process, and a test ends it. Beside the tests of Node, since alone
        // they keep two cores busy for 70% of their time.
        fileParallelism: false,
        screenshotFailures: false,
        commands,
        ...browser,
      },
    },
  }
}

/**
 * Projects of the tests that run in a page of a real browser, on its software adapter: `page` in Chromium, where there is one,
 * except that TEST_BROWSER=required makes its absence an error; and `firefox` if TEST_FIREFOX=required asks for it.
 */
export function browserProjects(): TestProjectInlineConfiguration[] {
  const projects: TestProjectInlineConfiguration[] = []
  const executablePath = chromium()
  if (executablePath !== undefined) {
    const provider = playwright({ launchOptions: { executablePath, args: FLAGS } })
    projects.push(
      pageProject('page', ['test/browser/**/*.test.ts'], { provider, instances: [{ browser: 'chromium' }] }),
    )
  } else if (process.env.TEST_BROWSER === 'required') {
    throw new Error('the tests in a page need Chromium (Debian: apt-get install chromium), or CHROMIUM=PATH')
  }
  if (process.env.TEST_FIREFOX === 'required') {
    const executable = firefox()
    if (executable === undefined) {
      throw new Error('the tests in Firefox need it (Debian: apt-get install firefox-esr), or FIREFOX=PATH')
    }
    projects.push(
      pageProject('firefox', UNDRIVEN, { provider: firefoxProvider(executable), instances: [{ browser: 'firefox' }] }),
    )
  }
  return projects
}
