// WebGPU for libraries written for browsers: Dawn, in the same version and with the same switches as wgrad's.
import { create, globals } from 'webgpu'
import { settings } from './serve.mjs'

Object.assign(globalThis, globals)
/** Held for the lifetime of the process: releasing it would free Dawn under a live device. */
const gpu = create(settings.dawnOptions)
const requestAdapter = gpu.requestAdapter.bind(gpu)
gpu.requestAdapter = async (options) => {
  const adapter = await requestAdapter(options)
  if (adapter) Object.assign(adapterUsed, describe(adapter.info))
  return adapter
}
Object.defineProperty(globalThis, 'navigator', {
  value: {
    gpu,
    userAgent: 'Node',
    platform: process.platform,
    hardwareConcurrency: 1,
    maxTouchPoints: 0,
    vendor: '',
    language: 'en',
  },
  configurable: true,
})

/** Adapter in use; filled in when the library requests it. */
export const adapterUsed = { adapter: '', software: false }

/** Describes an adapter as src/gpu/device.ts does. */
function describe(info) {
  return {
    adapter: info.description || info.device || info.vendor || 'unnamed adapter',
    software:
      info.isFallbackAdapter ||
      info.architecture === 'software' ||
      /llvmpipe|swiftshader|basic render/i.test(info.description),
  }
}

export const counts = { pipelines: 0, dispatches: 0, submits: 0 }
for (const [type, method, name] of [
  [GPUDevice, 'createComputePipeline', 'pipelines'],
  [GPUDevice, 'createComputePipelineAsync', 'pipelines'],
  [GPUComputePassEncoder, 'dispatchWorkgroups', 'dispatches'],
  [GPUQueue, 'submit', 'submits'],
]) {
  const original = type.prototype[method]
  type.prototype[method] = function (...args) {
    counts[name]++
    return original.apply(this, args)
  }
}

const neverWoken = new Int32Array(new SharedArrayBuffer(4))

/**
 * Waits for work as wgrad does (src/platform/node/gpu.ts): while a promise of the GPU is pending, the binding polls for
 * its end in every turn of the event loop, which takes a core from a software adapter, so every turn sleeps.
 */
export async function patiently(work) {
  if (!settings.patient || !adapterUsed.software) return work
  let pending = true
  const sleep = () => {
    if (!pending) return
    Atomics.wait(neverWoken, 0, 0, 0.5)
    setImmediate(sleep)
  }
  setImmediate(sleep)
  try {
    return await work
  } finally {
    pending = false
  }
}
