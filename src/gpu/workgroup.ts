/** Returns the largest number of threads of a workgroup of one dimension that a device allows: 128 in compatibility mode. */
export function mostThreads(limits: GPUSupportedLimits): number {
  return Math.min(limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX)
}
