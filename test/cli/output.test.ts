import { existsSync } from 'node:fs'
import { expect, test, vi } from 'vitest'
import { Output } from '../../src/cli/output.ts'

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
