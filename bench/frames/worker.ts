/** Worker that trains for a while. */
import { trainFor } from './train.ts'

addEventListener('message', ({ data }: MessageEvent<number>) => {
  trainFor(data, () => postMessage('begun')).then(postMessage, (error: unknown) =>
    postMessage({ error: String(error) }),
  )
})
