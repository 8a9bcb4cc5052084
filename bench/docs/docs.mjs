// `npm run docs`: API documentation of every entry point of the package, from the doc comments, into docs/ (not committed).
// TypeDoc reads programs through an API that TypeScript 7 does not have, so this folder is a workspace with TypeScript 6.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Application } from 'typedoc'

process.chdir(fileURLToPath(new URL('../..', import.meta.url)))
if (!existsSync('src/gpu/wgsl/names.ts')) (await import('../../shaders/embed.mjs')).embed()

const app = await Application.bootstrapWithPlugins({ options: 'bench/docs/typedoc.json' })
const project = await app.convert()
// Broken links: `convert` does not look for them, as the command `typedoc` does.
if (project) app.validate(project)
if (project) await app.generateOutputs(project)
// A warning is a broken link or a parameter that does not exist.
if (!project || app.logger.hasErrors() || app.logger.hasWarnings()) process.exitCode = 1
