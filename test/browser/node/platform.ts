import { createBrowserPlatform } from '../../../src/platform/browser/index.ts'

/** Stands for Node's platform where tests that were written for Node run in a page. */
export const nodePlatform = createBrowserPlatform()
export const createNodePlatform = createBrowserPlatform
