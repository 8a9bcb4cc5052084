import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/global-setup.ts'],
    setupFiles: ['test/helpers/adapter.ts'],
    // One GPU device a file and one file at a time: software adapters use every core already.
    fileParallelism: false,
    // Only a hang takes this long: a slow machine with nothing cached compiles for minutes, and runs the lesson for two.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    // A test that prints is a test that hides something.
    onConsoleLog(log) {
      throw new Error(`stray output in a test: ${log}`)
    },
  },
})
