import { byId } from './dom.ts'

/** Graphics adapter of the browser: none, a fast one, or a slow one in software, with the sentence about it on the page. */
export interface Found {
  readonly kind: 'none' | 'ok' | 'slow'
  readonly text: string
}

const SOFTWARE = /swiftshader|llvmpipe|basic render/i

/** Says on the page which adapter there is, or what to do where there is none, and then shows only what needs none. */
export function showAdapter({ kind, text }: Found): void {
  const status = byId('adapter')
  status.textContent = text
  status.className = `adapter ${kind}`
  if (kind !== 'none') return
  document.body.dataset['gpu'] = 'none'
  byId('nothing').hidden = false
}

/** Asks the browser for an adapter. */
export async function findAdapter(): Promise<Found> {
  // Old browsers, and pages that came over plain http, have no `gpu`.
  const gpu = (navigator as { readonly gpu?: GPU }).gpu
  if (gpu === undefined) {
    return {
      kind: 'none',
      text: isSecureContext
        ? 'This browser has no WebGPU, which this page trains with. Open it in a current Chrome or Edge, in Safari 26 or later, or in Firefox 141 or later on Windows.'
        : 'WebGPU needs a secure address: open this page over https, or from localhost.',
    }
  }
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' }).catch(() => null)
  if (!adapter) {
    return {
      kind: 'none',
      text: 'The browser has WebGPU, but no graphics adapter for it. Switch on “Use graphics acceleration when available” in the browser’s settings under System, update the graphics driver, and start the browser anew.',
    }
  }
  const { info } = adapter
  const name =
    [info.description, info.device, `${info.vendor} ${info.architecture}`].find((text) => text?.trim()) ??
    'an unnamed adapter'
  if (info.isFallbackAdapter || info.architecture === 'software' || SOFTWARE.test(name)) {
    return {
      kind: 'slow',
      text: `Adapter: ${name}. This is a software adapter: your processor computes in place of a GPU, so expect a fiftieth of a GPU’s speed. Switching on graphics acceleration in the browser’s settings, under System, usually helps.`,
    }
  }
  return { kind: 'ok', text: `Adapter: ${name}. Training runs on it, through WebGPU.` }
}
