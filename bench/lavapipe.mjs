// Mesa's lavapipe, the software Vulkan driver, through apt. Dawn takes Mesa 24 and newer; Debian 12 carries 22.3, and a
// newer one in its backports.
//
// apt runs on a temporary list of sources with its own folders for lists and downloads, so that the machine's apt
// configuration, lists and caches stay as they are: only the packages themselves are installed.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SetUpError, run, step, tail } from './run-step.mjs'

const packages = ['mesa-vulkan-drivers', 'libvulkan1']
/** The first Mesa whose lavapipe Dawn accepts, tried with webgpu 0.6.2: 22.3 is refused, 25.0 works. */
const oldestMesa = 24

/** Whether Debian's package manager knows of a driver that Dawn accepts. */
export function lavapipeInstalled() {
  return mesaMajor(installedVersion('mesa-vulkan-drivers')) >= oldestMesa && installedVersion('libvulkan1') !== ''
}

/** Installs the driver; `reason` is what Dawn said without it. Throws a SetUpError that says what to do instead. */
export function installLavapipe(reason) {
  const system = readSystem()
  const why = tail(reason, 8)
  if (!system.apt) throw new SetUpError(`WebGPU finds no adapter. ${elsewhere(system)}`, why)
  if (lavapipeInstalled()) {
    const variables = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES'].filter((name) => process.env[name] !== undefined)
    const hint = variables.length > 0 ? `. ${variables.join(' and ')} of your environment may name the wrong driver` : ''
    throw new SetUpError(`WebGPU finds no adapter, although lavapipe is installed (mesa-vulkan-drivers)${hint}`, why)
  }
  const asRoot = process.getuid() === 0 ? [] : ['sudo', '-n']
  if (asRoot.length > 0 && run('sudo', ['-n', 'true']).status !== 0) {
    const once = 'Run once:  sudo node bench/set-up.mjs --driver'
    throw new SetUpError(`WebGPU finds no adapter, and installing a driver needs root. ${once}`, why)
  }
  step("installing a software Vulkan driver (Mesa's lavapipe, with apt)", () => {
    const folder = mkdtempSync(join(tmpdir(), 'wgrad-apt-'))
    try {
      install(system, folder, asRoot)
    } finally {
      // What apt wrote there as root goes as root.
      run(...command(asRoot, 'rm', ['-rf', folder]))
      rmSync(folder, { recursive: true, force: true })
    }
  })
}

/** The commands, in order: refresh our own lists, choose the release, install. */
function install(system, folder, asRoot) {
  const apt = (tool, ...args) => run(...command(asRoot, tool, [...aptOptions(folder), ...args]), { env: { LC_ALL: 'C' } })
  const update = (sources) => {
    writeFileSync(join(folder, 'wgrad.sources'), sources)
    return apt('apt-get', 'update').output
  }
  let log = update(aptSources(system))
  const release = []
  const candidate = /Candidate: (\S+)/.exec(apt('apt-cache', 'policy', 'mesa-vulkan-drivers').output)?.[1] ?? ''
  if (mesaMajor(candidate) < oldestMesa && system.debian) {
    log = update(aptSources(system, { backports: true }))
    release.push('-t', `${system.codename}-backports`)
  }
  const result = apt('apt-get', 'install', '-y', '--no-install-recommends', '--no-remove', ...release, ...packages)
  if (result.status !== 0) {
    throw new SetUpError(
      `apt could not install ${packages.join(' and ')}. Install Mesa ${oldestMesa} or newer with its Vulkan drivers by hand, `
      + 'then run this again',
      tail(`${log}\n${result.output}`, 12))
  }
}

/** apt on our own sources and folders, without questions; the folder must be readable by apt's download user. */
function aptOptions(folder) {
  chmodSync(folder, 0o755)
  for (const part of ['lists/partial', 'cache/archives/partial', 'no-parts']) mkdirSync(join(folder, part), { recursive: true })
  return Object.entries({
    'Dir::Etc::sourcelist': join(folder, 'wgrad.sources'),
    'Dir::Etc::sourceparts': join(folder, 'no-parts'),
    'Dir::State::lists': join(folder, 'lists'),
    'Dir::Cache': join(folder, 'cache'),
    'Acquire::Retries': 2,
    'Acquire::http::Timeout': 30,
    // Another apt may be at work (unattended upgrades): wait for it, in seconds.
    'DPkg::Lock::Timeout': 300,
    'Dpkg::Use-Pty': 0,
  }).flatMap(([name, value]) => ['-o', `${name}=${value}`])
}

function command(asRoot, tool, args) {
  const quiet = ['env', 'DEBIAN_FRONTEND=noninteractive', 'NEEDRESTART_SUSPEND=1', tool, ...args]
  const [first, ...rest] = [...asRoot, ...quiet]
  return [first, rest]
}

/** 25 for `25.0.7-2~bpo12+1`; 0 where there is no version. */
export function mesaMajor(version) {
  return Number(/^(?:\d+:)?(\d+)/.exec(version)?.[1] ?? 0)
}

function installedVersion(name) {
  const result = run('dpkg-query', ['-W', '-f', '${db:Status-Status} ${Version}', name])
  const [status, version] = result.output.split(' ')
  return status === 'installed' ? version : ''
}

/** @typedef {{ apt: boolean, debian: boolean, name: string, codename: string, sources: { name: string, text: string }[] }} System */

/** @returns {System} */
function readSystem() {
  const release = existsSync('/etc/os-release') ? parseOsRelease(readFileSync('/etc/os-release', 'utf8')) : {}
  const folder = '/etc/apt/sources.list.d'
  const paths = [
    '/etc/apt/sources.list',
    ...(existsSync(folder) ? readdirSync(folder).sort().map((name) => join(folder, name)) : []),
  ].filter((path) => /\.(list|sources)$/.test(path) && existsSync(path))
  return {
    apt: process.platform === 'linux' && existsSync('/usr/bin/apt-get'),
    debian: release.ID === 'debian',
    name: release.PRETTY_NAME ?? process.platform,
    // Ubuntu's relatives name themselves in VERSION_CODENAME and their archive's release in UBUNTU_CODENAME.
    codename: release.UBUNTU_CODENAME ?? release.VERSION_CODENAME ?? '',
    sources: paths.map((name) => ({ name, text: readFileSync(name, 'utf8') })),
  }
}

/** `NAME="value"` lines, see os-release(5). */
export function parseOsRelease(text) {
  const unquoted = (value) => value.replace(/^(["'])(.*)\1$/, '$2')
  return Object.fromEntries([...text.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [name, unquoted(value)]))
}

/**
 * The sources to install from, as text in apt's deb822 form: those of the machine that carry its own release, and on
 * request that release's backports from the same mirror. Other sources (of an editor, of a cloud) are left out: they
 * have no Mesa, and one that does not answer would be in the way.
 */
export function aptSources({ debian, codename, sources }, { backports = false } = {}) {
  const all = sources.flatMap(({ name, text }) => (name.endsWith('.sources') ? stanzas(text) : lines(text)))
    .filter((source) => source.Types.includes('deb') && !source.URIs.some((uri) => uri.startsWith('cdrom:')))
  const release = new Set([codename, 'stable', 'oldstable', 'testing', 'unstable', 'sid']
    .flatMap((suite) => [suite, `${suite}-updates`, `${suite}-security`, `${suite}/updates`, `${suite}-backports`]))
  const own = all.filter((source) => source.Suites.some((suite) => release.has(suite))
    && source.Components.some((component) => component === 'main' || component === 'universe'))
  const used = own.length > 0 ? own : all
  const suite = `${codename}-backports`
  if (debian && backports && !used.some((source) => source.Suites.includes(suite))) {
    const ofRelease = (source) => source.Suites.some((name) => [codename, 'stable', 'oldstable'].includes(name))
    const mirror = used.find(ofRelease)
    if (mirror) used.push({ ...mirror, Suites: [suite], Components: ['main'] })
  }
  return used.map((source) => Object.entries({ ...source, Types: ['deb'] })
    .map(([field, values]) => `${field}: ${values.join(' ')}\n`).join('')).join('\n')
}

const lists = ['Types', 'URIs', 'Suites', 'Components']

/** deb822: fields of `Name: value`, continued on indented lines, in blocks between empty lines; see sources.list(5). */
function stanzas(text) {
  const body = text.split('\n').filter((line) => !line.startsWith('#')).join('\n')
  return body.split(/\n\s*\n/).flatMap((block) => {
    const fields = [...block.matchAll(/^([A-Za-z][\w-]*):[ \t]*(.*(?:\n[ \t].*)*)/gm)].map(([, name, value]) => {
      const field = lists.find((known) => known.toLowerCase() === name.toLowerCase()) ?? name
      return [field, lists.includes(field) ? value.trim().split(/\s+/) : [value.trimEnd()]]
    })
    const source = { Components: [], ...Object.fromEntries(fields) }
    const disabled = (source.Enabled ?? []).some((value) => /^(no|false|off|0)$/i.test(value))
    return disabled || !source.Types || !source.URIs || !source.Suites ? [] : [source]
  })
}

/** One source a line: `deb [option=value …] uri suite component …`; see sources.list(5). */
function lines(text) {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line)
    if (match === null) return []
    const [, options = '', uri, suite, components] = match
    const fields = options.trim().split(/\s+/).filter(Boolean).map((option) => {
      const [name, value] = option.split(/=(.*)/)
      return [optionFields[name] ?? name, value.split(',')]
    })
    const words = components.trim().split(/\s+/).filter(Boolean)
    return [{ Types: ['deb'], URIs: [uri], Suites: [suite], Components: words, ...Object.fromEntries(fields) }]
  })
}

/** Names of one-line options in deb822; the others are spelt the same but for case. */
const optionFields = { arch: 'Architectures', lang: 'Languages', target: 'Targets', 'signed-by': 'Signed-By', trusted: 'Trusted' }

function elsewhere({ name }) {
  if (process.platform === 'darwin') return 'macOS 11 and newer have one built in (Metal): is this a virtual machine without a GPU?'
  if (process.platform === 'win32') return "Install your graphics card's driver (D3D12)."
  return `Install your GPU's Vulkan driver, or Mesa's software driver, version ${oldestMesa} or newer, and the Vulkan loader `
    + `(Fedora: dnf install mesa-vulkan-drivers vulkan-loader; Arch: pacman -S vulkan-swrast vulkan-icd-loader). This is ${name}.`
}
