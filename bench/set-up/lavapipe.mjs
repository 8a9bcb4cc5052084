// Installs Mesa's lavapipe, the software Vulkan driver, through apt. Dawn requires Mesa 24 or newer; Debian 12 has
// 22.3, and a newer one in its backports.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { addresses, announce, aptSources, installedVersion, installPackages, readSystem, updateLists } from './apt.mjs'
import { SetUpError, run, tail } from './run-step.mjs'

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
  installPackages(
    {
      packages,
      problem: 'WebGPU finds no adapter',
      driver: 'a driver',
      looking: "looking for a software Vulkan driver (Mesa's lavapipe, with apt)",
      once,
      byHand: BY_HAND,
      lookUp: (folder) => lookUp(system, folder),
      announcement: (found, withSudo) => announcement(found, withSudo, refusal),
    },
    mayInstall,
    why,
  )
}

/** Returns the announcement of an installation. */
export function announcement({ version, sources, backports, ownBackports }, withSudo, refusal) {
  const updates =
    backports && !ownBackports
      ? 'none by themselves, as the backports are not among the sources of this machine'
      : "with the system's own (apt upgrade)"
  return announce({
    what: `${packages[0]} ${version}, ${packages[1]}, and what they need`,
    why: `WebGPU finds no graphics driver here; this one computes on the processor (Mesa ${oldestMesa} or newer is needed)`,
    from: sources.join(', '),
    as: withSudo ? 'root, with sudo' : 'root',
    updates,
    undo: `apt-get remove ${packages[0]}`,
    refuse: refusal,
  })
}

const BY_HAND = `Install Mesa ${oldestMesa} or newer with its Vulkan drivers by hand, then run this again`

/** Refreshes the temporary lists and chooses the release to install from. */
function lookUp(system, folder) {
  let sources = aptSources(system)
  let { log, policy, version } = updateLists(folder, sources, packages[0])
  const backports = mesaMajor(version) < oldestMesa && system.debian
  const name = `${system.codename}-backports`
  const ownBackports = sources.includes(name)
  if (backports) {
    sources = aptSources(system, { backports: true })
    ;({ log, policy } = updateLists(folder, sources, packages[0]))
    version = new RegExp(`^ {5}(\\S+) \\d+\\n +\\d+ .* ${name}/`, 'm').exec(policy)?.[1] ?? version
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

/** Returns the major version of Mesa, 25 for `25.0.7-2~bpo12+1`; 0 without a version. */
export function mesaMajor(version) {
  return Number(/^(?:\d+:)?(\d+)/.exec(version)?.[1] ?? 0)
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
