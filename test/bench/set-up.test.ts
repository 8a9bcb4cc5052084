import { execFile, spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { aptSources, parseOsRelease } from '../../bench/set-up/apt.mjs'
import { announcement as announcementOfChromium, chromium } from '../../bench/set-up/chromium.mjs'
import { announcement, mesaMajor } from '../../bench/set-up/lavapipe.mjs'
import { missingPackages, npmScript, planFor, requirePlainPath, stateOf } from '../../bench/set-up/set-up.mjs'

const deb822 = `Types: deb deb-src
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://disabled.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: https://download.example/linux/debian
Suites: bookworm
Components: stable
`

describe('the sources apt installs the driver from', () => {
  const debian = { debian: true, codename: 'bookworm' }
  const files = [{ name: '/etc/apt/sources.list.d/debian.sources', text: deb822 }]

  test("are the machine's own, without disabled and foreign ones", () => {
    expect(aptSources({ ...debian, sources: files })).toBe(`Components: main contrib
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Components: main
Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
`)
  })

  test('take backports from the mirror of the release', () => {
    const text = aptSources({ ...debian, sources: files }, { backports: true })
    expect(text.split('\n\n').at(-1)).toBe(`Components: main
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm-backports
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`)
  })

  test('are read from the one-line form, options too', () => {
    const text = `# deb http://no.example/debian bookworm main
deb [arch=amd64,arm64 signed-by=/usr/share/keyrings/own.gpg] http://mirror.example/debian bookworm main # here
deb-src http://mirror.example/debian bookworm main
deb cdrom:[Debian]/ bookworm main
deb https://packages.example cloud-sdk-bookworm main
`
    expect(aptSources({ ...debian, sources: [{ name: '/etc/apt/sources.list', text }] })).toBe(`Types: deb
URIs: http://mirror.example/debian
Suites: bookworm
Components: main
Architectures: amd64 arm64
Signed-By: /usr/share/keyrings/own.gpg
`)
  })

  test('take backports from the mirror of a release named by its age, too', () => {
    const sources = [
      { name: 'a.list', text: 'deb http://m/security oldstable-security main\ndeb http://m/debian oldstable main\n' },
    ]
    expect(aptSources({ ...debian, sources }, { backports: true })).toContain(
      'URIs: http://m/debian\nSuites: bookworm-backports\n',
    )
  })

  test('keep a configured backports suite as it is', () => {
    const sources = [
      { name: 'a.list', text: 'deb http://m/debian bookworm main\ndeb http://other/debian bookworm-backports main\n' },
    ]
    expect(aptSources({ ...debian, sources }, { backports: true })).toBe(aptSources({ ...debian, sources }))
  })

  test('keep a key given in the file, over several lines', () => {
    const text =
      'Types: deb\nURIs: http://m/debian\nSuites: bookworm\nComponents: main\nSigned-By:\n -----BEGIN-----\n .\n abc\n -----END-----\n'
    expect(aptSources({ ...debian, sources: [{ name: 'a.sources', text }] })).toContain(
      'Signed-By: \n -----BEGIN-----\n .\n abc\n -----END-----\n',
    )
  })

  test('are empty where nothing is configured: no mirror is made up', () => {
    expect(aptSources({ ...debian, sources: [] }, { backports: true })).toBe('')
  })

  test('hold no backports on Ubuntu, where the release itself is new enough', () => {
    const sources = [{ name: 'a.list', text: 'deb http://archive.example/ubuntu noble main universe\n' }]
    expect(aptSources({ debian: false, codename: 'noble', sources }, { backports: true })).not.toContain('backports')
  })
})

test("Mesa's major version is read from a package version", () => {
  expect(['25.0.7-2~bpo12+1', '1:22.3.6-1+deb12u2', '', '(none)'].map(mesaMajor)).toEqual([25, 22, 0, 0])
})

test('os-release is read with and without quotes', () => {
  expect(parseOsRelease('NAME="Debian GNU/Linux"\nID=debian\nVERSION_CODENAME=\'bookworm\'\n')).toEqual({
    NAME: 'Debian GNU/Linux',
    ID: 'debian',
    VERSION_CODENAME: 'bookworm',
  })
})

test('a binding that does not load is told with its cause, and nothing is installed', () => {
  const folder = mkdtempSync(join(tmpdir(), 'wgrad-set-up-'))
  try {
    const bench = fileURLToPath(new URL('../../bench', import.meta.url))
    const cause = "/lib/libc.so.6: version `GLIBC_2.34' not found (required by dawn.node)"
    cpSync(join(bench, 'set-up'), join(folder, 'bench', 'set-up'), { recursive: true })
    mkdirSync(join(folder, 'node_modules', 'webgpu'), { recursive: true })
    writeFileSync(join(folder, 'package-lock.json'), '{ "packages": {} }')
    writeFileSync(join(folder, 'node_modules', 'webgpu', 'package.json'), '{ "type": "module", "main": "index.js" }')
    writeFileSync(join(folder, 'node_modules', 'webgpu', 'index.js'), `throw new Error(${JSON.stringify(cause)})`)
    // Without a path there is neither apt nor sudo, should they be called.
    const env = { ...process.env, PATH: join(folder, 'empty') }
    const { status, stderr } = spawnSync(process.execPath, [join(folder, 'bench', 'set-up', 'set-up.mjs')], {
      env,
      encoding: 'utf8',
    })
    expect(status).toBe(1)
    expect(stderr).toMatch(/^set-up: Dawn's binding \(package webgpu\) does not load/)
    expect(stderr).toContain(`\n    ${cause}\n`)
    expect(stderr).not.toContain('Vulkan')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('packages are installed by npm, also where yarn or pnpm runs the command', () => {
  const by = (npm_execpath?: string) => npmScript(npm_execpath === undefined ? {} : { npm_execpath })
  expect(by('/usr/lib/node_modules/npm/bin/npm-cli.js')).toBe('/usr/lib/node_modules/npm/bin/npm-cli.js')
  expect(by('/usr/share/yarn/bin/yarn.js')).toBeUndefined()
  expect(by('/home/me/.yarn/releases/yarn-4.9.1.cjs')).toBeUndefined()
  expect(by('/usr/lib/node_modules/pnpm/bin/pnpm.cjs')).toBeUndefined()
  expect(by()).toBeUndefined()
})

test('a folder in which Vite would find no file is named before anything is tried', () => {
  expect(() => requirePlainPath('/home/me/c#/wgrad')).toThrow(
    'this folder has a # in its path, with which Vite finds no file (tests and page; other commands work): /home/me/c#/wgrad',
  )
  expect(() => requirePlainPath('/home/me/what?/wgrad')).toThrow('has a ? in its path')
  expect(requirePlainPath('/home/me/ä b/wgrad')).toBeUndefined()
})

test.skipIf(process.platform === 'win32')('shaders are embedded in a clone behind a link', () => {
  const folder = mkdtempSync(join(tmpdir(), 'wgrad-embed-'))
  try {
    const shaders = fileURLToPath(new URL('../../shaders', import.meta.url))
    for (const name of ['embed.mjs', 'relu']) {
      cpSync(join(shaders, name), join(folder, 'clone', 'shaders', name), { recursive: true })
    }
    symlinkSync(join(folder, 'clone'), join(folder, 'link'))
    const { status, stderr } = spawnSync(process.execPath, [join(folder, 'link', 'shaders', 'embed.mjs')])
    expect([status, String(stderr)]).toEqual([0, ''])
    expect(readFileSync(join(folder, 'clone', 'src', 'gpu', 'wgsl', 'names.ts'), 'utf8')).toContain('relu/forward')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test.runIf(existsSync('.git'))('a clone has the same line ends by the settings of Git for Windows', () => {
  for (const file of ['README.md', 'src/node.ts', '.ci/run']) {
    const { stdout, stderr } = spawnSync('git', ['-c', 'core.autocrlf=true', 'cat-file', '--filters', `HEAD:${file}`])
    expect(String(stderr)).toBe('')
    expect(String(stdout)).toContain('\n')
    expect(String(stdout)).not.toContain('\r')
  }
})

describe('a driver is installed', () => {
  test('only where the binding loads, answers, and there is none', () => {
    for (const [output, timedOut, state] of [
      ['binding loaded\nWarning: x\nadapter found\n', false, 'found'],
      ['binding loaded\nadapter found\n', true, 'found'],
      ['binding loaded\nno adapter\n', false, 'none'],
      ['binding loaded\n', true, 'slow'],
      ['', true, 'slow'],
      ['binding loaded\nSegmentation fault\n', false, 'crashed'],
      ["Error: /lib/libc.so.6: version `GLIBC_2.34' not found\n", false, 'unloadable'],
    ] as const) {
      expect(stateOf(output, timedOut)).toBe(state)
    }
    const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    const none = () => []
    expect(planFor('found', none, '')).toBe('go on')
    expect(planFor('none', none, '')).toBe('install')
    expect(write).not.toHaveBeenCalled()
    expect(planFor('slow', none, '')).toBe('go on')
    expect(write.mock.calls).toEqual([
      [expect.stringContaining('has not answered for 60 s; going on without knowing it. Nothing was installed')],
    ])
    write.mockRestore()
    const icd = '/usr/share/vulkan/icd.d/nvidia_icd.json'
    expect(() => planFor('none', () => [icd], 'why')).toThrow(
      `although there is a driver (${icd}). Nothing was installed`,
    )
    expect(() => planFor('crashed', none, 'why')).toThrow('a broken driver. Nothing was installed\n    why')
    expect(() => planFor('unloadable', none, "version `GLIBC_2.34' not found")).toThrow(
      /does not load.*glibc 2\.34.*Nothing was installed\n.*GLIBC_2\.34/s,
    )
  })

  test('after it was said what, why, from where, as whom, and how updates come', () => {
    const found = {
      version: '25.0.7-2~bpo12+1',
      sources: ['http://m/debian bookworm-backports'],
      backports: true,
      ownBackports: false,
    }
    expect(announcement(found, true, '--no-install refuses this')).toBe(`set-up: this installs
  what     mesa-vulkan-drivers 25.0.7-2~bpo12+1, libvulkan1, and what they need
  why      WebGPU finds no graphics driver here; this one computes on the processor (Mesa 24 or newer is needed)
  from     http://m/debian bookworm-backports
  as       root, with sudo
  updates  none by themselves, as the backports are not among the sources of this machine
  undo     apt-get remove mesa-vulkan-drivers
  refuse   --no-install refuses this`)
    expect(announcement({ ...found, ownBackports: true }, false, '')).toMatch(
      /\n {2}as {7}root\n {2}updates {2}with the system's own \(apt upgrade\)\n.*$/,
    )
  })
})

describe('Chromium for the tests in a page', () => {
  test('is the one that the variable names, or that of the system', () => {
    const here = fileURLToPath(import.meta.url)
    expect(chromium({ CHROMIUM: here })).toBe(here)
    expect(chromium({ CHROMIUM: `${here}-absent` })).not.toBe(`${here}-absent`)
  })

  test('is installed after the same was said of it', () => {
    const found = { version: '156.0.8078.108-1~deb12u1', sources: ['http://m/debian-security bookworm-security'] }
    expect(announcementOfChromium(found, false, '--no-install refuses this')).toBe(`set-up: this installs
  what     chromium 156.0.8078.108-1~deb12u1, and what it needs
  why      there is no Chromium here, and a part of the tests runs in a page of it
  from     http://m/debian-security bookworm-security
  as       root
  updates  with the system's own (apt upgrade)
  undo     apt-get remove chromium
  refuse   --no-install refuses this`)
  })

  test('is looked for only where a command asks for it, and its absence ends none', () => {
    const text = (name: string) => readFileSync(new URL(`../../bench/set-up/${name}`, import.meta.url), 'utf8')
    const { scripts } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      scripts: Record<string, string>
    }
    expect(Object.keys(scripts).filter((name) => scripts[name].includes('--browser'))).toEqual(['test'])
    expect(text('set-up.mjs')).toContain('tests in a page are left out')
  })
})

test('every command is one process, which its signals reach and whose options set-up sees', () => {
  const { scripts } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    scripts: Record<string, string>
  }
  for (const name of ['imagenette', 'recipe', 'bench', 'fuzz', 'kill']) {
    expect(scripts[name]).toBe(`node bench/set-up/set-up.mjs bench/${name}`)
  }
  expect(scripts.wgrad).toBe('node bench/set-up/set-up.mjs src/cli/wgrad')
  expect(scripts.predict).toBe('node bench/set-up/set-up.mjs src/cli/wgrad predict')
})

describe('missing packages', () => {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'wgrad-set-up-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))
  const write = (path: string, packages: object) => writeFileSync(join(folder, path), JSON.stringify({ packages }))

  test('are those absent or of another version; optional ones may be absent', () => {
    write('package-lock.json', {
      '': { version: '1.0.0' },
      'node_modules/same': { version: '1.0.0' },
      'node_modules/old': { version: '2.0.0' },
      'node_modules/absent': { version: '1.0.0' },
      'node_modules/other-system': { version: '1.0.0', optional: true },
    })
    expect(missingPackages(folder)).toEqual(['node_modules/same', 'node_modules/old', 'node_modules/absent'])
    mkdirSync(join(folder, 'node_modules'))
    write('node_modules/.package-lock.json', {
      'node_modules/same': { version: '1.0.0' },
      'node_modules/old': { version: '1.0.0' },
    })
    expect(missingPackages(folder)).toEqual(['node_modules/old', 'node_modules/absent'])
  })

  test('are not installed where that is refused', async () => {
    // A package of its own, whose npm says that it was called.
    for (const name of ['bench/set-up', 'bin']) mkdirSync(join(folder, name), { recursive: true })
    for (const name of ['set-up.mjs', 'apt.mjs', 'chromium.mjs', 'lavapipe.mjs', 'run-step.mjs']) {
      writeFileSync(
        join(folder, 'bench/set-up', name),
        readFileSync(new URL(`../../bench/set-up/${name}`, import.meta.url)),
      )
    }
    write('package-lock.json', { 'node_modules/absent': { version: '1.0.0' } })
    const called = join(folder, 'called')
    for (const name of ['npm', 'apt-get', 'sudo']) {
      writeFileSync(join(folder, 'bin', name), `#!/bin/sh\necho ${name} "$@" >> '${called}'\nexit 1\n`)
      chmodSync(join(folder, 'bin', name), 0o755)
    }
    const { npm_execpath: _npm, ...env } = process.env
    const setUp = (args: string[], more = {}) =>
      promisify(execFile)(process.execPath, [join(folder, 'bench', 'set-up', 'set-up.mjs'), ...args], {
        env: { ...env, PATH: `${join(folder, 'bin')}${delimiter}${env.PATH}`, ...more },
      }).catch((failed: { stderr: string; code: number }) => failed)
    const refusal = 'set-up: packages are missing or old, and installing is refused. Run:  npm ci --ignore-scripts\n'
    expect(await setUp(['imagenette', '--no-install'])).toMatchObject({ code: 1, stderr: refusal })
    expect(await setUp([], { WGRAD_INSTALL: '0' })).toMatchObject({ code: 1, stderr: refusal })
    expect(() => readFileSync(called)).toThrow('ENOENT')
    expect(await setUp(['imagenette'])).toMatchObject({ code: 1, stderr: expect.stringContaining('npm ci failed') })
    expect(readFileSync(called, 'utf8')).toContain('npm ci --ignore-scripts')
  })
})
