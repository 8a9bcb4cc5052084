import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Returns the version of the package. */
export function wgradVersion(): string {
  // Above dist/src/cli, in a clone as in the package.
  const file = join(import.meta.dirname, '..', '..', '..', 'package.json')
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version
}
