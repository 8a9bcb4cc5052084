import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const command = fileURLToPath(new URL('../../dist/bench/transfer.js', import.meta.url))

test('the folder of another run is refused, before anything is trained or written', async () => {
  const out = mkdtempSync(join(tmpdir(), 'wgrad-transfer-'))
  writeFileSync(join(out, 'body.safetensors'), 'trained for hours')
  const ended = promisify(execFile)(process.execPath, [command, '--data', out, '--out', out])
  await expect(ended).rejects.toMatchObject({
    code: 1,
    stderr: `OptionError: --out: there is a run in this folder already\n  out  ${out}\n  Fix: name another folder\n`,
  })
  expect(readFileSync(join(out, 'body.safetensors'), 'utf8')).toBe('trained for hours')
  rmSync(out, { recursive: true })
})
