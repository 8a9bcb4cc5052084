/** Instruments for looking into a GPU's work, loaded where a setting asks for them. */
export { inUseText, kernelWatch } from './debug.ts'
export { Profiler, profileShares, profileTable, profileTrace } from './profile.ts'
export { Statistics } from './statistics.ts'
export { Tracer } from './trace.ts'
