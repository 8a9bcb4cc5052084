import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { aptSources, mesaMajor, parseOsRelease } from '../bench/lavapipe.mjs'
import { missingPackages } from '../bench/set-up.mjs'

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

  test('are the machine\'s own, without disabled and foreign ones', () => {
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
    const sources = [{ name: 'a.list', text: 'deb http://m/security oldstable-security main\ndeb http://m/debian oldstable main\n' }]
    expect(aptSources({ ...debian, sources }, { backports: true })).toContain('URIs: http://m/debian\nSuites: bookworm-backports\n')
  })

  test('keep a configured backports suite as it is', () => {
    const sources = [{ name: 'a.list', text: 'deb http://m/debian bookworm main\ndeb http://other/debian bookworm-backports main\n' }]
    expect(aptSources({ ...debian, sources }, { backports: true })).toBe(aptSources({ ...debian, sources }))
  })

  test('keep a key given in the file, over several lines', () => {
    const text = 'Types: deb\nURIs: http://m/debian\nSuites: bookworm\nComponents: main\nSigned-By:\n -----BEGIN-----\n .\n abc\n -----END-----\n'
    expect(aptSources({ ...debian, sources: [{ name: 'a.sources', text }] })).toContain('Signed-By: \n -----BEGIN-----\n .\n abc\n -----END-----\n')
  })

  test('are empty where nothing is configured: no mirror is made up', () => {
    expect(aptSources({ ...debian, sources: [] }, { backports: true })).toBe('')
  })

  test('hold no backports on Ubuntu, where the release itself is new enough', () => {
    const sources = [{ name: 'a.list', text: 'deb http://archive.example/ubuntu noble main universe\n' }]
    expect(aptSources({ debian: false, codename: 'noble', sources }, { backports: true })).not.toContain('backports')
  })
})

test('Mesa\'s major version is read from a package version', () => {
  expect(['25.0.7-2~bpo12+1', '1:22.3.6-1+deb12u2', '', '(none)'].map(mesaMajor)).toEqual([25, 22, 0, 0])
})

test('os-release is read with and without quotes', () => {
  expect(parseOsRelease('NAME="Debian GNU/Linux"\nID=debian\nVERSION_CODENAME=\'bookworm\'\n'))
    .toEqual({ NAME: 'Debian GNU/Linux', ID: 'debian', VERSION_CODENAME: 'bookworm' })
})

test('a binding that does not load is told with its cause, and nothing is installed', () => {
  const folder = mkdtempSync(join(tmpdir(), 'wgrad-set-up-'))
  try {
    const bench = fileURLToPath(new URL('../bench', import.meta.url))
    const cause = "/lib/libc.so.6: version `GLIBC_2.34' not found (required by dawn.node)"
    cpSync(bench, join(folder, 'bench'), { recursive: true, filter: (path) => path === bench || path.endsWith('.mjs') })
    mkdirSync(join(folder, 'node_modules', 'webgpu'), { recursive: true })
    writeFileSync(join(folder, 'package-lock.json'), '{ "packages": {} }')
    writeFileSync(join(folder, 'node_modules', 'webgpu', 'package.json'), '{ "type": "module", "main": "index.js" }')
    writeFileSync(join(folder, 'node_modules', 'webgpu', 'index.js'), `throw new Error(${JSON.stringify(cause)})`)
    // Without a path there is neither apt nor sudo, should they be called.
    const env = { ...process.env, PATH: join(folder, 'empty') }
    const { status, stderr } = spawnSync(process.execPath, [join(folder, 'bench', 'set-up.mjs')], { env, encoding: 'utf8' })
    expect(status).toBe(1)
    expect(stderr).toMatch(/^set-up: Dawn's binding \(package webgpu\) does not load/)
    expect(stderr).toContain(`\n    ${cause}\n`)
    expect(stderr).not.toContain('Vulkan')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

describe('missing packages', () => {
  let folder = ''
  beforeEach(() => { folder = mkdtempSync(join(tmpdir(), 'wgrad-set-up-')) })
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
    write('node_modules/.package-lock.json', { 'node_modules/same': { version: '1.0.0' }, 'node_modules/old': { version: '1.0.0' } })
    expect(missingPackages(folder)).toEqual(['node_modules/old', 'node_modules/absent'])
  })
})
