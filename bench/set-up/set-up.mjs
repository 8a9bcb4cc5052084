// What `npm test`, `npm run imagenette` and `npm run bench` do first, so that they work on a fresh clone:
//
//   packages   npm ci, unless node_modules holds what package-lock.json names
//   adapter    a Vulkan, Metal or D3D12 driver that Dawn accepts; on Debian and Ubuntu Mesa's lavapipe is installed
//              where there is none, elsewhere one message says what to install
//   browser    with `--browser`, which `npm test` gives: a Chromium to run tests in; Debian's is installed where there is none
//   build      dist/, unless it was built from exactly these sources
//
// Plain Node without packages, since it runs before there are any. Each step is silent when there is nothing to do.
// Before a driver is installed it says what, why, from where, as whom and how updates will come.
//
//   node bench/set-up/set-up.mjs                   set-up alone
//   node bench/set-up/set-up.mjs PROGRAM [option]  and then a program of dist/, such as bench/imagenette, in the same
//                                                  process, so that signals reach it
//   node bench/set-up/set-up.mjs --driver          installs lavapipe only, whatever drivers are there
//
// `--no-install`, or the variable WGRAD_INSTALL=0, refuses both packages and driver; `--help` never installs a driver.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync, realpathSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { chromium, installChromium } from './chromium.mjs'
import { foreignDrivers, installLavapipe, lavapipeInstalled } from './lavapipe.mjs'
import { SetUpError, run, step, tail } from './run-step.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

/**
 * Returns the packages of package-lock.json that node_modules lacks or has in another version, according to npm's own
 * record.
 */
export function missingPackages(folder = root) {
  const wanted = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8')).packages
  const noted = join(folder, 'node_modules', '.package-lock.json')
  const present = existsSync(noted) ? JSON.parse(readFileSync(noted, 'utf8')).packages : {}
  return Object.entries(wanted)
    .filter(([path, { version, optional }]) => {
      // Optional packages may be absent, as they belong to other systems, but must not have another version.
      return path !== '' && present[path]?.version !== version && !(optional && present[path] === undefined)
    })
    .map(([path]) => path)
}

/** Flag and variable that refuse any installation. */
const REFUSED = { flag: '--no-install', variable: 'WGRAD_INSTALL' }

/**
 * Requires a folder whose path Vite, which runs the tests and builds the page, can read: it takes `#` and `?` for parts of
 * an address, and then misses every file.
 *
 * @throws SetUpError
 */
export function requirePlainPath(folder = root) {
  const [odd] = /[#?]/.exec(folder) ?? []
  if (odd === undefined) return
  throw new SetUpError(
    `this folder has a ${odd} in its path, with which Vite finds no file (tests and page; other commands work): ${folder}. ` +
      `Move or rename it, to a path without ${odd}`,
  )
}

function packages(mayInstall) {
  if (missingPackages().length === 0) return
  if (!mayInstall) {
    throw new SetUpError('packages are missing or old, and installing is refused. Run:  npm ci --ignore-scripts')
  }
  // No package needs its install script: webgpu ships its binaries and only checks a macOS quarantine mark.
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error']
  step('installing the packages (npm ci)', () => npm(['ci', '--ignore-scripts', '--include=dev', ...quiet]))
}

function adapter(mayInstall) {
  const before = probe()
  if (planFor(before.state, foreignDrivers, before.log) === 'go on') return
  installLavapipe(before.log, mayInstall, `${REFUSED.flag} or ${REFUSED.variable}=0 refuses this`)
  const after = probe()
  if (after.state === 'found') return
  throw new SetUpError('lavapipe is installed, yet WebGPU still finds no adapter', after.log)
}

/** Finds or installs Chromium; without one the command goes on, and its tests in a page are left out. */
function browser(mayInstall) {
  if (chromium() !== undefined) return
  try {
    installChromium(mayInstall, `${REFUSED.flag} or ${REFUSED.variable}=0 refuses this`)
  } catch (error) {
    if (!(error instanceof SetUpError)) throw error
    process.stderr.write(`set-up: ${error.message}\nset-up: tests in a page are left out\n`)
  }
}

/**
 * Installs TensorFlow.js and jax-js, which the page compares itself with and which are no dependencies of the package.
 * Without them the page is built as well, and says so at the button.
 */
function peers(mayInstall) {
  const folder = join(root, 'bench', 'peers')
  if (missingPackages(folder).length === 0) return
  const without = 'the page is built without the comparison with TensorFlow.js and jax-js'
  if (!mayInstall) {
    process.stderr.write(`set-up: installing is refused, so ${without}\n`)
    return
  }
  try {
    step('installing TensorFlow.js and jax-js to compare with (npm ci; --no-peers leaves them out)', () =>
      npm(['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], folder),
    )
  } catch (error) {
    if (!(error instanceof SetUpError)) throw error
    process.stderr.write(`set-up: ${error.message}\nset-up: ${without}\n`)
  }
}

/**
 * Returns the next step for a state of the adapter: to continue, or to install a software driver, which is done only if
 * there is no other driver.
 *
 * @param findDrivers  function that returns drivers other than Mesa's, by file
 * @throws SetUpError  for a fault that no installation can fix
 */
export function planFor(state, findDrivers, log) {
  const nothing = 'Nothing was installed'
  if (state === 'found') return 'go on'
  if (state === 'slow') {
    // The command that follows waits as long as necessary.
    process.stderr.write(
      `set-up: the graphics driver has not answered for ${PROBE_MS / 1000} s; going on without knowing it. ${nothing}\n`,
    )
    return 'go on'
  }
  if (state === 'unloadable') {
    throw new SetUpError(
      "Dawn's binding (package webgpu) does not load, which a driver would not change. It needs Linux with glibc 2.34 " +
        'or later (Debian 12, Ubuntu 22.04, RHEL 9; not Alpine), macOS or Windows, on x64 or arm64: on such a system remove ' +
        `node_modules and run this again, elsewhere use a container of one. ${nothing}`,
      log,
    )
  }
  if (state === 'crashed') {
    throw new SetUpError(`asking for a graphics adapter ended the program: a broken driver. ${nothing}`, tail(log, 8))
  }
  const drivers = findDrivers()
  if (drivers.length > 0) {
    const instead = "Mend it, or install Mesa's software driver beside it:  sudo node bench/set-up/set-up.mjs --driver"
    throw new SetUpError(
      `WebGPU finds no adapter, although there is a driver (${drivers.join(', ')}). ${nothing}. ${instead}`,
      tail(log, 8),
    )
  }
  return 'install'
}

/** Time that a driver may take to answer before the command continues without an answer. */
const PROBE_MS = 60_000

/** Asks Dawn for an adapter in a separate process, since a broken driver may crash or hang it. */
function probe() {
  const script = `const { create } = await import('webgpu').catch(({ message }) => { console.log(message); process.exit(1) })
    console.log('binding loaded')
    const gpu = create([])
    console.log((await gpu.requestAdapter()) ? 'adapter found' : 'no adapter')`
  const { output, timedOut } = run(process.execPath, ['--input-type=module', '-e', script], {
    cwd: root,
    timeoutMs: PROBE_MS,
  })
  return { state: stateOf(output, timedOut), log: output }
}

/** Returns the state of the adapter from the output of the process that requested it. */
export function stateOf(output, timedOut) {
  const said = (line) => new RegExp(`^${line}$`, 'm').test(output)
  if (said('adapter found')) return 'found'
  if (timedOut) return 'slow'
  if (said('no adapter')) return 'none'
  return said('binding loaded') ? 'crashed' : 'unloadable'
}

function build() {
  const stamp = join(root, 'dist', '.sources')
  const sources = fingerprint()
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === sources) return
  step('building (npm run build)', () => npm(['run', 'build', '--silent']))
  writeFileSync(stamp, sources)
}

/** Returns a digest of path, size and time of all sources of dist/. */
function fingerprint() {
  const digest = createHash('sha256')
  const generated = /[\\/]src[\\/](gpu[\\/]wgsl[\\/].*\.ts|vendor[\\/].*\.js)$/
  // Folders of which nothing is built by tsc.
  const apart = ['peers', 'docs', 'page'].map((name) => join(root, 'bench', name))
  const add = (path) => {
    const { size, mtimeMs } = statSync(path)
    if (!generated.test(path)) digest.update(`${relative(root, path)} ${size} ${mtimeMs}\n`)
  }
  const walk = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(folder, entry.name)
      if (apart.includes(path)) continue
      if (entry.isDirectory()) walk(path)
      else add(path)
    }
  }
  for (const folder of ['src', 'bench', 'shaders']) walk(join(root, folder))
  for (const file of ['package-lock.json', 'tsconfig.json']) add(join(root, file))
  return digest.digest('hex')
}

/**
 * Returns the script of the npm that started the set-up; `undefined` means the npm on the path (a .cmd file on Windows), as
 * under yarn, pnpm and others, which name themselves in the same variable and have other commands.
 */
export function npmScript(env = process.env) {
  const path = env.npm_execpath
  return path !== undefined && basename(path) === 'npm-cli.js' ? path : undefined
}

function npm(args, cwd = root) {
  const own = npmScript()
  const result = own
    ? run(process.execPath, [own, ...args], { cwd })
    : run('npm', args, { cwd, shell: process.platform === 'win32' })
  const name = args.slice(0, args[0] === 'run' ? 2 : 1).join(' ')
  if (result.status !== 0) throw new SetUpError(`npm ${name} failed`, tail(result.output))
}

/** Commands that compute nothing on a GPU of this machine: the page looks for one in the browser. */
const WITHOUT_ADAPTER = ['bench/page']

/** Runs the set-up of a command, or of none. @returns false after a failure, which has been printed */
function setUp(args, command) {
  const mayInstall = !args.includes(REFUSED.flag) && process.env[REFUSED.variable] !== '0'
  try {
    if (args.includes('--driver')) {
      if (!lavapipeInstalled()) installLavapipe('', mayInstall, '')
      return true
    }
    if (args.includes('--browser') || command === 'bench/page') requirePlainPath()
    packages(mayInstall)
    if (!args.includes('--help') && !WITHOUT_ADAPTER.includes(command)) adapter(mayInstall)
    if (args.includes('--browser')) browser(mayInstall)
    if (command === 'bench/page' && !['--no-peers', '--help'].some((flag) => args.includes(flag))) peers(mayInstall)
    build()
    return true
  } catch (error) {
    if (!(error instanceof SetUpError)) throw error
    process.stderr.write(`set-up: ${error.message}\n`)
    process.exitCode = 1
    return false
  }
}

async function main([command, ...args]) {
  const named = command !== undefined && !command.startsWith('--')
  if (!setUp(named ? args : process.argv.slice(2), named ? command : undefined) || !named) return
  const file = join(root, 'dist', `${command}.js`)
  // The program sees arguments as if it had been started directly.
  process.argv = [process.argv[0], file, ...args.filter((arg) => arg !== REFUSED.flag)]
  await import(pathToFileURL(file).href)
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await main(process.argv.slice(2))
}
