import { DecodeError } from '../../src/base/errors.ts'
import { editPixels } from '../../src/image/pixel-edits.ts'
import { resizePixels } from '../../src/image/resize.ts'
import type { DecodeRequest, Files, Platform } from '../../src/platform/platform.ts'
import type { Pixels } from '../../src/image/pixels.ts'

export interface FakePlatform extends Platform {
  /** Lines that were logged. */
  readonly lines: string[]
  /** Requests that the decoder received, in order. */
  readonly decoded: DecodeRequest[]
  /** Calls the listeners for Ctrl-C. */
  interrupt(): void
  /** Finishes pending decodes if `manual` is set. */
  release(): void
}

/**
 * A platform whose images are made up from their names: `…/red-12x8.png` is 12 × 8 pixels, every byte told by name and
 * place; a name with `broken` cannot be decoded.
 */
export function fakePlatform(
  options: {
    threads?: number
    /** Its threads can share memory. */
    shares?: boolean
    env?: Record<string, string>
    manual?: boolean
    picture?: (path: string) => Pixels
    files?: Files
  } = {},
): FakePlatform {
  const lines: string[] = []
  const decoded: DecodeRequest[] = []
  const waiting: (() => void)[] = []
  const listeners = new Set<() => void>()
  let clock = 0
  return {
    name: 'node',
    lines,
    decoded,
    interrupt: () => listeners.forEach((stop) => stop()),
    release: () => waiting.splice(0).forEach((go) => go()),
    gpu: absent,
    adapterAdvice: absent,
    get files() {
      // Its images are not among its files.
      return options.files ? { ...options.files, glance: undefined } : NO_FILES
    },
    decoder: {
      threads: options.threads ?? 1,
      shares: options.shares ?? false,
      async decode(request) {
        decoded.push(request)
        if (options.manual) await new Promise<void>((resolve) => waiting.push(resolve))
        const picture = request.from ?? (options.picture ?? fakePicture)(request.path)
        return editPixels(request.resize ? resizePixels(picture, request.resize) : picture, request.edits ?? [])
      },
      close: () => Promise.resolve(),
    },
    encodePng: absent,
    sha256,
    env: (name) => options.env?.[name],
    now: () => (clock += 1000),
    log: (line) => void lines.push(line),
    status: undefined,
    waitFor: (done) => done,
    onInterrupt(stop) {
      listeners.add(stop)
      return () => listeners.delete(stop)
    },
  }
}

async function sha256(content: Uint8Array | string): Promise<string> {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : new Uint8Array(content)
  return Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('')
}

function absent(): never {
  throw new Error('not a part of the fake platform')
}

const NO_FILES: Files = { join: absent, list: absent, exists: absent, read: absent, readText: absent, write: absent }

/** Returns the image that a name stands for. */
export function fakePicture(path: string): Pixels {
  if (path.includes('broken')) throw new DecodeError(path, 'not an image')
  const size = /(\d+)x(\d+)/.exec(path)
  const width = Number(size?.[1] ?? 4)
  const height = Number(size?.[2] ?? 4)
  const start = [...path].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 251, 7)
  return {
    width,
    height,
    data: Uint8Array.from({ length: width * height * 4 }, (_, i) => (i % 4 === 3 ? 255 : (start + i * 3) % 256)),
  }
}
