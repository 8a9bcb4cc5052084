import { DataError } from '../../base/errors.ts'
import { isRecord, parseJson } from '../../base/json.ts'
import { rng } from '../../base/rng.ts'
import type { Gpu } from '../../gpu/device.ts'
import { shaderTexts } from '../../gpu/shaders.gen.ts'
import { SHIPPED } from './shipped.ts'
import type { TunedPass, TunedTable } from './tuned-table.ts'

/** A hash of the shaders of convolutions: the part of the engine's version that matters here. */
function kernelsVersion(): string {
  const relevant = Object.entries(shaderTexts).filter(([name]) => /^(conv2d|lib)\//.test(name))
  return fingerprint(JSON.stringify(relevant))
}

function fingerprint(text: string): string {
  return rng(0, text).bits().toString(16).padStart(8, '0')
}

/** A table for a GPU, with nothing in it. */
function emptyTable({ identity: { device, driver } }: Gpu): TunedTable {
  return { device, driver, kernels: kernelsVersion(), passes: {} }
}

/**
 * The file of a GPU's table, of its own for every adapter, driver and version of the shaders:
 * `WGRAD_CACHE`, else `XDG_CACHE_HOME/wgrad`, else `~/.cache/wgrad`. `undefined` where there is none of these (a page).
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

/** The table of a file; an empty one where there is no file, or, said in one line, where it cannot be used. */
export async function readTable(gpu: Gpu, file: string | undefined): Promise<TunedTable> {
  const { files, log } = gpu.platform
  if (file === undefined || !(await files.exists(file))) return emptyTable(gpu)
  try {
    return parseTable(await files.readText(file), file, emptyTable(gpu))
  } catch (error) {
    log(`tune: ${oneLine(error)}; what it knew is measured again`)
    return emptyTable(gpu)
  }
}

/** Writes a table, or says in one line why that was not possible. */
export async function writeTable(gpu: Gpu, file: string, table: TunedTable): Promise<void> {
  const { files, log } = gpu.platform
  await files
    .write(file, `${JSON.stringify(table, null, 1)}\n`)
    .catch((error: unknown) => log(`tune: ${oneLine(error)}; the next run measures again`))
}

/** The table that is shipped for a GPU, whatever its driver. */
export function shippedTable({ identity }: Gpu): TunedTable | undefined {
  return SHIPPED.find(({ device }) => device === identity.device)
}

/** @throws DataError that says what is wrong with it */
function parseTable(text: string, file: string, expected: TunedTable): TunedTable {
  const table = contentOf(text, file)
  const given = isRecord(table) ? { device: table.device, driver: table.driver, kernels: table.kernels } : {}
  const { device, driver, kernels } = expected
  if (given.device !== device || given.driver !== driver || given.kernels !== kernels) {
    throw new DataError(file, 'is of another adapter, driver or version')
  }
  const passes = isRecord(table) ? table.passes : undefined
  if (!isRecord(passes)) throw new DataError(file, 'has no passes')
  const checked: Record<string, TunedPass> = {}
  for (const [key, found] of Object.entries(passes)) {
    if (!isTunedPass(found)) throw new DataError(file, `does not say what '${key}' runs in`)
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

export function oneLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]
}
