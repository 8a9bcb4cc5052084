import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { embed } from '../shaders/embed.mjs'
import { bundle } from '../src/vendor/bundle.mjs'

/** Before the first test file; what it returns comes after the last. */
export default function setup(): () => void {
  // The shaders under test are always those on disk.
  embed()
  bundle()
  // The folders of the user's own stay as they are, and settings of the user's own change no test.
  const folder = mkdtempSync(join(tmpdir(), 'wgrad-test-'))
  Object.assign(process.env, { WGRAD_CACHE: join(folder, 'cache'), FASTAI_HOME: join(folder, 'fastai') })
  for (const name of ['DEBUG', 'PROFILE', 'SEED', 'TUNE']) delete process.env[name]
  return () => rmSync(folder, { recursive: true })
}
