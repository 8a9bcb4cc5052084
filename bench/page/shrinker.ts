const waiting = new Map<number, (copy: Blob | undefined) => void>()
let worker: Worker | undefined
let count = 0

/** A small copy of a picture, made on another thread; nothing where the browser cannot read it. */
export function shrink(picture: Blob): Promise<Blob | undefined> {
  if (!worker) {
    worker = new Worker(new URL('./shrink.ts', import.meta.url), { type: 'module' })
    worker.onmessage = ({ data: { id, copy } }: MessageEvent<{ id: number; copy: Blob | undefined }>) => {
      waiting.get(id)?.(copy)
      waiting.delete(id)
    }
  }
  const id = count++
  return new Promise((resolve) => {
    waiting.set(id, resolve)
    worker?.postMessage({ id, picture })
  })
}
