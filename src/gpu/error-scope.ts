/**
 * Calls work in an error scope of a device. The scope ends with the work even if that throws: one that stays open swallows
 * all later errors of the device.
 *
 * @returns  the result of the work and its first validation error, if any; null as well if the device is lost, which says so
 *   itself
 */
export function inErrorScope<T>(
  device: GPUDevice,
  work: () => T,
): readonly [result: T, error: Promise<GPUError | null>] {
  let error: Promise<GPUError | null>
  let result: T
  device.pushErrorScope('validation')
  try {
    result = work()
  } finally {
    error = device.popErrorScope().catch(() => null)
  }
  return [result, error]
}
