import { NO_ANSWER } from './dom.ts'

/** Waits for the last message of a worker, and ends it. @throws Error  of a message that is one, or of a worker that does not start */
export async function answers<Message, Last>(
  worker: Worker,
  signal: AbortSignal,
  each: (message: Message) => Last | undefined,
): Promise<Last> {
  try {
    signal.throwIfAborted()
    return await new Promise<Last>((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<Message & { readonly error?: string }>) => {
        if (data.error !== undefined) reject(new Error(data.error))
        const last = each(data)
        if (last !== undefined) resolve(last)
      }
      signal.addEventListener('abort', () => reject(signal.reason as Error))
      worker.onerror = (event) => reject(new Error(event.message || `Its program ${NO_ANSWER}`))
    })
  } finally {
    worker.terminate()
  }
}
