// Finds a Chromium to run tests in, and on Debian installs one through apt. Ubuntu's package of that name only starts a snap,
// which does not take the flags of a test.
import { existsSync } from 'node:fs'
import { addresses, announce, aptSources, installPackages, readSystem, updateLists } from './apt.mjs'
import { SetUpError, tail } from './run-step.mjs'

/** Executables of Chromium and Chrome, the first that is there. */
const PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
]

/** Returns the path of Chromium, which the variable CHROMIUM may name; undefined if there is none. */
export function chromium(env = process.env) {
  return [env.CHROMIUM, ...PLACES].find((path) => path !== undefined && path !== '' && existsSync(path))
}

/**
 * Installs Debian's Chromium.
 *
 * @throws SetUpError  with instructions, if it cannot be installed
 */
export function installChromium(mayInstall, refusal) {
  const system = readSystem()
  const problem = 'there is no Chromium here'
  const byHand = 'Install Chromium or Chrome by hand; the variable CHROMIUM may name its executable'
  if (!system.apt || !system.debian) throw new SetUpError(`${problem}. ${byHand}`)
  installPackages(
    {
      packages: ['chromium'],
      problem,
      driver: 'one',
      looking: 'looking for Chromium (with apt)',
      once: 'Run once:  sudo apt-get install chromium',
      byHand,
      lookUp(folder) {
        const sources = aptSources(system)
        const { log, version } = updateLists(folder, sources, 'chromium')
        if (version === '') {
          throw new SetUpError(`apt offers no Chromium. Nothing was installed. ${byHand}`, tail(log, 12))
        }
        return { version, log, release: [], sources: addresses(sources, undefined) }
      },
      announcement: (found, withSudo) => announcement(found, withSudo, refusal),
    },
    mayInstall,
  )
}

/** Returns the announcement of an installation. */
export function announcement({ version, sources }, withSudo, refusal) {
  return announce({
    what: `chromium ${version}, and what it needs`,
    why: 'there is no Chromium here, and a part of the tests runs in a page of it',
    from: sources.join(', '),
    as: withSudo ? 'root, with sudo' : 'root',
    updates: "with the system's own (apt upgrade)",
    undo: 'apt-get remove chromium',
    refuse: refusal,
  })
}
