import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const program = join(root, 'test', 'platform', 'train-anywhere.mjs')
const deno = join(root, 'node_modules', 'deno', 'bin.cjs')

interface Seen {
  readonly name: string
  readonly software: boolean
  readonly family: string
  readonly subgroupSize: number
  readonly losses: readonly number[]
}

/** Runs the program of train-anywhere.mjs and returns what it saw, and everything that it printed. */
async function run(command: readonly string[], env: Record<string, string> = {}): Promise<[Seen, string]> {
  const [file, ...args] = command
  const { stdout, stderr } = await promisify(execFile)(file, [...args, program], {
    env: { ...process.env, ...env },
    cwd: root,
  })
  const line = stdout.split('\n').find((one) => one.startsWith('seen ')) ?? 'null'
  return [JSON.parse(line.slice('seen '.length)) as Seen, stdout + stderr]
}

function expectClose(seen: Seen, reference: Seen): void {
  expect(seen.losses.length).toBe(reference.losses.length)
  const apart = seen.losses.map((loss, i) => Math.abs(loss / reference.losses[i] - 1))
  expect(Math.max(...apart), `${seen.losses.join(' ')}\n${reference.losses.join(' ')}`).toBeLessThan(0.01)
}

const inDeno = (...flags: string[]) => [process.execPath, deno, 'run', ...flags]
const all = ['--allow-read', '--allow-write', '--allow-env', '--allow-sys', '--allow-ffi', '--allow-run']
const [reference] = await run([process.execPath])

describe('the same program trains to the same losses', () => {
  test("in Deno with Dawn's binding, as in Node", async () => {
    // With every permission it reads /proc/cpuinfo as well, and so has vectors as wide.
    const [seen] = await run(inDeno('--allow-all'))
    expect({ ...seen, losses: [] }).toEqual({ ...reference, losses: [] })
    expectClose(seen, reference)
  })

  test('in Deno with its own WebGPU, which is another implementation', async () => {
    const [seen, printed] = await run(inDeno(...all), { WEBGPU: 'runtime' })
    // wgpu has no subgroups in WGSL.
    expect(seen).toMatchObject({ family: 'tile', subgroupSize: 0 })
    expect(printed).not.toContain('Dawn')
    expectClose(seen, reference)
  })

  test('in Deno without the permission for native code, which says what it does instead', async () => {
    const [seen, printed] = await run(inDeno(...all.filter((flag) => flag !== '--allow-ffi')))
    expect(seen.subgroupSize).toBe(0)
    expect(printed).toMatch(/^Dawn's binding \(package webgpu\) does not load, so Deno's own WebGPU computes: .*ffi/m)
    expectClose(seen, reference)
  })

  // Where it is installed.
  const buns = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'bun'))
  test.each(buns.filter(existsSync).slice(0, 1))('in Bun, with vectors as wide as in Node', async (bun) => {
    const [seen] = await run([bun])
    expect({ ...seen, losses: [] }).toEqual({ ...reference, losses: [] })
    expectClose(seen, reference)
  })
})
