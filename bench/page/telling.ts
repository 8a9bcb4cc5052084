/** Messages of the training worker to the page. */
import type { ModelEvent, Reply, TrainingEvent } from './protocol.ts'

export const send = (reply: Reply, transfer: Transferable[] = []): void => {
  ;(self as unknown as Worker).postMessage(reply, transfer)
}
export const tell = (event: TrainingEvent | ModelEvent): void => send({ event })
