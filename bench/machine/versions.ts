import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { arch, platform, release } from 'node:os'

/** Returns the versions a run depends on, by name: the library, Node, the WebGPU implementation and the system. */
export function versions(): Readonly<Record<string, string>> {
  const version = (file: string | URL) =>
    (JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version
  // The folder is above the sources and above the build.
  const own = ['../../package.json', '../../../package.json']
    .map((path) => new URL(path, import.meta.url))
    .find((url) => existsSync(url))
  return {
    ...(own ? { wgrad: version(own) } : {}),
    node: process.versions.node,
    webgpu: version(createRequire(import.meta.url).resolve('webgpu/package.json')),
    system: `${platform()} ${release()} ${arch()}`,
  }
}
