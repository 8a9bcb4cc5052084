import { existsSync } from 'node:fs'
import { expect, test, vi } from 'vitest'
import { Output } from '../../src/cli/output.ts'
import { quoted } from '../../src/platform/node/terminal.ts'

test.runIf(existsSync('/dev/full'))('a log that cannot be written is told once, and nothing ends by it', () => {
  const said = vi.spyOn(console, 'error').mockImplementation(() => {})
  const output = new Output(true)
  output.keepLog('/dev/full')
  output.say('one\ntwo')
  expect(said.mock.calls.flat()).toEqual([
    'one',
    'lines are missing from a log: /dev/full: no space left on the device',
    'two',
  ])
  said.mockRestore()
})

test('a word of a command is written as shells of its system read it', () => {
  expect(['runs/1', 'my run', "it's"].map((word) => quoted(word, 'linux'))).toEqual([
    'runs/1',
    "'my run'",
    "'it'\\''s'",
  ])
  expect(['runs\\1', 'C:\\runs', 'my run\\é', "it's"].map((word) => quoted(word, 'win32'))).toEqual([
    'runs\\1',
    'C:\\runs',
    '"my run\\é"',
    '"it\'s"',
  ])
})
