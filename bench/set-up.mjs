// What `npm test`, `npm run imagenette` and `npm run bench` do first, so that they work on a fresh clone:
//
//   packages   npm ci, unless node_modules holds what package-lock.json names
//   adapter    a Vulkan, Metal or D3D12 driver that Dawn accepts; on Debian and Ubuntu Mesa's lavapipe is installed
//              where there is none, elsewhere one message says what to install
//   build      dist/, unless it was built from exactly these sources
//
// Plain Node without packages, since it runs before there are any. Each step is silent when there is nothing to do,
// and one line long when there is. `node bench/set-up.mjs --driver` installs lavapipe only (what sudo is asked for).
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync, realpathSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installLavapipe, lavapipeInstalled } from './lavapipe.mjs'
import { SetUpError, run, step, tail } from './run-step.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

/** The packages of package-lock.json that node_modules lacks or has in another version, as npm itself noted them. */
export function missingPackages(folder = root) {
  const wanted = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8')).packages
  const noted = join(folder, 'node_modules', '.package-lock.json')
  const present = existsSync(noted) ? JSON.parse(readFileSync(noted, 'utf8')).packages : {}
  return Object.entries(wanted).filter(([path, { version, optional }]) => {
    // Optional packages are those of other systems: absent is right, another version is not.
    return path !== '' && present[path]?.version !== version && !(optional && present[path] === undefined)
  }).map(([path]) => path)
}

function packages() {
  if (missingPackages().length === 0) return
  // No package needs its install script: webgpu ships its binaries and only checks a macOS quarantine mark.
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error']
  step('installing the packages (npm ci)', () => npm('ci', '--ignore-scripts', '--include=dev', ...quiet))
}

function adapter() {
  const before = probe()
  if (before.found) return
  if (!before.loaded) {
    throw new SetUpError("Dawn's binding (package webgpu) does not load, which a driver would not change. It needs Linux with glibc 2.34 "
      + 'or later (Debian 12, Ubuntu 22.04, RHEL 9; not Alpine), macOS or Windows, on x64 or arm64: on such a system remove '
      + 'node_modules and run this again, elsewhere use a container of one', before.log)
  }
  installLavapipe(before.log)
  const after = probe()
  if (after.found) return
  throw new SetUpError('lavapipe is installed, yet WebGPU still finds no adapter', after.log)
}

/** Whether Dawn loads and offers an adapter, asked in a process of its own: a broken driver may crash or hang the one asking. */
function probe() {
  const script = `const { create } = await import('webgpu').catch(({ message }) => { console.log(message); process.exit(1) })
    console.log('binding loaded')
    const gpu = create([])
    console.log((await gpu.requestAdapter()) ? 'adapter found' : 'no adapter')`
  const result = run(process.execPath, ['--input-type=module', '-e', script], { cwd: root, timeoutMs: 60_000 })
  return { loaded: result.output.includes('binding loaded'), found: result.output.includes('adapter found'), log: result.output }
}

function build() {
  const stamp = join(root, 'dist', '.sources')
  const sources = fingerprint()
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === sources) return
  step('building (npm run build)', () => npm('run', 'build', '--silent'))
  writeFileSync(stamp, sources)
}

/** A digest of path, size and time of everything that dist/ is made from. */
function fingerprint() {
  const digest = createHash('sha256')
  const generated = join(root, 'src', 'gpu', 'shaders.gen.ts')
  const peers = join(root, 'bench', 'peers')
  const add = (path) => {
    const { size, mtimeMs } = statSync(path)
    if (path !== generated) digest.update(`${relative(root, path)} ${size} ${mtimeMs}\n`)
  }
  const walk = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(folder, entry.name)
      // The peers are a package of their own, with its own node_modules.
      if (path === peers) continue
      if (entry.isDirectory()) walk(path)
      else add(path)
    }
  }
  for (const folder of ['src', 'bench', 'shaders']) walk(join(root, folder))
  for (const file of ['package-lock.json', 'tsconfig.json']) add(join(root, file))
  return digest.digest('hex')
}

function npm(...args) {
  // Under `npm run` this is the npm that started us; on its own, the one on the path (a .cmd file on Windows).
  const own = process.env.npm_execpath
  const result = own?.endsWith('.js')
    ? run(process.execPath, [own, ...args], { cwd: root })
    : run('npm', args, { cwd: root, shell: process.platform === 'win32' })
  const name = args.slice(0, args[0] === 'run' ? 2 : 1).join(' ')
  if (result.status !== 0) throw new SetUpError(`npm ${name} failed`, tail(result.output))
}

function main() {
  try {
    if (process.argv.includes('--driver')) {
      if (!lavapipeInstalled()) installLavapipe('')
      return
    }
    packages()
    adapter()
    build()
  } catch (error) {
    if (!(error instanceof SetUpError)) throw error
    process.stderr.write(`set-up: ${error.message}\n`)
    process.exitCode = 1
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) main()
