import { readFileSync } from 'node:fs'

/** Returns the version of the package. */
export function wgradVersion(): string {
  // Above dist/src/cli, in a clone as in the package.
  const file = new URL('../../../package.json', import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version
}
