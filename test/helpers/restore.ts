import { afterAll, vi } from 'vitest'

/** After each test file: the next one of this process finds functions, globals and settings as they are. */
afterAll(() => {
  vi.restoreAllMocks()
  vi.unstubAllGlobals()
  vi.unstubAllEnvs()
})
