import type { BrowserCommand } from 'vitest/node'

/** Ends the process that computes for the pages of this browser, as a driver does that breaks down. */
const crashGpuProcess: BrowserCommand<[]> = async ({ context }) => {
  const session = await context.browser()!.newBrowserCDPSession()
  await session.send('Browser.crashGpuProcess').catch(() => undefined)
  await session.detach()
}

/** Commands that a test in a page gives to the process that drives the browser. */
export const commands = { crashGpuProcess }

declare module 'vitest/browser' {
  interface BrowserCommands {
    crashGpuProcess(): Promise<void>
  }
}
