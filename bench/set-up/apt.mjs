// apt with a temporary list of sources and its own folders for lists and downloads, so that the machine's apt configuration,
// lists and caches stay as they are: only the packages themselves are installed.
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

/**
 * Installs packages, after announcing what, why, from where, as whom, and how updates come. On a terminal it asks first
 * if it needs `sudo`.
 *
 * @param wanted      packages; `problem`, `driver` and `once`, the words of errors; `lookUp(folder)`, which chooses version and
 *                    release; `announcement(found, withSudo)`
 * @param mayInstall  false if the user refuses installation
 * @param why         cause of the problem, for errors
 * @throws SetUpError  with instructions, if they cannot be installed
 */
export function installPackages(wanted, mayInstall, why = '') {
  const { packages, problem, driver, looking, once, byHand, lookUp, announcement } = wanted
  if (!mayInstall) throw new SetUpError(`${problem}, and installing ${driver} is refused. ${once}`, why)
  const asRoot = process.getuid() === 0 ? [] : ['sudo', '-n']
  const onTerminal = process.stdin.isTTY === true
  const needsPassword = asRoot.length > 0 && run('sudo', ['-n', 'true']).status !== 0
  if (needsPassword && !onTerminal) {
    throw new SetUpError(`${problem}, and installing ${driver} needs root. ${once}`, why)
  }
  const folder = mkdtempSync(join(tmpdir(), 'wgrad-apt-'))
  try {
    const found = step(looking, () => lookUp(folder))
    process.stderr.write(`${announcement(found, asRoot.length > 0)}\n`)
    if (asRoot.length > 0 && onTerminal) {
      if (!ask('set-up: install it?')) throw new SetUpError(`nothing was installed. ${once}`)
      if (needsPassword && spawnSync('sudo', ['-v'], { stdio: 'inherit' }).status !== 0) {
        throw new SetUpError(`sudo was refused. ${once}`)
      }
    }
    step('installing it', () => install(packages, found, folder, asRoot, byHand))
  } finally {
    // apt wrote these files as root, so root must remove them.
    run(...command(asRoot, 'rm', ['-rf', folder]))
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Returns the announcement of an installation: its rows that hold something, aligned. */
export function announce(rows) {
  const some = Object.entries(rows).filter(([, text]) => text !== '')
  return ['set-up: this installs', ...some.map(([name, text]) => `  ${name.padEnd(8)} ${text}`)].join('\n')
}

/** Refreshes the temporary lists. Returns apt's log, what it says of a package, and the version that it would install. */
export function updateLists(folder, sources, name) {
  const apt = (tool, ...args) => run('env', ['LC_ALL=C', tool, ...aptOptions(folder), ...args]).output
  writeFileSync(join(folder, 'wgrad.sources'), sources)
  const log = apt('apt-get', 'update')
  const policy = apt('apt-cache', 'policy', name)
  const version = /Candidate: (\S+)/.exec(policy)?.[1] ?? ''
  return { log, policy, version: version === '(none)' ? '' : version }
}

/**
 * Returns address and suite of each source, as `ADDRESS bookworm-backports`; only those of one suite if there are any.
 */
export function addresses(sources, only) {
  const all = stanzas(sources).flatMap(({ URIs, Suites }) =>
    Suites.map((suite) => ({ suite, text: `${URIs.join(' ')} ${suite}` })),
  )
  const some = all.filter(({ suite }) => suite === only)
  return (some.length > 0 ? some : all).map(({ text }) => text)
}

function install(packages, { log, release }, folder, asRoot, byHand) {
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
      `apt could not install ${packages.join(' and ')}. ${byHand}`,
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

export function installedVersion(name) {
  const result = run('dpkg-query', ['-W', '-f', '${db:Status-Status} ${Version}', name])
  const [status, version] = result.output.split(' ')
  return status === 'installed' ? version : ''
}

/** @typedef {{ apt: boolean, debian: boolean, name: string, codename: string, sources: { name: string, text: string }[] }} System */

/** @returns {System} */
export function readSystem() {
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
