import { DeviceError } from '../../base/errors.ts'

/** The browser's WebGPU. */
export function browserGpu(): GPU {
  // The types promise it; older browsers and pages without https do not have it.
  const gpu: GPU | undefined = navigator.gpu
  if (gpu === undefined) {
    throw new DeviceError('gpu', 'this page has no WebGPU', {
      given: { browser: navigator.userAgent, 'secure context': isSecureContext },
      fix: 'open the page over https or from localhost, in a browser with WebGPU.',
    })
  }
  return gpu
}
