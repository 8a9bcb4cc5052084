import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config'
import { browserProjects, PATIENCE } from './test/browser/project.ts'
import { swiftShader } from './test/helpers/swift-shader.ts'

const files = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .map((file) => `test/${file.replaceAll('\\', '/')}`)
  .filter((file) => file.endsWith('.test.ts') && !file.startsWith('test/browser/'))
/** Test files that prove kernels family by family (test/helpers/families.ts). */
const byFamily = new Set(files.filter((file) => readFileSync(file, 'utf8').includes(' testFamilies(')))
/** Test files below test/ops of kernels that use no subgroups, or emulated ones, and of what chooses among kernels. */
const NOT_OF_VECTORS = ['blocks', 'families', 'tuner', 'own-kernels'].map(
  (name) => `test/ops/convolution/${name}.test.ts`,
)
/** Test files of what the width of vectors may change: operations, and training by them as a whole. */
const OF_VECTORS = ['test/learns.test.ts', 'test/nn/golden.test.ts']
const ofVectors = (file: string): boolean =>
  byFamily.has(file) || OF_VECTORS.includes(file) || (file.startsWith('test/ops/') && !NOT_OF_VECTORS.includes(file))

/** Test files that compile hundreds of kernels, or matrix units emulated by loops, and compute little with each. */
const OF_MANY_KERNELS = [
  'test/nan.test.ts',
  'test/gpu/bounds.test.ts',
  'test/gpu/null-backend.test.ts',
  'test/gpu/on-gpu.test.ts',
  'test/gpu/subgroups.test.ts',
  'test/ops/convolution/families.test.ts',
  'test/ops/convolution/groups.test.ts',
]
const compiler = process.env.TEST_ADAPTER ? undefined : swiftShader()
const ofCompiler = (file: string): boolean => compiler !== undefined && OF_MANY_KERNELS.includes(file)
const others = files.filter((file) => !ofVectors(file) || byFamily.has(file))
/**
 * Test files with a process of their own: those that put another module in the place of one, which earlier files may have loaded;
 * those that register convolution kernels, which every later search would try; and those of what the garbage collector finds,
 * which takes its time where there is much to look through.
 */
const ofOwnProcess = new Set(
  others.filter(
    (file) =>
      file === 'test/gpu/garbage.test.ts' ||
      /\b(vi\.(mock|doMock)|registerConvolutionKernel)\(/.test(readFileSync(file, 'utf8')),
  ),
)

/**
 * Mesa's software adapter reads the width of its vectors, which are its subgroups, as it is loaded. Operations of the
 * adapter's own family, and training by them, are proven on vectors as wide as the processor has them; everything else,
 * which is about something other than kernels, and the other families, which use no subgroups, on those of 128 bits: their
 * kernels compile in a fifth of the time that they take for 512. What mostly compiles even so is for the software adapter of
 * Chromium, where that is at hand: with an empty cache of shaders test/ops/convolution/families takes 21 s there in place of
 * 97, test/gpu/subgroups 26 in place of 67, and training, which computes, up to three times as long (2 cores of a Xeon).
 */
const projects: readonly TestProjectInlineConfiguration[] = [
  {
    extends: true,
    // No `exclude`, which would take the place of the command line's.
    test: {
      name: 'native',
      include: files.filter(ofVectors),
      env: { TEST_FAMILIES: 'own' },
    },
  },
  {
    extends: true,
    test: {
      name: 'short vectors',
      include: others.filter((file) => !ofCompiler(file) && !ofOwnProcess.has(file)),
      env: { TEST_FAMILIES: 'others', LP_NATIVE_VECTOR_WIDTH: '128' },
    },
  },
  {
    extends: true,
    test: {
      name: 'own process',
      isolate: true,
      include: [...ofOwnProcess],
      env: { TEST_FAMILIES: 'others', LP_NATIVE_VECTOR_WIDTH: '128' },
    },
  },
  {
    extends: true,
    test: {
      name: 'SwiftShader',
      // What a process has compiled, up to two gigabytes, comes back with its end.
      isolate: true,
      include: others.filter(ofCompiler),
      env: { TEST_FAMILIES: 'others', ...compiler },
    },
  },
]

export default defineConfig({
  test: {
    // Another adapter has vectors of 128 bits for everything (test/helpers/adapter.ts).
    ...(process.env.TEST_ADAPTER ? { include: files } : { projects: [...projects, ...browserProjects()] }),
    globalSetup: ['test/global-setup.ts'],
    setupFiles: ['test/helpers/adapter.ts', 'test/helpers/restore.ts'],
    // A worker goes from file to file with the modules that it has loaded, since to start one for each took 0.27 s of processor
    // time (with an empty cache of shaders the tests of 124 files took 289 s so, and take 259); test/helpers/restore.ts puts back what a file changes for the next. Not with another adapter, which
    // takes the place of a module.
    isolate: process.env.TEST_ADAPTER !== undefined,
    // A file of tests keeps little more than one core busy, on a software adapter as well: it compiles, reads back and
    // checks. Two at a time on two cores took 193 s where one after the other took 318 (test/train, nn and optim, nothing
    // cached, a Xeon); three are no faster than two (289 s each, the tests of 124 files). No more than four: each has a GPU device
    // and up to a gigabyte of memory of its own.
    maxWorkers: Math.min(4, availableParallelism()),
    ...PATIENCE,
    // A test that prints is a test that hides something.
    onConsoleLog(log) {
      throw new Error(`stray output in a test: ${log}`)
    },
  },
})
