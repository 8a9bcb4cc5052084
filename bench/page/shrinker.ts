import { isolated } from './dom.ts'

interface Asked {
  resolve(copy: Blob | undefined): void
  reject(error: Error): void
}

const waiting = new Map<number, Asked>()
let worker: Worker | undefined
let count = 0

function start(): Worker {
  const made = new Worker(new URL('./shrink.ts', import.meta.url), { type: 'module' })
  made.onmessage = ({ data: { id, copy } }: MessageEvent<{ id: number; copy: Blob | undefined }>) => {
    waiting.get(id)?.resolve(copy)
    waiting.delete(id)
  }
  made.onerror = ({ message }) => {
    made.terminate()
    worker = undefined
    const error = new Error(
      `the program that reads pictures does not start (${message || 'it does not load'}). Load this page anew.`,
    )
    for (const { reject } of waiting.values()) reject(error)
    waiting.clear()
  }
  return made
}

/**
 * A small copy of a picture, made on another thread; nothing where the browser cannot read it.
 *
 * @throws Error  when that thread does not start, in words for the visitor
 */
export function shrink(picture: Blob): Promise<Blob | undefined> {
  const shrinking = (worker ??= start())
  const id = count++
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject })
    shrinking.postMessage({ id, picture })
  })
}

/** Says which pictures were not read, and what to do about it. */
export function unread(names: readonly string[]): string {
  const some = names.slice(0, 3).map(isolated).join(', ')
  const others = names.length > 3 ? ` and ${names.length - 3} more` : ''
  const them = names.length === 1 ? 'it' : 'them'
  return `This browser cannot read ${some}${others}: open ${them} in a program for pictures, and save ${them} as JPEG or PNG.`
}
