import { DataError } from '../../base/errors.ts'
import { isRecord, parseJson } from '../../base/json.ts'
import { rng } from '../../base/rng.ts'
import type { Gpu } from '../../gpu/device.ts'
import { convolutionShaders } from '../../gpu/wgsl/conv2d/version.ts'
import { SHIPPED } from './shipped.ts'
import type { TunedPass, TunedTable } from './tuned-table.ts'

function fingerprint(text: string): string {
  return rng(0, text).bits().toString(16).padStart(8, '0')
}

/** Makes an empty table for a GPU. */
function emptyTable({ identity: { device, driver } }: Gpu): TunedTable {
  return { device, driver, kernels: convolutionShaders, passes: {} }
}

/**
 * Returns the path of a GPU's table, a separate file for every adapter, driver and version of the shaders, in
 * `WGRAD_CACHE`, otherwise `XDG_CACHE_HOME/wgrad`, otherwise `~/.cache/wgrad`. `undefined` if none of these exists (a
 * page).
 */
export function tunedFile(gpu: Gpu): string | undefined {
  const { files, env } = gpu.platform
  const home = env('HOME') ?? env('USERPROFILE')
  const caches = env('XDG_CACHE_HOME') ?? (home === undefined ? undefined : files.join(home, '.cache'))
  const folder = env('WGRAD_CACHE') ?? (caches === undefined ? undefined : files.join(caches, 'wgrad'))
  if (folder === undefined) return undefined
  const { device, driver, kernels } = emptyTable(gpu)
  return files.join(folder, `kernels-${fingerprint(`${device}|${driver}|${kernels}`)}.json`)
}

/** Reads a table; returns an empty one if there is no file, or, with one line for `log`, if it cannot be used. */
export async function readTable(gpu: Gpu, file: string | undefined, log = gpu.platform.log): Promise<TunedTable> {
  const { files } = gpu.platform
  if (file === undefined || !(await files.exists(file))) return emptyTable(gpu)
  try {
    return parseTable(await files.readText(file), file, emptyTable(gpu))
  } catch (error) {
    log(`tune: ${oneLine(error)}; its kernels are measured again`)
    return emptyTable(gpu)
  }
}

/**
 * Writes a table, beside the passes that other processes have written while this one measured; a failure is logged in one
 * line. No lock is taken, which a stopped process could hold for ever: of two writes within the same milliseconds one is
 * lost, and its kernels are measured again.
 */
export async function writeTable(gpu: Gpu, file: string, table: TunedTable): Promise<void> {
  const { files, log } = gpu.platform
  const there = await readTable(gpu, file, () => {})
  const both: TunedTable = { ...there, ...table, passes: { ...there.passes, ...table.passes } }
  await files
    .write(file, `${JSON.stringify(both, null, 1)}\n`)
    .catch((error: unknown) => log(`tune: ${oneLine(error)}; the next run measures again`))
}

/** Returns the shipped table of a GPU, regardless of its driver. */
export function shippedTable({ identity }: Gpu): TunedTable | undefined {
  return SHIPPED.find(({ device }) => device === identity.device)
}

/** @throws DataError  if the table is invalid */
function parseTable(text: string, file: string, expected: TunedTable): TunedTable {
  const table = contentOf(text, file)
  const given = isRecord(table) ? { device: table.device, driver: table.driver, kernels: table.kernels } : {}
  const { device, driver, kernels } = expected
  if (given.device !== device || given.driver !== driver || given.kernels !== kernels) {
    throw new DataError(file, 'belongs to another adapter, driver or version')
  }
  const passes = isRecord(table) ? table.passes : undefined
  if (!isRecord(passes)) throw new DataError(file, 'has no passes')
  const checked: Record<string, TunedPass> = {}
  for (const [key, found] of Object.entries(passes)) {
    if (!isTunedPass(found)) throw new DataError(file, `has no valid entry for '${key}'`)
    checked[key] = found
  }
  const matrices = isRecord(table) && table.matrices === true
  return { device, driver, kernels, ...(matrices ? { matrices } : {}), passes: checked }
}

function contentOf(text: string, file: string): unknown {
  try {
    return parseJson(text)
  } catch (cause) {
    throw new DataError(file, 'is not JSON', { cause })
  }
}

function isTunedPass(value: unknown): value is TunedPass {
  return (
    isRecord(value) &&
    typeof value.kernel === 'string' &&
    typeof value.timeMs === 'number' &&
    typeof value.ruleMs === 'number'
  )
}

/** Returns the first line of an error's message. */
export function oneLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]
}
