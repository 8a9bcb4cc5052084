import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test, vi } from 'vitest'
import { DataError, OptionError } from '../../src/base/errors.ts'
import { choice, numberIn, parseCommand, runCommand, whole } from '../../src/cli/command.ts'
import { decoderOf } from '../../src/cli/look.ts'
import { ImageBlock } from '../../src/node.ts'
import { terminalStatus } from '../../src/platform/node/terminal.ts'
import type { Platform } from '../../src/platform/platform.ts'

test('numbers are taken within their bounds, and an empty text is none', () => {
  expect([undefined, '0', '7', '1e2'].map((given) => whole('--seeds', given, 0, 100))).toEqual([undefined, 0, 7, 100])
  for (const given of ['', ' ', '-1', '101', '1.5', 'one']) {
    expect(() => whole('--seeds', given, 0, 100)).toThrow(OptionError)
  }
  expect(() => whole('--seeds', '', 0, Infinity)).toThrowErrorMatchingInlineSnapshot(`
    [OptionError: --seeds: '' is out of range
      expected a whole number from 0 on]
  `)
  expect([undefined, '0.5', '10'].map((given) => numberIn('--lr', given, 0, 10))).toEqual([undefined, 0.5, 10])
  for (const given of ['', ' ', '-1', '11', 'x']) expect(() => numberIn('--lr', given, -1, 10)).toThrow(OptionError)
})

test('what a command does not know is refused', () => {
  expect(choice('--precision', 'f32', ['mixed', 'f32'])).toBe('f32')
  expect(choice('--precision', undefined, ['mixed', 'f32'])).toBeUndefined()
  expect(() => choice('--precision', 'f64', ['mixed', 'f32'])).toThrow("'f64' is not one of its values")
  expect(() => parseCommand('bench', ['--speed'], { size: { type: 'string' } })).toThrow('npm run bench -- --help')
  expect(() => parseCommand('recipe', ['word'], {})).toThrow(OptionError)
  const rate = (...argv: string[]) => parseCommand('train', argv, { lr: { type: 'string' } }, { positionals: true })
  expect(() => rate('--lr', '-1')).toThrow('Fix: write --lr=VALUE where a value begins with a dash; `')
  expect(() => rate('-pictures')).toThrow('Fix: write ./ before the name of a file that begins with a dash; `')
  expect(rate('--lr=-1', './-pictures')).toMatchObject({ values: { lr: '-1' }, positionals: ['./-pictures'] })
  expect(parseCommand('bench', ['word'], {}, { positionals: true }).positionals).toEqual(['word'])
})

test('an error is printed in place of the status, and nothing in it is obeyed by a terminal', async () => {
  const written: string[] = []
  const put = (text: unknown) => (written.push(String(text)), true)
  vi.spyOn(process.stderr, 'write').mockImplementation(put)
  vi.spyOn(console, 'error').mockImplementation(put)
  const tty = Object.getOwnPropertyDescriptor(process.stderr, 'isTTY')
  Object.defineProperty(process.stderr, 'isTTY', { value: true, configurable: true })
  const { exitCode } = process
  try {
    await runCommand(() => {
      terminalStatus()?.('looking at the images: 3 of 9')
      return Promise.reject(new DataError('a\x1b[2J.png', 'gone'))
    })
    expect(process.exitCode).toBe(1)
  } finally {
    process.exitCode = exitCode
    if (tty) Object.defineProperty(process.stderr, 'isTTY', tty)
    else Reflect.deleteProperty(process.stderr, 'isTTY')
    vi.restoreAllMocks()
  }
  expect(written).toEqual(['\rlooking at the images: 3 of 9\x1b[K', '\r\x1b[K', 'DataError: a\\x1b[2J.png: gone'])
})

test('images are decoded by sharp where it is installed, otherwise as by a program', async () => {
  const having = (...kinds: string[]) =>
    ({ decoder: { formats: () => Promise.resolve({ kinds: new Set(kinds) }) } }) as unknown as Platform
  expect(await decoderOf(having('WebP'))).toBe('sharp')
  expect(await decoderOf(having())).toBe(ImageBlock().decoding.decoder)
  expect(await decoderOf(having('WebP'), 'built-in')).toBe('built-in')
})

test.each([
  ['conv --picture roof.png', 'OptionError: --picture: the extension does not match the format written'],
  ['conv --own missing.mjs', 'OptionError: bench: there is no such module\n  --own  missing.mjs'],
  ['conv --own README.md', 'OptionError: bench: the module cannot be loaded\n  --own   README.md'],
  ['conv --own bench/lines.mjs', 'OptionError: bench: the module registers no convolution kernel here'],
  ['conv --tiny', 'OptionError: bench: --tiny is an option of report\n  command  conv\n'],
  ['step --picture roof.svg', 'OptionError: bench: --picture is an option of kernels'],
  ['decode --json out.json', 'OptionError: bench: --json is an option of kernels and step\n  command  decode\n'],
  ['report --out . --torch missing', 'OptionError: bench report: there is no such file or folder\n  --torch  missing'],
])('`npm run bench -- %s` is refused before a GPU is opened', async (line, message) => {
  const bench = fileURLToPath(new URL('../../dist/bench/bench.js', import.meta.url))
  const failed = await promisify(execFile)(process.execPath, [bench, ...line.split(' ')]).catch(
    (error: { stdout: string; stderr: string }) => error,
  )
  expect(failed.stdout).not.toContain('adapter')
  expect(failed).toMatchObject({ code: 1 })
  expect(failed.stderr).toContain(message)
})
