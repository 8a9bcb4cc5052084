import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { playwright } from '@vitest/browser-playwright'
import type { BrowserProvider, BrowserProviderOption } from 'vitest/node'

/** Executables of Firefox, the first that is there. */
const PLACES = [
  '/usr/bin/firefox-esr',
  '/usr/bin/firefox',
  '/Applications/Firefox.app/Contents/MacOS/firefox',
  'C:\\Program Files\\Mozilla Firefox\\firefox.exe',
]

/** Returns the path of Firefox, which the variable FIREFOX may name; undefined if there is none. */
export function firefox(env = process.env): string | undefined {
  return [env.FIREFOX, ...PLACES].find((path) => path !== undefined && path !== '' && existsSync(path))
}

/** Preferences of the profile: WebGPU, which Linux does not have by default, and a browser that asks and fetches nothing of its own. */
const PREFERENCES: Readonly<Record<string, boolean | number>> = {
  'dom.webgpu.enabled': true,
  // Mesa's software adapter is on the list.
  'gfx.webgpu.ignore-blocklist': true,
  // A camera that shows a test image, and asks nobody.
  'media.navigator.streams.fake': true,
  'media.navigator.permission.disabled': true,
  'app.normandy.enabled': false,
  'app.update.disabledForTesting': true,
  'browser.aboutwelcome.enabled': false,
  'browser.shell.checkDefaultBrowser': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  // A long-running kernel on a processor is no hang.
  'dom.ipc.reportProcessHangs': false,
  'dom.max_script_run_time': 0,
}

/** Time in which a Firefox that was asked to end does so, in milliseconds. */
const GRACE = 10_000

/**
 * Provider of Vitest that opens the tests in the Firefox of the machine, each session in a new profile, and drives nothing:
 * the page itself asks for tests and reports results. Playwright would need a Firefox of its own making.
 *
 * @param executable  path of Firefox
 */
export function firefoxProvider(executable: string): BrowserProviderOption {
  return {
    // Vitest's server for pages, which is the same for every provider.
    ...(playwright() as BrowserProviderOption),
    name: 'firefox',
    supportedBrowser: ['firefox'],
    providerFactory: () => new FirefoxProvider(executable),
  }
}

class FirefoxProvider implements BrowserProvider {
  readonly name = 'firefox'
  readonly supportsParallelism = false
  private readonly executable: string
  private readonly open = new Map<string, () => Promise<void>>()

  constructor(executable: string) {
    this.executable = executable
  }

  getCommandsContext(): Record<string, unknown> {
    return {}
  }

  async openPage(sessionId: string, url: string): Promise<void> {
    await this.open.get(sessionId)?.()
    const profile = mkdtempSync(join(tmpdir(), 'wgrad-firefox-'))
    const lines = Object.entries(PREFERENCES).map(
      ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`,
    )
    writeFileSync(join(profile, 'user.js'), lines.join(''))
    const browser = spawn(this.executable, ['--headless', '--no-remote', '--profile', profile, url], {
      stdio: 'ignore',
    })
    await new Promise((started, failed) => browser.once('spawn', started).once('error', failed))
    const end = (): void => void browser.kill()
    process.once('exit', end)
    this.open.set(sessionId, async () => {
      process.off('exit', end)
      await ended(browser)
      rmSync(profile, { recursive: true, maxRetries: 5 })
    })
  }

  async close(): Promise<void> {
    await Promise.all(Array.from(this.open.values(), (end) => end()))
    this.open.clear()
  }
}

/** Ends a process, with force if it does not end by itself. */
async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = new Promise((done) => child.once('exit', done))
  const timer = setTimeout(() => child.kill('SIGKILL'), GRACE)
  child.kill()
  await exit
  clearTimeout(timer)
}
