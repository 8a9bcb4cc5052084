/**
 * Limits that WebGPU guarantees, by `featureLevel`, and the rest of what a small device has. Source:
 * https://www.w3.org/TR/webgpu/#limit-default, and Dawn's device in compatibility mode.
 */
const COMPATIBILITY = {
  maxStorageBufferBindingSize: 2 ** 27,
  maxBufferSize: 2 ** 28,
  maxStorageBuffersPerShaderStage: 8,
  maxComputeWorkgroupStorageSize: 16384,
  maxComputeInvocationsPerWorkgroup: 128,
  maxComputeWorkgroupSizeX: 128,
} as const
export const DEFAULT_LIMITS = {
  core: { ...COMPATIBILITY, maxComputeInvocationsPerWorkgroup: 256, maxComputeWorkgroupSizeX: 256 },
  compatibility: COMPATIBILITY,
} as const

/** WebGPU whose adapter offers nothing beyond what is guaranteed, and whose device refuses more: no feature, default limits. */
export function limitedGpu(
  gpu: GPU,
  featureLevel: keyof typeof DEFAULT_LIMITS,
  limits: Readonly<Record<string, number>> = DEFAULT_LIMITS[featureLevel],
): GPU {
  const requestAdapter: GPU['requestAdapter'] = async (options) => {
    const adapter = await gpu.requestAdapter({ ...options, featureLevel })
    if (!adapter) return adapter
    const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info
    const requestDevice: GPUAdapter['requestDevice'] = (wanted = {}) => adapter.requestDevice(wanted)
    return {
      info: { vendor, architecture, device, description, isFallbackAdapter, subgroupMinSize: 4, subgroupMaxSize: 128 },
      features: new Set<string>(),
      limits,
      requestDevice,
    } as unknown as GPUAdapter
  }
  // Holds the real one, with which its devices would die.
  return { requestAdapter, gpu } as unknown as GPU
}

const ownLimits = new WeakMap<GPUDevice, GPUSupportedLimits>()

/**
 * Makes a device report other limits, as a smaller one would, without refusing more itself; without changes its own are
 * back. All others stay: a partial object would leave kernels without a number of threads.
 */
export function reportLimits(device: GPUDevice, changes: Partial<Record<keyof GPUSupportedLimits, number>> = {}): void {
  const own = ownLimits.get(device) ?? device.limits
  ownLimits.set(device, own)
  // Limits are getters of their class: a spread would copy none of them, and they refuse any other `this`.
  const value = new Proxy(own, {
    get: (_, name) => (name in changes ? changes[name as keyof typeof changes] : Reflect.get(own, name)),
  })
  Object.defineProperty(device, 'limits', { configurable: true, value })
}
