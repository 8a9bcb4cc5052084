// Installs Mesa's lavapipe, the software Vulkan driver, through apt. Dawn requires Mesa 24 or newer; Debian 12 has
// 22.3, and a newer one in its backports. apt uses a temporary list of sources and its own folders for lists and
// downloads, so that the machine's apt configuration, lists and caches stay as they are: only the packages themselves
// are installed.
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SetUpError, ask, run, step, tail } from './run-step.mjs'

const packages = ['mesa-vulkan-drivers', 'libvulkan1']
/** First major version of Mesa whose lavapipe Dawn accepts, tested with webgpu 0.6.2: 22.3 is refused, 25.0 works. */
const oldestMesa = 24

/** Returns true if Debian's package manager has a driver that Dawn accepts. */
export function lavapipeInstalled() {
  return mesaMajor(installedVersion('mesa-vulkan-drivers')) >= oldestMesa && installedVersion('libvulkan1') !== ''
}

/** Returns the installed Vulkan drivers other than Mesa's, by file. */
export function foreignDrivers() {
  // On other systems nothing is installed that could replace a driver.
  if (!existsSync('/usr/bin/dpkg-query')) return []
  const folders = ['/etc/vulkan/icd.d', '/usr/share/vulkan/icd.d', '/usr/local/share/vulkan/icd.d']
  const files = folders.flatMap((folder) =>
    existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [],
  )
  return files.filter((file) => file.endsWith('.json') && !run('dpkg-query', ['-S', file]).output.startsWith('mesa-'))
}

/**
 * Installs the driver, after announcing what, why, from where, as whom, and how updates come. On a terminal it asks
 * first if it needs `sudo`.
 *
 * @param reason      Dawn's message without a driver
 * @param mayInstall  false if the user refuses installation
 * @param refusal     explanation of how to refuse
 * @throws SetUpError  with instructions, if the driver cannot be installed
 */
export function installLavapipe(reason, mayInstall, refusal) {
  const system = readSystem()
  const why = tail(reason, 8)
  const once = 'Run once:  sudo node bench/set-up/set-up.mjs --driver'
  if (!system.apt) throw new SetUpError(`WebGPU finds no adapter. ${elsewhere(system)}`, why)
  if (lavapipeInstalled()) {
    const variables = ['VK_DRIVER_FILES', 'VK_ICD_FILENAMES'].filter((name) => process.env[name] !== undefined)
    const hint =
      variables.length > 0 ? `. ${variables.join(' and ')} of your environment may name the wrong driver` : ''
    throw new SetUpError(`WebGPU finds no adapter, although lavapipe is installed (mesa-vulkan-drivers)${hint}`, why)
  }
  if (!mayInstall) throw new SetUpError(`WebGPU finds no adapter, and installing a driver is refused. ${once}`, why)
  const asRoot = process.getuid() === 0 ? [] : ['sudo', '-n']
  const onTerminal = process.stdin.isTTY === true
  const needsPassword = asRoot.length > 0 && run('sudo', ['-n', 'true']).status !== 0
  if (needsPassword && !onTerminal) {
    throw new SetUpError(`WebGPU finds no adapter, and installing a driver needs root. ${once}`, why)
  }
  const folder = mkdtempSync(join(tmpdir(), 'wgrad-apt-'))
  try {
    const found = step("looking for a software Vulkan driver (Mesa's lavapipe, with apt)", () => lookUp(system, folder))
    process.stderr.write(`${announcement(found, asRoot.length > 0, refusal)}\n`)
    if (asRoot.length > 0 && onTerminal) {
      if (!ask('set-up: install it?')) throw new SetUpError(`nothing was installed. ${once}`)
      if (needsPassword && spawnSync('sudo', ['-v'], { stdio: 'inherit' }).status !== 0) {
        throw new SetUpError(`sudo was refused. ${once}`)
      }
    }
    step('installing it', () => install(found, folder, asRoot))
  } finally {
    // apt wrote these files as root, so root must remove them.
    run(...command(asRoot, 'rm', ['-rf', folder]))
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Returns the announcement of an installation. */
export function announcement({ version, sources, backports, ownBackports }, withSudo, refusal) {
  const updates =
    backports && !ownBackports
      ? 'none by themselves, as the backports are not among the sources of this machine'
      : "with the system's own (apt upgrade)"
  const rows = [
    ['what', `${packages[0]} ${version}, ${packages[1]}, and what they need`],
    [
      'why',
      `WebGPU finds no graphics driver here; this one computes on the processor (Mesa ${oldestMesa} or newer is needed)`,
    ],
    ['from', sources.join(', ')],
    ['as', withSudo ? 'root, with sudo' : 'root'],
    ['updates', updates],
    ['undo', `apt-get remove ${packages[0]}`],
    ...(refusal === '' ? [] : [['refuse', refusal]]),
  ]
  return ['set-up: this installs', ...rows.map(([name, text]) => `  ${name.padEnd(8)} ${text}`)].join('\n')
}

const BY_HAND = `Install Mesa ${oldestMesa} or newer with its Vulkan drivers by hand, then run this again`

/** Refreshes the temporary lists and chooses the release to install from. */
function lookUp(system, folder) {
  const apt = (tool, ...args) => run('env', ['LC_ALL=C', tool, ...aptOptions(folder), ...args])
  const update = (sources) => {
    writeFileSync(join(folder, 'wgrad.sources'), sources)
    return apt('apt-get', 'update').output
  }
  const candidate = () => /Candidate: (\S+)/.exec(apt('apt-cache', 'policy', packages[0]).output)?.[1] ?? ''
  let sources = aptSources(system)
  let log = update(sources)
  let version = candidate()
  const backports = mesaMajor(version) < oldestMesa && system.debian
  const name = `${system.codename}-backports`
  const ownBackports = sources.includes(name)
  if (backports) {
    sources = aptSources(system, { backports: true })
    log = update(sources)
    const newer = new RegExp(`^ {5}(\\S+) \\d+\\n +\\d+ .* ${name}/`, 'm').exec(
      apt('apt-cache', 'policy', packages[0]).output,
    )?.[1]
    version = newer ?? version
  }
  if (mesaMajor(version) < oldestMesa) {
    const offer = version === '' ? 'no Mesa' : `Mesa ${version}`
    throw new SetUpError(
      `apt offers ${offer}, and version ${oldestMesa} or newer is needed. Nothing was installed. ${BY_HAND}`,
      tail(log, 12),
    )
  }
  return {
    version,
    backports,
    ownBackports,
    log,
    release: backports ? ['-t', name] : [],
    sources: addresses(sources, backports ? name : undefined),
  }
}

/**
 * Returns address and suite of each source, as `ADDRESS bookworm-backports`; only those of one suite if there are any.
 */
function addresses(sources, only) {
  const all = stanzas(sources).flatMap(({ URIs, Suites }) =>
    Suites.map((suite) => ({ suite, text: `${URIs.join(' ')} ${suite}` })),
  )
  const some = all.filter(({ suite }) => suite === only)
  return (some.length > 0 ? some : all).map(({ text }) => text)
}

function install({ log, release }, folder, asRoot) {
  const args = [
    ...aptOptions(folder),
    'install',
    '-y',
    '--no-install-recommends',
    '--no-remove',
    ...release,
    ...packages,
  ]
  const result = run(...command(asRoot, 'apt-get', args), { env: { LC_ALL: 'C' } })
  if (result.status !== 0) {
    throw new SetUpError(
      `apt could not install ${packages.join(' and ')}. ${BY_HAND}`,
      tail(`${log}\n${result.output}`, 12),
    )
  }
}

/**
 * Returns options of apt for the temporary sources and folders, without questions; the folder must be readable by apt's
 * download user.
 */
function aptOptions(folder) {
  chmodSync(folder, 0o755)
  for (const part of ['lists/partial', 'cache/archives/partial', 'no-parts']) {
    mkdirSync(join(folder, part), { recursive: true })
  }
  return Object.entries({
    'Dir::Etc::sourcelist': join(folder, 'wgrad.sources'),
    'Dir::Etc::sourceparts': join(folder, 'no-parts'),
    'Dir::State::lists': join(folder, 'lists'),
    'Dir::Cache': join(folder, 'cache'),
    'Acquire::Retries': 2,
    'Acquire::http::Timeout': 30,
    // Another apt may be running (unattended upgrades); this is the time to wait for it, in seconds.
    'DPkg::Lock::Timeout': 300,
    'Dpkg::Use-Pty': 0,
  }).flatMap(([name, value]) => ['-o', `${name}=${value}`])
}

function command(asRoot, tool, args) {
  const quiet = ['env', 'DEBIAN_FRONTEND=noninteractive', 'NEEDRESTART_SUSPEND=1', tool, ...args]
  const [first, ...rest] = [...asRoot, ...quiet]
  return [first, rest]
}

/** Returns the major version of Mesa, 25 for `25.0.7-2~bpo12+1`; 0 without a version. */
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
    ...(existsSync(folder)
      ? readdirSync(folder)
          .sort()
          .map((name) => join(folder, name))
      : []),
  ].filter((path) => /\.(list|sources)$/.test(path) && existsSync(path))
  return {
    apt: process.platform === 'linux' && existsSync('/usr/bin/apt-get'),
    debian: release.ID === 'debian',
    name: release.PRETTY_NAME ?? process.platform,
    // Derivatives of Ubuntu give their own name in VERSION_CODENAME and their archive's release in UBUNTU_CODENAME.
    codename: release.UBUNTU_CODENAME ?? release.VERSION_CODENAME ?? '',
    sources: paths.map((name) => ({ name, text: readFileSync(name, 'utf8') })),
  }
}

/** Parses `NAME="value"` lines, see os-release(5). */
export function parseOsRelease(text) {
  const unquoted = (value) => value.replace(/^(["'])(.*)\1$/, '$2')
  return Object.fromEntries([...text.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [name, unquoted(value)]))
}

/**
 * Returns the sources to install from, in apt's deb822 form: those of the machine for its own release, and on request
 * that release's backports from the same mirror. Other sources (of an editor, of a cloud) are left out: they have no
 * Mesa, and one that does not answer would block the installation.
 */
export function aptSources({ debian, codename, sources }, { backports = false } = {}) {
  const all = sources
    .flatMap(({ name, text }) => (name.endsWith('.sources') ? stanzas(text) : lines(text)))
    .filter((source) => source.Types.includes('deb') && !source.URIs.some((uri) => uri.startsWith('cdrom:')))
  const release = new Set(
    [codename, 'stable', 'oldstable', 'testing', 'unstable', 'sid'].flatMap((suite) => [
      suite,
      `${suite}-updates`,
      `${suite}-security`,
      `${suite}/updates`,
      `${suite}-backports`,
    ]),
  )
  const own = all.filter(
    (source) =>
      source.Suites.some((suite) => release.has(suite)) &&
      source.Components.some((component) => component === 'main' || component === 'universe'),
  )
  const used = own.length > 0 ? own : all
  const suite = `${codename}-backports`
  if (debian && backports && !used.some((source) => source.Suites.includes(suite))) {
    const ofRelease = (source) => source.Suites.some((name) => [codename, 'stable', 'oldstable'].includes(name))
    const mirror = used.find(ofRelease)
    if (mirror) used.push({ ...mirror, Suites: [suite], Components: ['main'] })
  }
  return used
    .map((source) =>
      Object.entries({ ...source, Types: ['deb'] })
        .map(([field, values]) => `${field}: ${values.join(' ')}\n`)
        .join(''),
    )
    .join('\n')
}

const lists = ['Types', 'URIs', 'Suites', 'Components']

/**
 * Parses deb822: fields of `Name: value`, continued on indented lines, in stanzas separated by empty lines; see
 * sources.list(5).
 */
function stanzas(text) {
  const body = text
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
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

/** Parses one source per line: `deb [option=value …] uri suite component …`; see sources.list(5). */
function lines(text) {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line)
    if (match === null) return []
    const [, options = '', uri, suite, components] = match
    const fields = options
      .trim()
      .split(/\s+/)
      .filter(Boolean)
      .map((option) => {
        const [name, value] = option.split(/=(.*)/)
        return [optionFields[name] ?? name, value.split(',')]
      })
    const words = components.trim().split(/\s+/).filter(Boolean)
    return [{ Types: ['deb'], URIs: [uri], Suites: [suite], Components: words, ...Object.fromEntries(fields) }]
  })
}

/** Names of one-line options in deb822; the others differ only in case. */
const optionFields = {
  arch: 'Architectures',
  lang: 'Languages',
  target: 'Targets',
  'signed-by': 'Signed-By',
  trusted: 'Trusted',
}

function elsewhere({ name }) {
  if (process.platform === 'darwin') {
    return 'macOS 11 and newer have one built in (Metal): is this a virtual machine without a GPU?'
  }
  if (process.platform === 'win32') return "Install your graphics card's driver (D3D12)."
  return (
    `Install your GPU's Vulkan driver, or Mesa's software driver, version ${oldestMesa} or newer, and the Vulkan loader ` +
    `(Fedora: dnf install mesa-vulkan-drivers vulkan-loader; Arch: pacman -S vulkan-swrast vulkan-icd-loader). This is ${name}.`
  )
}
