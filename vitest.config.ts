import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config'
import { browserProjects } from './test/browser/project.ts'

const ALL = ['test/**/*.test.ts', '!test/browser/**']
/** Test files whose kernels use no subgroups, or emulated ones, and are compiled by no other file. */
const WITHOUT_SUBGROUPS = [
  '**/families.test.ts',
  '**/optim/radam.test.ts',
  '**/gpu/unroll.test.ts',
  '**/gpu/subgroups.test.ts',
]
/** Test files that prove kernels family by family (test/helpers/families.ts). */
const byFamily = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.ts'))
  .map((file) => `test/${file}`)
  .filter((file) => readFileSync(file, 'utf8').includes(' testFamilies('))

/**
 * Mesa's software adapter reads the width of its vectors, which are its subgroups, as it is loaded. The adapter's own family
 * and all else is proven on vectors as wide as the processor has them. The other families use no subgroups, so the width
 * changes nothing of what they compute; for 128 bits their kernels compile in a fifth of the time that they take for 512.
 */
const projects: readonly TestProjectInlineConfiguration[] = [
  {
    extends: true,
    // No `exclude`, which would take the place of the command line's.
    test: {
      name: 'native',
      include: [...ALL, ...WITHOUT_SUBGROUPS.map((files) => `!${files}`)],
      env: { TEST_FAMILIES: 'own' },
    },
  },
  {
    extends: true,
    test: {
      name: 'short vectors',
      include: [...byFamily, ...WITHOUT_SUBGROUPS],
      env: { TEST_FAMILIES: 'others', LP_NATIVE_VECTOR_WIDTH: '128' },
    },
  },
]

export default defineConfig({
  test: {
    // Another adapter has vectors of 128 bits for everything (test/helpers/adapter.ts).
    ...(process.env.TEST_ADAPTER ? { include: ALL } : { projects: [...projects, ...browserProjects()] }),
    globalSetup: ['test/global-setup.ts'],
    setupFiles: ['test/helpers/adapter.ts'],
    // A file of tests keeps little more than one core busy, on a software adapter as well: it compiles, reads back and
    // checks. Two at a time on two cores took 193 s where one after the other took 318 (test/train, nn and optim, nothing
    // cached, a Xeon). No more than four: each has a GPU device and up to a gigabyte of memory of its own.
    maxWorkers: Math.min(4, availableParallelism()),
    // Only a hang takes this long: a slow machine with nothing cached compiles for minutes, and runs the lesson for two.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    // A test that prints is a test that hides something.
    onConsoleLog(log) {
      throw new Error(`stray output in a test: ${log}`)
    },
  },
})
